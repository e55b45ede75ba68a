// Keeps a client at its endpoint: what every kind of stickiness of a pool does for a request, and what it remembers of
// one in between. The endpoint it names goes into PickState.preferred; whether that one may be used is the pool's
// business (pool.ts acquire), and balancers know nothing of all this.
//
// A request's walk: recall() before the first acquire(), chosen() after each acquire() that gave an endpoint,
// answered() when the head of the final response (or of a 101) has come and before it is sent. `keeps` of the latter
// two is Pool.keepsPreferred(): true while the client's own endpoint could have it back. So
// - an endpoint that is drained, or of weight 0, keeps its clients until they leave;
// - one that is down, held, in maintenance, removed, or that failed this very request, loses them to whoever answers;
// - one that is full sends the client elsewhere for this request, and keeps it.

import type { Scratch } from "../../base/bytes.ts";
import type { Hash64 } from "../../base/keyed-hash.ts";
import type { Head } from "../../wire/head.ts";

/** What is remembered of one request's stickiness. An exchange keeps one (and one for arms) and uses it again. */
export class StickyMark {
  /** Index of the endpoint (or arm) the client belongs to; -1 = to none, or to one that is no longer there. */
  preferred = -1;
  /** The client has a cookie that is to be replaced although it names the right one. */
  renew = false;
  /** The request has a key for the table, and whether the table knows it. */
  hasKey = false;
  isKnown = false;
  readonly key: Hash64 = { a: 0, b: 0 };

  reset(): void {
    this.preferred = -1;
    this.renew = false;
    this.hasKey = false;
    this.isKnown = false;
  }
}

/** Stickiness of one pool. Nothing a client sends makes any of it throw. */
export interface Stickiness {
  /** True if recall() reads the client's address. */
  readonly wantsAddress: boolean;
  /** Fills the mark from a request; returns the preferred index, or -1. address: 4 or 16 bytes, null = it has none. */
  recall(mark: StickyMark, head: Head, address: Uint8Array | null): number;
  /** The endpoint that was acquired for the request. */
  chosen(mark: StickyMark, index: number, keeps: boolean): void;
  /**
   * The endpoint that answered, with the head of its response. Appends the header lines that the client is to get
   * besides. secure: the client's connection is encrypted, as far as we can tell.
   */
  answered(mark: StickyMark, index: number, keeps: boolean, head: Head, secure: boolean, into: Scratch): void;
}
