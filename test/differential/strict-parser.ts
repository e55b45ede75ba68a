// A naive HTTP/1.1 request parser that shares nothing with the program: regular expressions over the text of everything
// an origin received. It accepts only what no two parsers can read in different ways, and says what is wrong with the
// rest.

export interface StrictRequest {
  readonly method: string;
  readonly target: string;
  /** Field lines without their line ends. */
  readonly lines: readonly string[];
  readonly body: string;
}

export interface StrictReading {
  /** Whole requests, in order. */
  readonly requests: readonly StrictRequest[];
  /** What follows them: nothing, the beginning of a request that is good so far, or something ambiguous. */
  readonly rest: "nothing" | "incomplete" | "ambiguous";
  /** Why it is ambiguous. */
  readonly problem: string;
}

const REQUEST_LINE = /^([A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP\/1\.1$/;
const VALUE = "[\\x21-\\x7e\\x80-\\xff](?:[\\t\\x20-\\x7e\\x80-\\xff]*[\\x21-\\x7e\\x80-\\xff])?";
const FIELD_LINE = new RegExp(`^([!#$%&'*+\\-.^_\`|~0-9A-Za-z]+):[ \\t]*(${VALUE})?[ \\t]*$`);
const INCOMPLETE = "incomplete";

interface Taken {
  readonly request: StrictRequest;
  readonly used: number;
}

function problem(what: string): never {
  throw new Error(what);
}

function valuesOf(lines: readonly string[], name: string): string[] {
  return lines
    .map((line) => FIELD_LINE.exec(line) ?? problem(`field line ${JSON.stringify(line)}`))
    .filter((match) => match[1]!.toLowerCase() === name)
    .map((match) => match[2] ?? "");
}

function takeChunked(text: string): { readonly body: string; readonly used: number } | typeof INCOMPLETE {
  let body = "";
  for (let at = 0; ;) {
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd < 0) return /^[0-9a-fA-F]{0,8}\r?$/.test(text.slice(at)) ? INCOMPLETE : problem("chunk size");
    const line = text.slice(at, lineEnd);
    if (!/^[0-9a-fA-F]{1,8}$/.test(line)) problem(`chunk size ${JSON.stringify(line)}`);
    const size = Number.parseInt(line, 16);
    at = lineEnd + 2;
    if (size === 0) {
      const end = text.startsWith("\r\n", at) ? at : text.indexOf("\r\n\r\n", at) + 2;
      if (end < at) return INCOMPLETE;
      for (const trailer of text.slice(at, end).split("\r\n").slice(0, -1)) valuesOf([trailer], "");
      return { body, used: end + 2 };
    }
    if (text.length < at + size + 2) return INCOMPLETE;
    if (text.slice(at + size, at + size + 2) !== "\r\n") problem("chunk end");
    body += text.slice(at, at + size);
    at += size + 2;
  }
}

function take(text: string): Taken | typeof INCOMPLETE {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return INCOMPLETE;
  const [first = "", ...lines] = text.slice(0, end).split("\r\n");
  const words = REQUEST_LINE.exec(first) ?? problem(`request line ${JSON.stringify(first)}`);
  if (/[\r\n\0]/.test(text.slice(0, end).replaceAll("\r\n", ""))) problem("line break or NUL in the head");
  const hosts = valuesOf(lines, "host");
  const lengths = valuesOf(lines, "content-length");
  const codings = valuesOf(lines, "transfer-encoding");
  if (hosts.length !== 1 || hosts[0] === "") problem(`${hosts.length} Host fields`);
  if (lengths.length + codings.length > 1) problem("more than one framing field");
  if (lengths.some((value) => !/^\d{1,15}$/.test(value))) problem(`Content-Length ${lengths.join()}`);
  if (codings.some((value) => value.toLowerCase() !== "chunked")) problem(`Transfer-Encoding ${codings.join()}`);
  const behind = text.slice(end + 4);
  const request = { method: words[1]!, target: words[2]!, lines };
  if (codings.length === 1) {
    const chunked = takeChunked(behind);
    if (chunked === INCOMPLETE) return INCOMPLETE;
    return { request: { ...request, body: chunked.body }, used: end + 4 + chunked.used };
  }
  const length = Number(lengths[0] ?? 0);
  if (behind.length < length) return INCOMPLETE;
  return { request: { ...request, body: behind.slice(0, length) }, used: end + 4 + length };
}

/** Reads everything that was received on one connection, as Latin-1 text. */
export function readStrictly(received: string): StrictReading {
  const requests: StrictRequest[] = [];
  let text = received;
  try {
    while (text !== "") {
      const taken = take(text);
      if (taken === INCOMPLETE) return { requests, rest: "incomplete", problem: "" };
      requests.push(taken.request);
      text = text.slice(taken.used);
    }
    return { requests, rest: "nothing", problem: "" };
  } catch (error) {
    return { requests, rest: "ambiguous", problem: (error as Error).message };
  }
}
