// Stickiness by a cookie of ours, for endpoints of a pool and for arms of a weighted forward: the client carries the
// whole memory, so it needs no table, and works across workers, restarts and balancers that have the same secret.

import type { Scratch } from "../../base/bytes.ts";
import type { Hash64 } from "../../base/keyed-hash.ts";
import { cookiesTriedMax } from "../../base/limits.ts";
import type { Clock } from "../../base/ports.ts";
import type { CookieConfig } from "../../model/route-config.ts";
import type { Head } from "../../wire/head.ts";
import { findCookie, Span } from "../../wire/lookup.ts";
import { hashName, IdIndex } from "./id-index.ts";
import { SetCookie } from "./set-cookie.ts";
import type { Stickiness, StickyMark } from "./stickiness.ts";
import { TokenKind, type Token, type TokenBox } from "./token.ts";

/** A cookie from further in the future was not issued by a clock that means well. */
const futureSMax = 86_400;
const noScope: Hash64 = { a: 0, b: 0 };
const value = new Span();

class ClientCookie {
  private readonly name: string;
  private readonly ttlS: number;
  private readonly kind: TokenKind;
  private readonly scope: Hash64;
  private readonly ids: IdIndex;
  private readonly line: SetCookie;
  private readonly box: TokenBox;
  private readonly clock: Clock;

  constructor(
    config: CookieConfig,
    kind: TokenKind,
    scope: Hash64,
    names: readonly string[],
    box: TokenBox,
    clock: Clock,
  ) {
    this.name = config.name;
    this.ttlS = config.ttlMs / 1000;
    this.kind = kind;
    this.scope = scope;
    this.ids = new IdIndex(names);
    this.line = new SetCookie(config);
    this.box = box;
    this.clock = clock;
  }

  /** Fills the mark by the first cookie of this name that is ours, in force, and names one that is still there. */
  read(mark: StickyMark, head: Head): number {
    mark.reset();
    let after = 0;
    for (let k = 0; k < cookiesTriedMax && findCookie(head, this.name, value, after); k++) {
      after = value.end;
      const token = this.box.open(head.bytes, value.start, value.end);
      if (token !== null && this.isOurs(token) && this.take(mark, token)) break;
    }
    return mark.preferred;
  }

  /** Appends the line that makes the client come back to `index`, unless its cookie does so already. */
  write(mark: StickyMark, index: number, secure: boolean, into: Scratch): void {
    if (index === mark.preferred && !mark.renew) return;
    this.line.begin(into);
    this.box.seal(into, this.kind, this.scope, this.ids.hashes[index]!, Math.floor(this.clock.wallMs() / 1000));
    this.line.end(into, secure);
  }

  private isOurs(token: Token): boolean {
    return token.kind === this.kind && token.scope.a === this.scope.a && token.scope.b === this.scope.b;
  }

  private take(mark: StickyMark, token: Token): boolean {
    const ageS = this.clock.wallMs() / 1000 - token.issuedS;
    if (ageS < -futureSMax || (this.ttlS !== 0 && ageS >= this.ttlS)) return false;
    const index = this.ids.find(token.id.a, token.id.b);
    if (index < 0) return false;
    mark.preferred = index;
    mark.renew = token.outdated || (this.ttlS !== 0 && ageS * 2 > this.ttlS);
    return true;
  }
}

/** sticky: { by: cookie } of a pool. */
export class CookieStickiness implements Stickiness {
  readonly wantsAddress = false;
  private readonly cookie: ClientCookie;

  /** ids: of the pool's endpoints, in the order of their indices. */
  constructor(config: CookieConfig, pool: string, ids: readonly string[], box: TokenBox, clock: Clock) {
    this.cookie = new ClientCookie(config, TokenKind.Endpoint, hashName(pool), ids, box, clock);
  }

  recall(mark: StickyMark, head: Head): number {
    return this.cookie.read(mark, head);
  }

  chosen(): void {
    // the client is told with the answer
  }

  answered(mark: StickyMark, index: number, keeps: boolean, _head: Head, secure: boolean, into: Scratch): void {
    this.cookie.write(mark, keeps ? mark.preferred : index, secure, into);
  }
}

/**
 * Keeps a client on its side of a weighted forward for as long as that side exists, also with weight 0. The cookie
 * names the pool, so routes that share pools and the cookie's name share the choice.
 */
export class ArmStickiness {
  private readonly cookie: ClientCookie;

  /** pools: names, in the order of the arms. */
  constructor(config: CookieConfig, pools: readonly string[], box: TokenBox, clock: Clock) {
    this.cookie = new ClientCookie(config, TokenKind.Arm, noScope, pools, box, clock);
  }

  /** Fills the mark; returns the client's arm, or -1: draw one. */
  recall(mark: StickyMark, head: Head): number {
    return this.cookie.read(mark, head);
  }

  /** Appends the header line that the client is to get with a response that came from this arm, if any. */
  answered(mark: StickyMark, arm: number, secure: boolean, into: Scratch): void {
    this.cookie.write(mark, arm, secure, into);
  }
}
