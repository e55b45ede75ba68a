// Where the text stands that a request is told apart by: its path, a header, a cookie or a query argument. A span in
// the head's bytes, for whoever hashes it (hash-key.ts for balancers, limit-key.ts for limits).

import type { HashKey } from "../model/config.ts";
import { FIELD_VALUE, FIELD_VALUE_END, FIELD_WIDTH, type Head } from "../wire/head.ts";
import { findArgument, findCookie, findHeader, pathEnd, Span } from "../wire/lookup.ts";

/** What the last findKeySpan() found: bytes[start, end) of its head. */
export const keySpan = new Span();

/** Finds the key's text; false if the request has none. The client's address is not in the head: not to be asked. */
export function findKeySpan(key: HashKey, head: Head): boolean {
  const { bytes, targetStart, targetEnd } = head;
  switch (key.from) {
    case "source":
      return false;
    case "uri":
      return setSpan(targetStart, targetEnd);
    case "path":
      return setSpan(targetStart, pathEnd(bytes, targetStart, targetEnd));
    case "header": {
      const at = findHeader(head, key.name) * FIELD_WIDTH;
      return at >= 0 && setSpan(head.fields[at + FIELD_VALUE]!, head.fields[at + FIELD_VALUE_END]!);
    }
    case "cookie":
      return findCookie(head, key.name, keySpan);
    case "query":
      return findArgument(bytes, pathEnd(bytes, targetStart, targetEnd) + 1, targetEnd, key.name, keySpan);
  }
}

function setSpan(start: number, end: number): true {
  keySpan.start = start;
  keySpan.end = end;
  return true;
}
