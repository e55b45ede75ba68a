// The answers of the admin API: JSON throughout, errors with a hint.

const headers = { "content-type": "application/json; charset=utf-8", "cache-control": "no-store" } as const;

/** Pretty-printed, because people read it with curl. */
export function json(value: unknown, status = 200, more: Readonly<Record<string, string>> = {}): Response {
  return new Response(`${JSON.stringify(value, null, 2)}\n`, { status, headers: { ...headers, ...more } });
}

/** error: what is wrong, hint: what to do about it. */
export function refusal(
  status: number,
  error: string,
  hint: string,
  more: Readonly<Record<string, string>> = {},
): Response {
  return json({ error, hint }, status, more);
}

export function text(body: string, contentType: string, status = 200): Response {
  return new Response(body, { status, headers: { "content-type": contentType, "cache-control": "no-store" } });
}
