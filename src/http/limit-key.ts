// From a request to the keyed 64-bit hash that limits count by. Clients choose what they send, so the hash has a key
// that they do not know: nobody can fill one set of a table, or take another's place, by choosing names.

import { addressKeyOf } from "../base/address-key.ts";
import { beginHash, feedBytes, finishHash, type Hash64, type HashSeed } from "../base/keyed-hash.ts";
import type { LimitKey } from "../model/route-config.ts";
import type { Head } from "../wire/head.ts";
import { findKeySpan, keySpan } from "./key-span.ts";

/**
 * Puts the hash of the request's key into `out`; false if the request has none, and then the limit is not for it.
 * address = the client's (4 or 16 bytes), null where there is none (unix sockets).
 */
export function limitKeyOf(
  key: LimitKey,
  head: Head,
  address: Uint8Array | null,
  seed: HashSeed,
  out: Hash64,
): boolean {
  if (key.from === "source") return addressKeyOf(address, seed, out);
  if (key.from === "route") {
    out.a = 1;
    out.b = 1;
    return true;
  }
  if (!findKeySpan(key as Exclude<LimitKey, { readonly from: "route" }>, head)) return false;
  beginHash(seed);
  feedBytes(head.bytes, keySpan.start, keySpan.end);
  finishHash(out);
  return true;
}
