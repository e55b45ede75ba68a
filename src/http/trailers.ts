// Trailer fields on their way through. A recipient may merge them with the fields of the head, so what a route removes
// or says by itself does not come in by this door; nothing is added to them. What never may stand in a trailer section
// the parser has marked already.

import type { Head } from "../wire/head.ts";
import type { Exchange } from "./exchange.ts";
import { dropForwarded } from "./forwarded.ts";

/** Marks the fields of a request's trailer section that go no further. */
export function cleanRequestTrailers(x: Exchange, head: Head): void {
  dropForwarded(head);
  for (const { replaces } of x.extras) if (replaces !== undefined) replaces.dropFrom(head);
  const { requestEdits } = x.route!;
  if (requestEdits !== null) requestEdits.replaced.dropFrom(head);
}

/** The same for a response. */
export function cleanResponseTrailers(x: Exchange, head: Head): void {
  const { responseEdits } = x.route!;
  if (responseEdits !== null) responseEdits.replaced.dropFrom(head);
}
