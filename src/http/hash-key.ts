// From a request to the 32-bit hash that a hashing balancer wants: of the client address, the path, a header, a cookie
// or a query argument. A request without the key hashes to NO_KEY, and hashing balancers then take turns
// (balance/balancer.ts): one endpoint for all of them would be a hot spot.

import { hashBytes, hashText } from "../base/hash.ts";
import type { HashKey } from "../model/config.ts";
import type { Head } from "../wire/head.ts";
import { findKeySpan, keySpan } from "./key-span.ts";

/** The hash of a request that has no such key. A key that happens to hash to it takes turns too: one in 2^32. */
const NO_KEY = 0;

/** address = the client's address as text, for the source key; "unix:" is none. */
export function hashOf(key: HashKey, head: Head, address: string): number {
  if (key.from === "source") return address.startsWith("unix:") ? NO_KEY : hashText(address);
  return findKeySpan(key, head) ? hashBytes(head.bytes, keySpan.start, keySpan.end) : NO_KEY;
}
