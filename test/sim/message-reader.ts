// A strict incremental reader of HTTP/1.1 messages for the scripted peers, written from RFC 9112 and on purpose sharing
// nothing with the proxy's parser. Whatever the proxy sends that is not beyond doubt is an error here.

export interface SimHead {
  readonly startLine: string;
  /** "Name: value", as they came. */
  readonly lines: readonly string[];
}

/** What follows a head. */
export type BodyRule =
  { readonly kind: "none" | "chunked" | "close" | "tunnel" } | { readonly kind: "length"; readonly length: number };

export interface MessageSink {
  /** Decides what follows; framing is what the head itself says (RFC 9112 6.3, from 4 on). */
  onHead(head: SimHead, framing: BodyRule): BodyRule;
  onBody(bytes: Uint8Array): void;
  onEnd(trailers: readonly string[]): void;
  onTunnel(bytes: Uint8Array): void;
  /** The stream breaks the rules; nothing further is read. */
  onError(message: string): void;
}

type State = "head" | "length" | "size" | "data" | "crlf" | "trailers" | "close" | "tunnel" | "over";

const empty = new Uint8Array(0);
const lineBytesMax = 64 * 1024;
const fieldLine = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*$/;

export class MessageReader {
  private readonly kind: "request" | "response";
  private readonly sink: MessageSink;
  private state: State = "head";
  /** Bytes of a line or head that is not whole yet. */
  private rest: Uint8Array = empty;
  private left = 0;
  private trailers: string[] = [];
  private feeding = false;

  constructor(kind: "request" | "response", sink: MessageSink) {
    this.kind = kind;
    this.sink = sink;
  }

  /** Nothing of a message has arrived since the last one ended. */
  get isBetween(): boolean {
    return this.state === "head" && this.rest.length === 0;
  }

  get isWithinHead(): boolean {
    return this.state === "head" && this.rest.length > 0;
  }

  feed(bytes: Uint8Array): void {
    this.rest = this.rest.length === 0 ? bytes : Buffer.concat([this.rest, bytes]);
    if (this.feeding) return;
    this.feeding = true;
    while (this.rest.length > 0 && this.advance());
    this.feeding = false;
  }

  /** FIN. True if the stream may end here. */
  finish(): boolean {
    if (this.state === "close") {
      this.state = "over";
      this.sink.onEnd([]);
      return true;
    }
    return this.state === "tunnel" || this.isBetween;
  }

  /** Reads no more. */
  stop(): void {
    this.state = "over";
    this.rest = empty;
  }

  /** One step; false when more bytes are needed. */
  private advance(): boolean {
    switch (this.state) {
      case "head":
        return this.readHead();
      case "length":
      case "data":
        return this.readCounted();
      case "size":
        return this.readSize();
      case "crlf":
        return this.readCrlf();
      case "trailers":
        return this.readTrailers();
      case "close":
        this.sink.onBody(this.takeAll());
        return true;
      case "tunnel":
        this.sink.onTunnel(this.takeAll());
        return true;
      case "over":
        this.rest = empty;
        return false;
    }
  }

  private fail(message: string): boolean {
    this.stop();
    this.sink.onError(message);
    return false;
  }

  private takeAll(): Uint8Array {
    const all = this.rest;
    this.rest = empty;
    return all;
  }

  /** A line without its CRLF; null = not whole yet. */
  private takeLine(): string | null {
    const end = this.rest.indexOf(10);
    if (end < 0) {
      if (this.rest.length > lineBytesMax) this.fail("line without end");
      return null;
    }
    const text = Buffer.from(this.rest.subarray(0, end)).toString("latin1");
    this.rest = this.rest.subarray(end + 1);
    if (!text.endsWith("\r")) {
      this.fail("bare LF");
      return null;
    }
    return text.slice(0, -1);
  }

  private readHead(): boolean {
    const { rest } = this;
    const buffer = Buffer.from(rest.buffer, rest.byteOffset, rest.length);
    const end = buffer.indexOf("\r\n\r\n");
    if (end < 0) return false;
    const [startLine = "", ...lines] = buffer.toString("latin1", 0, end).split("\r\n");
    this.rest = rest.subarray(end + 4);
    const pattern =
      this.kind === "request"
        ? /^[!-~]+ [!-~\x80-\xff]+ HTTP\/1\.1$/
        : /^HTTP\/1\.1 [1-5]\d\d(?: [\t\x20-\x7e\x80-\xff]*)?$/;
    if (!pattern.test(startLine)) return this.fail(`start line ${JSON.stringify(startLine)}`);
    const bad = lines.find((line) => !fieldLine.test(line));
    if (bad !== undefined) return this.fail(`field line ${JSON.stringify(bad)}`);
    const framing = framingOf(this.kind, lines);
    if (typeof framing === "string") return this.fail(framing);
    this.begin(this.sink.onHead({ startLine, lines }, framing));
    return true;
  }

  private begin(rule: BodyRule): void {
    if (this.state === "over") return;
    this.trailers = [];
    if (rule.kind === "length") this.left = rule.length;
    if (rule.kind === "none" || (rule.kind === "length" && rule.length === 0)) this.end();
    else this.state = rule.kind === "chunked" ? "size" : rule.kind;
  }

  private end(): void {
    this.state = "head";
    this.sink.onEnd(this.trailers);
  }

  private readCounted(): boolean {
    const size = Math.min(this.left, this.rest.length);
    const bytes = this.rest.subarray(0, size);
    this.rest = this.rest.subarray(size);
    this.left -= size;
    this.sink.onBody(bytes);
    if (this.left > 0 || this.state === "over") return false;
    if (this.state === "length") this.end();
    else this.state = "crlf";
    return true;
  }

  private readSize(): boolean {
    const line = this.takeLine();
    if (line === null) return false;
    if (!/^[0-9A-Fa-f]{1,13}$/.test(line)) return this.fail(`chunk size ${JSON.stringify(line)}`);
    this.left = parseInt(line, 16);
    this.state = this.left === 0 ? "trailers" : "data";
    return true;
  }

  private readCrlf(): boolean {
    if (this.rest.length < 2) return false;
    if (this.rest[0] !== 13 || this.rest[1] !== 10) return this.fail("no CRLF behind a chunk");
    this.rest = this.rest.subarray(2);
    this.state = "size";
    return true;
  }

  private readTrailers(): boolean {
    const line = this.takeLine();
    if (line === null) return false;
    if (line === "") this.end();
    else if (!fieldLine.test(line)) return this.fail(`trailer line ${JSON.stringify(line)}`);
    else this.trailers.push(line);
    return true;
  }
}

/** The values of a field, by its lower-case name. */
export function valuesOf(lines: readonly string[], name: string): readonly string[] {
  const prefix = `${name}:`;
  return lines.filter((line) => line.toLowerCase().startsWith(prefix)).map((line) => line.slice(prefix.length).trim());
}

function framingOf(kind: "request" | "response", lines: readonly string[]): BodyRule | string {
  const lengths = valuesOf(lines, "content-length");
  const codings = valuesOf(lines, "transfer-encoding");
  if (lengths.length + codings.length > 1) return "more than one framing field";
  if (codings.length === 1) return codings[0] === "chunked" ? { kind: "chunked" } : `coding ${codings[0]}`;
  if (lengths.length === 0) return { kind: kind === "request" ? "none" : "close" };
  if (!/^\d{1,15}$/.test(lengths[0]!)) return `length ${lengths[0]}`;
  return { kind: "length", length: Number(lengths[0]) };
}
