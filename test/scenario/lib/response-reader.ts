// Reads HTTP/1.1 responses on the client's side, strictly: what RFC 9112 does not allow is an error, so that a scenario
// fails when a proxy writes something that only lenient clients understand.

/** A response as it arrived. */
export interface RawResponse {
  readonly status: number;
  readonly reason: string;
  /** The whole head with its last empty line, byte for byte (Latin-1). */
  readonly head: string;
  /** Header fields in order, names as they came, values without surrounding white space. */
  readonly headers: readonly (readonly [string, string])[];
  /** The body without chunked framing. */
  readonly body: Buffer;
  /** Trailer fields of a chunked body. */
  readonly trailers: readonly (readonly [string, string])[];
  /** The interim (1xx) responses before it. */
  readonly interim: readonly { readonly status: number; readonly head: string }[];
  /** How the body's end was known. */
  readonly framing: "none" | "length" | "chunked" | "close";
  /** The first value of a header, by name in any case; null without one. */
  header(name: string): string | null;
  /** The body as text (UTF-8). */
  text(): string;
}

interface Head {
  readonly status: number;
  readonly reason: string;
  readonly head: string;
  readonly headers: readonly (readonly [string, string])[];
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// Field values: visible bytes and obs-text, with blanks between (RFC 9110 5.5).
const FIELD_VALUE = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;

/** Field lines without the last empty line. Throws on anything that is not a field line. */
function parseFields(lines: readonly string[]): (readonly [string, string])[] {
  return lines.map((line): readonly [string, string] => {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon));
    const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, "");
    if (!TOKEN.test(name) || !FIELD_VALUE.test(value)) throw new Error(`malformed field line: ${JSON.stringify(line)}`);
    return [name, value];
  });
}

function parseHead(head: string): Head {
  const [first = "", ...lines] = head.slice(0, -4).split("\r\n");
  const words = /^HTTP\/1\.1 ([1-5]\d\d) ([\t\x20-\x7e\x80-\xff]*)$/.exec(first);
  if (words === null) throw new Error(`malformed status line: ${JSON.stringify(first)}`);
  return { status: Number(words[1]), reason: words[2]!, head, headers: parseFields(lines) };
}

function valuesOf(head: Head, name: string): string[] {
  return head.headers.filter(([each]) => each.toLowerCase() === name).map(([, value]) => value);
}

/** How long the body is (RFC 9112 6.3); throws where a proxy must not be trusted to mean one thing. */
function framingOf(head: Head, method: string): { framing: RawResponse["framing"]; length: number } {
  const lengths = valuesOf(head, "content-length");
  const codings = valuesOf(head, "transfer-encoding");
  if (lengths.length > 1 || codings.length > 1 || (lengths.length > 0 && codings.length > 0)) {
    throw new Error(`ambiguous framing: ${JSON.stringify(head.head)}`);
  }
  const length = lengths[0];
  if (length !== undefined && !/^\d+$/.test(length)) throw new Error(`bad Content-Length: ${length}`);
  const bodyless = method === "HEAD" || head.status < 200 || head.status === 204 || head.status === 304;
  if (bodyless) {
    if (codings.length > 0 && method !== "HEAD") throw new Error(`Transfer-Encoding in a ${head.status} response`);
    return { framing: "none", length: 0 };
  }
  if (codings[0] !== undefined) {
    if (codings[0].toLowerCase() !== "chunked") throw new Error(`unknown transfer coding: ${codings[0]}`);
    return { framing: "chunked", length: 0 };
  }
  return length === undefined ? { framing: "close", length: 0 } : { framing: "length", length: Number(length) };
}

/**
 * Reads one chunked body from the beginning of the bytes. Null when it is not whole yet. Called again with more bytes
 * it begins anew, which is quadratic, but these bodies are small.
 */
function readChunked(bytes: Buffer): { body: Buffer; trailers: (readonly [string, string])[]; used: number } | null {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return null;
    const line = bytes.toString("latin1", at, lineEnd);
    if (!/^[0-9a-fA-F]{1,15}$/.test(line)) throw new Error(`bad chunk size line: ${JSON.stringify(line)}`);
    const size = parseInt(line, 16);
    at = lineEnd + 2;
    if (size === 0) break;
    if (bytes.length < at + size + 2) return null;
    if (bytes[at + size] !== 13 || bytes[at + size + 1] !== 10) throw new Error("chunk without CRLF at its end");
    parts.push(bytes.subarray(at, at + size));
    at += size + 2;
  }
  if (bytes.length < at + 2) return null;
  const empty = bytes[at] === 13 && bytes[at + 1] === 10;
  const end = empty ? at - 2 : bytes.indexOf("\r\n\r\n", at);
  if (end < 0) return null;
  const lines = empty ? [] : bytes.toString("latin1", at, end).split("\r\n");
  return { body: Buffer.concat(parts), trailers: parseFields(lines), used: end + 4 };
}

/** What was read, and how many bytes it took. */
export interface ReadResult {
  readonly response: RawResponse;
  readonly used: number;
}

/**
 * Reads one final response, with the interim ones before it, from the beginning of the bytes. Null when more is needed;
 * ended says that nothing more will come. Throws on what is malformed, and on a response that ends before its end.
 */
export function readResponse(bytes: Buffer, method: string, ended: boolean): ReadResult | null {
  const interim: { status: number; head: string }[] = [];
  let at = 0;
  for (;;) {
    const end = bytes.indexOf("\r\n\r\n", at);
    if (end < 0) {
      if (ended) throw new Error(`connection closed within a head: ${JSON.stringify(bytes.toString("latin1", at))}`);
      return null;
    }
    const head = parseHead(bytes.toString("latin1", at, end + 4));
    at = end + 4;
    if (head.status < 200 && head.status !== 101) {
      interim.push({ status: head.status, head: head.head });
      continue;
    }
    const body = readBody(head, method, bytes.subarray(at), ended);
    if (body === null) return null;
    const { framing, used, ...content } = body;
    const response: RawResponse = {
      ...head,
      ...content,
      framing,
      interim,
      header: (name) => valuesOf(head, name.toLowerCase())[0] ?? null,
      text: () => content.body.toString(),
    };
    return { response, used: at + used };
  }
}

interface Body {
  readonly body: Buffer;
  readonly trailers: readonly (readonly [string, string])[];
  readonly framing: RawResponse["framing"];
  readonly used: number;
}

function readBody(head: Head, method: string, rest: Buffer, ended: boolean): Body | null {
  const { framing, length } = framingOf(head, method);
  const cut = (had: string): never => {
    throw new Error(`connection closed within a body (${had})`);
  };
  switch (framing) {
    case "none":
      return { body: Buffer.alloc(0), trailers: [], framing, used: 0 };
    case "close":
      return ended ? { body: rest, trailers: [], framing, used: rest.length } : null;
    case "length":
      if (rest.length >= length) return { body: rest.subarray(0, length), trailers: [], framing, used: length };
      return ended ? cut(`${rest.length} of ${length} bytes`) : null;
    case "chunked": {
      const chunks = readChunked(rest);
      if (chunks !== null) return { ...chunks, framing };
      return ended ? cut(`chunked, ${rest.length} bytes so far`) : null;
    }
  }
}
