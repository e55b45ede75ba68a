// Reads the answer to one HTTP check and says whether it is what the configuration expects. Strict and small on
// purpose: it shares no code with the proxy's own codec, so that a bug there cannot take every endpoint down at once.

import { chunkLineBytesMax, interimResponsesMax, probeBodyBytesMax, probeHeadBytesMax } from "../base/limits.ts";

/** What an answer must look like. */
export interface Expectation {
  /** HEAD answers have no body whatever their fields say. */
  readonly method: string;
  /** Inclusive ranges. */
  readonly expectStatus: readonly (readonly [number, number])[];
  readonly expectBody: string | null;
}

export interface Verdict {
  readonly ok: boolean;
  /** "" when ok, else a short sentence without a full stop. */
  readonly reason: string;
}

export const passed: Verdict = { ok: true, reason: "" };

export function failed(reason: string): Verdict {
  return { ok: false, reason };
}

/** Ranges as the configuration writes them: "200-299, 304". */
export function formatStatusRanges(ranges: readonly (readonly [number, number])[]): string {
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(", ");
}

const State = { Head: 0, Fixed: 1, UntilClose: 2, ChunkSize: 3, ChunkData: 4, ChunkEnd: 5, Done: 6 } as const;
type State = (typeof State)[keyof typeof State];

const LF = 10;
const statusLine = /^HTTP\/1\.[01] ([1-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const fieldLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*([\t\x20-\x7e\x80-\xff]*?)[\t ]*$/;

/** A streaming reader of one answer. Work is linear in the bytes given; memory is one head. */
export class AnswerReader {
  /** null until there is one; it never changes afterwards. */
  verdict: Verdict | null = null;
  private readonly expected: Expectation;
  private readonly needle: Uint8Array | null;
  private readonly fallback: Int32Array;
  private matched = 0;
  private state: State = State.Head;
  private head = "";
  private interim = 0;
  private left = 0;
  private line = "";
  private bodyBytes = 0;

  constructor(expected: Expectation) {
    this.expected = expected;
    this.needle = expected.expectBody ? new TextEncoder().encode(expected.expectBody) : null;
    this.fallback = fallbackTable(this.needle);
  }

  /** True once nothing more of the connection is worth reading: the message is whole, broken or too long. */
  get complete(): boolean {
    return this.state === State.Done;
  }

  /**
   * The next bytes of the connection. Goes on after the verdict, so that the endpoint can finish its answer in peace.
   */
  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length && this.state !== State.Done) {
      if (this.state === State.Head) at = this.collectHead(bytes, at);
      else this.takeBody(bytes[at++]!);
    }
  }

  /** The peer has closed its side: the last chance for a verdict. */
  finish(): void {
    if (this.state === State.UntilClose) this.endOfBody();
    else if (this.state === State.Head) this.refuse("connection closed before an answer");
    else if (this.state !== State.Done) this.refuse("connection closed in the body");
  }

  private decide(verdict: Verdict): void {
    this.verdict ??= verdict;
  }

  private refuse(reason: string): void {
    this.decide(failed(reason));
    this.state = State.Done;
  }

  private endOfBody(): void {
    if (this.needle === null) this.decide(passed);
    else this.decide(failed(`body lacks ${JSON.stringify(shortened(this.expected.expectBody!))}`));
    this.state = State.Done;
  }

  /** Takes head bytes from bytes[at, …); returns where the rest begins. */
  private collectHead(bytes: Uint8Array, at: number): number {
    const start = this.head.length;
    this.head += latin1(bytes.subarray(at, at + probeHeadBytesMax - start));
    const end = this.head.indexOf("\r\n\r\n", Math.max(0, start - 3));
    if (end < 0) {
      if (this.head.length >= probeHeadBytesMax) {
        this.refuse(`malformed response: head longer than ${probeHeadBytesMax} bytes`);
      }
      return bytes.length;
    }
    const text = this.head.slice(0, end);
    this.head = "";
    this.takeHead(text);
    return at + end + 4 - start;
  }

  private takeHead(text: string): void {
    const [first = "", ...lines] = text.split("\r\n");
    const match = statusLine.exec(first);
    if (match === null) return this.refuse("malformed response: not an HTTP/1 status line");
    const status = Number(match[1]);
    let length = -1;
    let chunked = false;
    for (const line of lines) {
      const field = fieldLine.exec(line);
      if (field === null) return this.refuse("malformed response: bad header line");
      const name = field[1]!.toLowerCase();
      const value = field[2]!;
      if (name === "transfer-encoding") {
        if (chunked || value.toLowerCase() !== "chunked")
          return this.refuse("malformed response: bad Transfer-Encoding");
        chunked = true;
      } else if (name === "content-length") {
        if (length >= 0 || !/^[0-9]{1,15}$/.test(value)) return this.refuse("malformed response: bad Content-Length");
        length = Number(value);
      }
    }
    if (chunked && length >= 0) return this.refuse("malformed response: Content-Length with Transfer-Encoding");
    if (status === 101) return this.refuse("status 101 without having asked for an upgrade");
    if (status < 200) {
      if (++this.interim > interimResponsesMax) this.refuse("malformed response: too many interim answers");
      return;
    }
    this.takeFinal(status, length, chunked);
  }

  private takeFinal(status: number, length: number, chunked: boolean): void {
    if (!this.expected.expectStatus.some(([from, to]) => status >= from && status <= to)) {
      this.decide(failed(`status ${status}, expected ${formatStatusRanges(this.expected.expectStatus)}`));
    } else if (this.needle === null) this.decide(passed);
    this.left = length;
    const empty = this.expected.method === "HEAD" || status === 204 || status === 304;
    if (empty || (!chunked && length === 0)) this.endOfBody();
    else if (chunked) this.state = State.ChunkSize;
    else this.state = length < 0 ? State.UntilClose : State.Fixed;
  }

  private takeBody(byte: number): void {
    switch (this.state) {
      case State.Fixed:
        this.left--;
        this.match(byte);
        if (this.left === 0) this.endOfBody();
        break;
      case State.UntilClose:
        this.match(byte);
        break;
      case State.ChunkSize:
        this.takeChunkLine(byte);
        break;
      case State.ChunkData:
        if (--this.left === 0) this.state = State.ChunkEnd;
        this.match(byte);
        break;
      default: // the CRLF after a chunk's data
        this.line += String.fromCharCode(byte);
        if (this.line.length < 2) break;
        if (this.line !== "\r\n") return this.refuse("malformed response: bad chunk");
        this.line = "";
        this.state = State.ChunkSize;
    }
  }

  private takeChunkLine(byte: number): void {
    if (byte !== LF) {
      this.line += String.fromCharCode(byte);
      if (this.line.length > chunkLineBytesMax) this.refuse("malformed response: bad chunk size");
      return;
    }
    const match = /^([0-9A-Fa-f]{1,12})(?:[\t ]*;[^\r]*)?\r$/.exec(this.line);
    this.line = "";
    if (match === null) return this.refuse("malformed response: bad chunk size");
    this.left = Number.parseInt(match[1]!, 16);
    if (this.left > 0) this.state = State.ChunkData;
    else this.endOfBody(); // a trailer section would decide nothing
  }

  /** Feeds one body byte to the search for the expected text (Knuth, Morris, Pratt). */
  private match(byte: number): void {
    if (++this.bodyBytes >= probeBodyBytesMax) return this.endOfBody();
    if (this.needle === null || this.verdict !== null) return;
    while (this.matched > 0 && this.needle[this.matched] !== byte) this.matched = this.fallback[this.matched - 1]!;
    if (this.needle[this.matched] === byte) this.matched++;
    if (this.matched === this.needle.length) this.decide(passed);
  }
}

/** For each prefix of needle the length of its longest proper border. */
function fallbackTable(needle: Uint8Array | null): Int32Array {
  if (needle === null) return new Int32Array(0);
  const table = new Int32Array(needle.length);
  for (let i = 1, length = 0; i < needle.length;) {
    if (needle[i] === needle[length]) table[i++] = ++length;
    else if (length > 0) length = table[length - 1]!;
    else table[i++] = 0;
  }
  return table;
}

function shortened(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return text;
}
