// From a request to the 32-bit hash that a hashing balancer wants: of the client address, the path, a header, a cookie
// or a query argument. A request without the key hashes to NO_KEY, and hashing balancers then take turns
// (balance/balancer.ts): one endpoint for all of them would be a hot spot.

import { hashBytes, hashText } from "../base/hash.ts";
import type { HashKey } from "../model/config.ts";
import { FIELD_VALUE, FIELD_VALUE_END, FIELD_WIDTH, type Head } from "../wire/head.ts";
import { findArgument, findCookie, findHeader, pathEnd, Span } from "../wire/lookup.ts";

/** The hash of a request that has no such key. A key that happens to hash to it takes turns too: one in 2^32. */
const NO_KEY = 0;
const found = new Span();

/** address = the client's address as text, for the source key; "unix:" is none. */
export function hashOf(key: HashKey, head: Head, address: string): number {
  const { bytes, targetStart, targetEnd } = head;
  switch (key.from) {
    case "source":
      return address.startsWith("unix:") ? NO_KEY : hashText(address);
    case "uri":
      return hashBytes(bytes, targetStart, targetEnd);
    case "path":
      return hashBytes(bytes, targetStart, pathEnd(bytes, targetStart, targetEnd));
    case "header":
      return hashOfHeader(head, key.name);
    case "cookie":
      return findCookie(head, key.name, found) ? hashBytes(bytes, found.start, found.end) : NO_KEY;
    case "query": {
      const start = pathEnd(bytes, targetStart, targetEnd) + 1;
      return findArgument(bytes, start, targetEnd, key.name, found) ? hashBytes(bytes, found.start, found.end) : NO_KEY;
    }
  }
}

function hashOfHeader(head: Head, name: string): number {
  const index = findHeader(head, name);
  if (index < 0) return NO_KEY;
  const at = index * FIELD_WIDTH;
  return hashBytes(head.bytes, head.fields[at + FIELD_VALUE]!, head.fields[at + FIELD_VALUE_END]!);
}
