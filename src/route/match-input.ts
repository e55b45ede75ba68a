// What a request is matched by besides its Head: the path in the form that matching and forwarding share, and the
// client's address. One object per listener or exchange, filled anew for every request; path.ts fills in the path.

const nothing = new Uint8Array(0);

export class MatchInput {
  /** path[pathStart, pathEnd) is what routes are compared with: of the head's own bytes, or of a rewritten target. */
  path: Uint8Array = nothing;
  pathStart = 0;
  pathEnd = 0;
  /** In the head's bytes: the query is [queryStart, targetEnd), without its "?"; empty where there is none. */
  queryStart = 0;
  /**
   * The client's address, 4 or 16 bytes in network order; null = it has none (a unix socket), and is in no block. Read
   * only by routers whose `readsAddress` is true.
   */
  address: Uint8Array | null = null;
}
