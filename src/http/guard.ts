// What a request has to pass before its route's action, in this order: blocks of addresses, CORS preflights (answered
// before anybody is asked for a password), rate limits, requests in progress, passwords, other services, hooks. Checks
// are synchronous; one that has to wait says so and wakes the exchange, which goes on behind it.

import { Scratch } from "../base/bytes.ts";
import type { Hash64, HashSeed } from "../base/keyed-hash.ts";
import type { AccessList } from "../limit/access.ts";
import { REFUSED } from "../limit/concurrency.ts";
import type { RouteConcurrency, RouteRateLimit } from "../limit/limit-book.ts";
import type { Head } from "../wire/head.ts";
import { Auth, type AuthWaiter, type BasicAuth } from "./basic-auth.ts";
import { type Cors, isPreflight } from "./cors.ts";
import type { Exchange } from "./exchange.ts";
import type { FieldNames } from "./field-names.ts";
import { limitKeyOf } from "./limit-key.ts";
import { busy, denied, limited } from "./refusals.ts";
import { putRetryAfter } from "./retry-after.ts";
import { addressOf } from "./request-facts.ts";

export const Verdict = {
  /** On to the next check. */
  Pass: 0,
  /** The request has been answered: the exchange is over. */
  Done: 1,
  /** Later; the check calls exchange.wake() with the ticket that exchange.sleep() gave it. */
  Wait: 2,
} as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

export interface Check {
  /** The check may run other exchanges: whatever was opened in requestFacts is not there any more. */
  readonly disturbs?: boolean;
  /** The request's head is valid until this returns. */
  check(exchange: Exchange, head: Head): Verdict;
}

/** Whoever waits for something outside, and need not be told any more. */
export interface Sleeper {
  forget(): void;
}

export class Guard {
  /** Behind admit() the request has to be opened again. */
  readonly disturbs: boolean;
  private readonly checks: readonly Check[];

  constructor(checks: readonly Check[]) {
    this.checks = checks;
    this.disturbs = checks.some((check) => check.disturbs === true);
  }

  /** Asks the checks from number `from` on. Pass = all have passed. head is opened in requestFacts. */
  admit(exchange: Exchange, head: Head, from: number): Verdict {
    let current = head;
    for (let i = from; i < this.checks.length; i++) {
      const check = this.checks[i]!;
      exchange.guardAt = i + 1;
      const verdict = check.check(exchange, current);
      if (verdict !== Verdict.Pass) return verdict;
      if (check.disturbs === true) current = exchange.openAgain();
    }
    return Verdict.Pass;
  }
}

const lines = new Scratch(512);
/** Nobody knows when a request in progress, or a comparison of passwords, will end. */
const againSeconds = 1;
const key: Hash64 = { a: 0, b: 0 };

/** access: allow and deny. */
export class AccessCheck implements Check {
  private readonly list: AccessList;

  constructor(list: AccessList) {
    this.list = list;
  }

  check(exchange: Exchange, head: Head): Verdict {
    return this.list.permits(addressOf(exchange, head)) ? Verdict.Pass : exchange.deny(403, denied, null);
  }
}

/** Answers preflights of CORS. */
export class PreflightCheck implements Check {
  private readonly cors: Cors;

  constructor(cors: Cors) {
    this.cors = cors;
  }

  check(exchange: Exchange, head: Head): Verdict {
    if (!isPreflight(head)) return Verdict.Pass;
    return exchange.answerOwn(this.cors.preflight(head, exchange.listener.clock.wallMs()), false);
  }
}

/** One rate limit; its header fields go with the answer, whoever gives it. */
export class RateCheck implements Check {
  private readonly rate: RouteRateLimit;
  private readonly seed: HashSeed;

  constructor(rate: RouteRateLimit, seed: HashSeed) {
    this.rate = rate;
    this.seed = seed;
  }

  check(exchange: Exchange, head: Head): Verdict {
    const { limit, by, status, fields } = this.rate;
    const address = by.from === "source" ? addressOf(exchange, head) : null;
    if (!limitKeyOf(by, head, address, this.seed, key)) return Verdict.Pass;
    const waitMs = limit.check(key, exchange.listener.clock.cachedMs);
    if (waitMs === 0) {
      exchange.limits.note(this.rate);
      return Verdict.Pass;
    }
    lines.length = 0;
    fields.put(lines, limit, waitMs);
    return exchange.deny(status, limited, lines);
  }
}

/** A bound of requests in progress; the exchange gives the place back when it is over. */
export class ConcurrencyCheck implements Check {
  private readonly bound: RouteConcurrency;
  private readonly seed: HashSeed;

  constructor(bound: RouteConcurrency, seed: HashSeed) {
    this.bound = bound;
    this.seed = seed;
  }

  check(exchange: Exchange, head: Head): Verdict {
    const { limit, by } = this.bound;
    const address = by.from === "source" ? addressOf(exchange, head) : null;
    if (!limitKeyOf(by, head, address, this.seed, key)) return Verdict.Pass;
    const slot = limit.acquire(key, exchange.listener.clock.cachedMs);
    if (slot === REFUSED) {
      lines.length = 0;
      putRetryAfter(lines, againSeconds);
      return exchange.deny(429, limited, lines);
    }
    exchange.limits.hold(limit, slot);
    return Verdict.Pass;
  }
}

/** What a check found out that the endpoint is to see; before any edits of the route. */
export interface RequestExtra {
  apply(head: Head, added: Scratch): void;
  /** Names that it drops from what the client says, also where it has nothing to put in their place. */
  readonly replaces?: FieldNames;
}

/** basicAuth: names and passwords. */
export class PasswordCheck implements Check {
  private readonly auth: BasicAuth;

  constructor(auth: BasicAuth) {
    this.auth = auth;
  }

  check(exchange: Exchange, head: Head): Verdict {
    const waiter = new PasswordWaiter(this, exchange);
    const verdict = this.auth.check(head, exchange.listener.clock.cachedMs, waiter);
    if (verdict === Auth.Yes) return this.admit(exchange, this.auth.user);
    if (verdict === Auth.No) return this.refuse(exchange);
    if (verdict === Auth.Busy) {
      lines.length = 0;
      putRetryAfter(lines, againSeconds);
      return exchange.deny(503, busy, lines);
    }
    waiter.ticket = exchange.sleep(waiter);
    return Verdict.Wait;
  }

  admit(exchange: Exchange, user: number): Verdict {
    const { auth } = this;
    exchange.extras.push({ apply: (head, added) => auth.apply(head, added, user), replaces: auth.replaced });
    return Verdict.Pass;
  }

  forget(waiter: AuthWaiter): void {
    this.auth.forget(waiter);
  }

  refuse(exchange: Exchange): Verdict {
    lines.length = 0;
    lines.putAll(this.auth.challenge);
    return exchange.deny(401, denied, lines);
  }
}

class PasswordWaiter implements AuthWaiter, Sleeper {
  ticket = -1;
  private readonly check: PasswordCheck;
  private readonly exchange: Exchange;

  constructor(check: PasswordCheck, exchange: Exchange) {
    this.check = check;
    this.exchange = exchange;
  }

  /** The exchange is over. */
  forget(): void {
    this.check.forget(this);
  }

  onAuth(user: number): void {
    const { exchange, ticket } = this;
    if (!exchange.isAsleep(ticket)) return;
    if (user < 0) this.check.refuse(exchange);
    else {
      this.check.admit(exchange, user);
      exchange.wake(ticket);
    }
  }
}
