// Header fields that no edit touches: they frame a message or belong to one connection. The validator refuses them, and
// what is compiled leaves them out.

/** Lower case. The Host of a request is changed by a rewrite. */
export const fixedFields: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
