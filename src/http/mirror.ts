// Copies of requests for another pool, whose answers are read and dropped. A copy is what the endpoint is sent, byte
// for byte, and nothing in it says that it is one: whatever reaches a mirror pool is. It is held until the request's
// body is whole and then sent on its own account, so that nobody waits for it, and a mirror endpoint never sees half a
// request because somebody else was slow.
//
// For an exchange: begin() where it is about to send the head, then what the client sends, then end(). What it says
// must have come through the exchange: a body that is copied must not be forwarded past it (HttpStream.forward).

import { copyBytes, copyOf, Scratch } from "../base/bytes.ts";
import type { Failure } from "../base/failure.ts";
import { mirrorAnswerBytesMax, mirrorBytesMax, mirrorCopiesMax, mirrorMs } from "../base/limits.ts";
import type { Rng } from "../base/ports.ts";
import type { ClientTimeouts } from "../codec/h1-client.ts";
import { defaultRetry } from "../model/defaults.ts";
import type { MirrorConfig } from "../model/route-config.ts";
import { PC } from "../stats/columns.ts";
import { ConnectionSays, writeRequestHead, writeTrailers } from "../wire/h1/write.ts";
import { BODY_CHUNKED, type Head, HeadFlag, type Method } from "../wire/head.ts";
import type { PoolRuntime } from "./pool-runtime.ts";
import { compileRetry } from "./retry.ts";
import {
  answerTooLong,
  hashFor,
  type Holder,
  SubRequest,
  type SubRequestOwner,
  type SubRequestParts,
  type SubRequestTerms,
} from "./sub-request.ts";
import type { TemplateFacts } from "./template.ts";

/** The copies of one worker, of all its routes and generations. */
export class MirrorLoad {
  readonly copiesMax: number;
  readonly bytesMax: number;
  /** Copies in progress, and the bytes of bodies that they hold. */
  copies = 0;
  bytes = 0;

  constructor(copiesMax: number = mirrorCopiesMax, bytesMax: number = mirrorBytesMax) {
    this.copiesMax = copiesMax;
    this.bytesMax = bytesMax;
  }

  /** Room for so many more bytes; false = there is none. */
  take(bytes: number): boolean {
    if (this.bytes + bytes > this.bytesMax) return false;
    this.bytes += bytes;
    return true;
  }
}

/** Of the sockets that a process may have: those that copies may take, which clients would lack. */
const socketShare = 1 / 9;

/** For a worker that may have so many sockets; 0 = no bound. */
export function mirrorLoadFor(socketsMax: number): MirrorLoad {
  if (socketsMax === 0) return new MirrorLoad();
  return new MirrorLoad(Math.min(mirrorCopiesMax, Math.max(1, Math.floor(socketsMax * socketShare))));
}

/** What a worker mirrors with. */
export interface MirrorParts extends SubRequestParts {
  readonly rng: Rng;
  readonly load: MirrorLoad;
  /** This worker's counters of the pool. */
  readonly counters: Float64Array;
}

/** A copy goes to another endpoint if none could be connected to, but is never sent twice. */
const neverTwice = compileRetry({ ...defaultRetry, attempts: 0 });
const chunkedBytesMin = 4096;
const none = new Uint8Array(0);
const assembled = new Scratch(4096);

/** The mirror of one route. */
export class Mirror {
  readonly pool: PoolRuntime;
  private readonly parts: MirrorParts;
  private readonly bodyBytesMax: number;
  /** Of 2^32 draws. */
  private readonly share: number;
  private readonly terms: SubRequestTerms;

  /** timeouts: of the route; they hold for its copies, too. */
  constructor(config: MirrorConfig, pool: PoolRuntime, timeouts: ClientTimeouts, parts: MirrorParts) {
    this.pool = pool;
    this.parts = parts;
    this.bodyBytesMax = config.bodyBytes;
    this.share = Math.round((config.percent / 100) * 0x1_0000_0000);
    this.terms = { timeouts, totalMs: mirrorMs, answerBytesMax: mirrorAnswerBytesMax, policy: neverTwice };
  }

  /**
   * Draws, and begins a copy of what sendHead(head, added) of the endpoint's stream is about to send: once for each
   * request, not for its further attempts. facts are of the same parse. null = this one is not copied. Sends nothing
   * yet, so head and added stay as they are.
   */
  begin(head: Head, added: Scratch, facts: TemplateFacts, holder: Holder): MirrorRun | null {
    const { load, rng } = this.parts;
    if (rng.u32() >= this.share) return null;
    const { bodyLength } = head;
    if ((head.flags & HeadFlag.Upgrade) !== 0) return null; // nobody could speak for the client in a copied tunnel
    if (bodyLength > this.bodyBytesMax || (bodyLength === BODY_CHUNKED && this.bodyBytesMax === 0)) return null;
    if (load.copies >= load.copiesMax || !load.take(Math.max(0, bodyLength))) {
      this.countLost();
      return null;
    }
    return new MirrorRun(this, head, this.textOf(head, added), hashFor(this.pool.pool, facts), holder);
  }

  /** The head as it goes out. One without Host, of HTTP/1.0, names the pool: HTTP/1.1 wants one (RFC 9112 3.2). */
  private textOf(head: Head, added: Scratch): Uint8Array {
    assembled.length = 0;
    const hasHost = head.hostEnd > head.hostStart || (head.flags & HeadFlag.NewHost) !== 0;
    writeRequestHead(assembled, head, added, ConnectionSays.Nothing);
    if (!hasHost) {
      assembled.length -= 2;
      assembled.putText(`Host: ${this.pool.name}\r\n\r\n`);
    }
    return copyOf(assembled.bytes, 0, assembled.length);
  }

  /** Sends a copy that is whole. */
  send(run: MirrorRun, method: Method, body: Uint8Array | null, trailers: Uint8Array | null): void {
    const message = { head: run.head, body, trailers, hash: run.hash };
    new SubRequest(this.parts, this.pool, this.terms, method, message, run.holder, run).start();
  }

  countLost(): void {
    this.parts.counters[PC.copiesLost]!++;
  }

  get load(): MirrorLoad {
    return this.parts.load;
  }

  get bytesMax(): number {
    return this.bodyBytesMax;
  }
}

/**
 * The copy of one request. Whoever began it calls end() when it has no more to say; all calls after that do nothing.
 */
export class MirrorRun implements SubRequestOwner {
  readonly head: Uint8Array;
  readonly hash: number;
  readonly holder: Holder;
  private readonly mirror: Mirror;
  private readonly method: Method;
  /** 0, a known length, or BODY_CHUNKED. */
  private readonly bodyLength: number;
  private body: Uint8Array;
  private length = 0;
  /** Bytes of the load's that are ours. */
  private taken: number;
  private gathering = true;

  constructor(mirror: Mirror, head: Head, text: Uint8Array, hash: number, holder: Holder) {
    this.mirror = mirror;
    this.head = text;
    this.hash = hash;
    this.holder = holder;
    this.method = head.method;
    this.bodyLength = head.bodyLength;
    this.taken = Math.max(0, head.bodyLength);
    this.body = this.taken === 0 ? none : new Uint8Array(this.taken);
    mirror.load.copies++;
  }

  /**
   * The request's own head has been sent. A copy without a body goes now, and may fail at once and free a place for a
   * request that waits: no shared scratch of the exchange outlives this call, nor those of data() and trailers().
   */
  headSent(): void {
    if (this.bodyLength === 0) this.send(null);
  }

  /** Body bytes from the client, in order, without coding; those of a repeat are not told again. */
  data(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    if (!this.gathering) return;
    const length = this.length + end - start;
    if (length > this.body.length && !this.grow(length)) {
      this.end();
      return;
    }
    copyBytes(this.body, this.length, bytes, start, end);
    this.length = length;
    if (last) this.send(null);
  }

  /** The trailers that end the body, as the client sent them. */
  trailers(head: Head): void {
    if (!this.gathering) return;
    assembled.length = 0;
    writeTrailers(assembled, head);
    this.send(copyOf(assembled.bytes, 0, assembled.length));
  }

  /** The request is over, well or not. A copy that is not whole by now is not made. */
  end(): void {
    if (!this.gathering) return;
    this.gathering = false;
    this.free();
  }

  onAnswer(): void {
    // whatever it says
  }

  onBody(): void {
    // dropped
  }

  onEnd(f: Failure): void {
    if (f !== 0 && f !== answerTooLong) this.mirror.countLost();
    this.free();
  }

  private send(trailers: Uint8Array | null): void {
    if (!this.gathering) return;
    this.gathering = false;
    const { body, length } = this;
    const whole = this.bodyLength === 0 ? null : length === body.length ? body : body.subarray(0, length);
    this.mirror.send(this, this.method, whole, trailers);
  }

  /** Room for a body of unknown length; false = it is too long, or there is no memory for it. */
  private grow(length: number): boolean {
    const { load, bytesMax } = this.mirror;
    if (length > bytesMax) return false;
    const size = Math.min(bytesMax, Math.max(length, 2 * this.body.length, chunkedBytesMin));
    if (!load.take(size - this.taken)) {
      this.mirror.countLost();
      return false;
    }
    this.taken = size;
    const wider = new Uint8Array(size);
    copyBytes(wider, 0, this.body, 0, this.length);
    this.body = wider;
    return true;
  }

  private free(): void {
    const { load } = this.mirror;
    load.copies--;
    load.bytes -= this.taken;
    this.taken = 0;
    this.body = none;
  }
}
