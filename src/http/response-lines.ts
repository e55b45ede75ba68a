// The header lines that responses get on their way to the client, and the fields of the endpoint that go: limits, CORS,
// the route's edits, its hook, cookies, in this order, so that an edit may take away what came before it but not a
// cookie that keeps a session together.

import { Scratch } from "../base/bytes.ts";
import type { Head } from "../wire/head.ts";
import type { Exchange } from "./exchange.ts";
import { clientScheme } from "./forwarded.ts";
import { requestFacts } from "./request-facts.ts";

const lines = new Scratch(2048);

/** The result is valid until the next call. */
export const ResponseLines = {
  /** For an answer that came from an endpoint. */
  forEndpoint(x: Exchange, head: Head, viaLine: Uint8Array | null): Scratch {
    lines.length = 0;
    if (viaLine !== null) lines.putAll(viaLine);
    if (!x.route!.decorates) return lines;
    const request = decorate(x, head);
    putCookies(x, request, head);
    return lines;
  },

  /** For a redirect or a fixed answer of the route. */
  forOwn(x: Exchange, head: Head): Scratch {
    lines.length = 0;
    decorate(x, head);
    return lines;
  },

  /** For an error answer: what was to be added anyway, and who may read it. */
  forError(x: Exchange, more: Scratch): Scratch {
    lines.length = 0;
    lines.put(more.bytes, 0, more.length);
    x.route!.cors!.decorate(x.headAgain(), null, lines);
    return lines;
  },
};

function decorate(x: Exchange, head: Head): Head {
  const route = x.route!;
  const request = x.openAgain();
  x.limits.put(lines);
  if (route.cors !== null) route.cors.decorate(request, head, lines);
  if (route.responseEdits !== null) route.responseEdits.apply(head, lines, requestFacts);
  if (x.hooked !== null && x.hooked.view !== null) x.hooked.view.apply(head, lines);
  return request;
}

function putCookies(x: Exchange, request: Head, head: Head): void {
  const { attempts } = x;
  const { stickiness, pool } = attempts.pool!;
  const arms = x.route!.arms;
  if (stickiness === null && (arms === null || arms.sticky === null)) return;
  const secure = clientScheme(x.client!, request, x.listener) === "https";
  if (arms !== null && arms.sticky !== null && x.arm >= 0) arms.sticky.answered(x.armSticky, x.arm, secure, lines);
  if (stickiness === null) return;
  const keeps = pool.keepsPreferred(attempts.pick);
  stickiness.answered(attempts.sticky, attempts.index, keeps, head, secure, lines);
}
