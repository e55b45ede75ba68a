// Reads HTTP/1.1 requests on the origin's side, as bytes come, and keeps exactly what arrived. It trusts the proxy that
// is being tested only so far: framing it cannot follow is an error, and scenarios see it in the origin's list of
// errors.

/** A request as it arrived. */
export interface RecordedRequest {
  /** Number of the connection it came on, from 1. */
  readonly connection: number;
  /** Number of the request on that connection, from 1. */
  readonly sequence: number;
  readonly method: string;
  /** The request target, byte for byte (Latin-1). */
  readonly target: string;
  /** The whole head with its last empty line, byte for byte (Latin-1). */
  readonly head: string;
  /** Header fields in order, names as they came, values without surrounding white space. */
  readonly headers: readonly (readonly [string, string])[];
  /** The body without chunked framing; of a long one, the first BODY_KEPT_MAX bytes. */
  body: Uint8Array;
  /** Bytes of the whole body. */
  bodyLength: number;
  /** The trailer section, byte for byte; "" without one. */
  trailers: string;
  /** True once the whole request has arrived. */
  complete: boolean;
}

/** So many bytes of each body are kept. */
export const BODY_KEPT_MAX = 64 * 1024;
const HEAD_BYTES_MAX = 2 * 1024 * 1024;

const Part = { Size: 0, Data: 1, DataEnd: 2, Trailers: 3 } as const;
type Part = (typeof Part)[keyof typeof Part];

/** What the reader tells, in order: onHead, onBody for each piece, onEnd. */
export interface RequestEvents {
  onHead(request: RecordedRequest): void;
  onBody(request: RecordedRequest, bytes: Uint8Array): void;
  onEnd(request: RecordedRequest): void;
}

/** The first value of a header, by name in any case. */
export function headerOf(request: { readonly headers: RecordedRequest["headers"] }, name: string): string | undefined {
  const wanted = name.toLowerCase();
  return request.headers.find(([each]) => each.toLowerCase() === wanted)?.[1];
}

/** Parses a head that ends with an empty line. Throws on a malformed one. */
function parseHead(head: string, connection: number, sequence: number): RecordedRequest {
  const [first = "", ...lines] = head.slice(0, -4).split("\r\n");
  const words = /^(\S+) (\S+) HTTP\/1\.[01]$/.exec(first);
  if (words === null) throw new Error(`malformed request line: ${JSON.stringify(first)}`);
  const headers = lines.map((line): readonly [string, string] => {
    const field = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/.exec(line);
    if (field === null || line.includes("\n")) throw new Error(`malformed header line: ${JSON.stringify(line)}`);
    return [field[1]!, field[2]!];
  });
  return {
    connection,
    sequence,
    method: words[1]!,
    target: words[2]!,
    head,
    headers,
    body: new Uint8Array(0),
    bodyLength: 0,
    trailers: "",
    complete: false,
  };
}

/** One connection's reader. After a request's end it waits for next(), so that answers never overlap. */
export class RequestReader {
  private buffer = Buffer.alloc(0);
  private request: RecordedRequest | null = null;
  private ended = false;
  private chunked = false;
  /** Where in a chunked body we are; unused for others. */
  private part: Part = Part.Size;
  /** Bytes left of the body or of the current chunk. */
  private left = 0;
  private sequence = 0;
  private readonly connection: number;
  private readonly events: RequestEvents;

  constructor(connection: number, events: RequestEvents) {
    this.connection = connection;
    this.events = events;
  }

  /** Bytes that wait for next() or for the rest of a line. */
  get buffered(): number {
    return this.buffer.length;
  }

  /** True between onHead and next(). */
  get busy(): boolean {
    return this.request !== null;
  }

  /** Throws on malformed input; the connection is then of no more use. */
  push(bytes: Uint8Array): void {
    this.buffer = this.buffer.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.buffer, bytes]);
    this.run();
  }

  /** The answer to the current request is out: go on with the next one. */
  next(): void {
    this.request = null;
    this.run();
  }

  /** Takes what is left unparsed, for a connection that changes protocol. */
  takeRest(): Uint8Array {
    const rest = this.buffer;
    this.buffer = Buffer.alloc(0);
    return rest;
  }

  private run(): void {
    if (this.request === null && !this.readHead()) return;
    const request = this.request;
    if (request === null || this.ended) return;
    if (this.chunked ? !this.readChunks(request) : !this.readBody(request)) return;
    request.complete = true;
    this.ended = true;
    this.events.onEnd(request);
  }

  private readHead(): boolean {
    const end = this.buffer.indexOf("\r\n\r\n");
    if (end < 0) {
      if (this.buffer.length > HEAD_BYTES_MAX) throw new Error("request head without end");
      return false;
    }
    const head = this.take(end + 4).toString("latin1");
    const request = parseHead(head, this.connection, ++this.sequence);
    const length = headerOf(request, "content-length");
    const encoding = headerOf(request, "transfer-encoding");
    if (length !== undefined && !/^\d+$/.test(length)) throw new Error(`bad Content-Length: ${length}`);
    if (encoding !== undefined && encoding.toLowerCase() !== "chunked") throw new Error(`bad coding: ${encoding}`);
    if (length !== undefined && encoding !== undefined) throw new Error("Content-Length with Transfer-Encoding");
    this.request = request;
    this.ended = false;
    this.chunked = encoding !== undefined;
    this.part = Part.Size;
    this.left = Number(length ?? 0);
    this.events.onHead(request);
    return true;
  }

  private take(count: number): Buffer {
    const taken = this.buffer.subarray(0, count);
    this.buffer = this.buffer.subarray(count);
    return taken;
  }

  private takeLine(): string | null {
    const end = this.buffer.indexOf("\r\n");
    return end < 0 ? null : this.take(end + 2).toString("latin1", 0, end);
  }

  private record(request: RecordedRequest, bytes: Buffer): void {
    const room = BODY_KEPT_MAX - request.body.length;
    if (room > 0 && bytes.length > 0) request.body = Buffer.concat([request.body, bytes.subarray(0, room)]);
    request.bodyLength += bytes.length;
    if (bytes.length > 0) this.events.onBody(request, bytes);
  }

  private readBody(request: RecordedRequest): boolean {
    const bytes = this.take(Math.min(this.left, this.buffer.length));
    this.left -= bytes.length;
    this.record(request, bytes);
    return this.left === 0;
  }

  /** True when the last chunk and the trailers have been read. */
  private readChunks(request: RecordedRequest): boolean {
    while (this.part !== Part.Trailers) {
      if (this.part === Part.Data) {
        if (!this.readBody(request)) return false;
        this.part = Part.DataEnd;
      }
      const line = this.takeLine();
      if (line === null) return false;
      if (this.part === Part.DataEnd) {
        if (line !== "") throw new Error("chunk without CRLF at its end");
        this.part = Part.Size;
      } else {
        if (!/^[0-9a-fA-F]+$/.test(line)) throw new Error(`bad chunk size line: ${JSON.stringify(line)}`);
        this.left = parseInt(line, 16);
        this.part = this.left === 0 ? Part.Trailers : Part.Data;
      }
    }
    return this.readTrailers(request);
  }

  private readTrailers(request: RecordedRequest): boolean {
    for (;;) {
      const line = this.takeLine();
      if (line === null) return false;
      if (line === "") return true;
      request.trailers += `${line}\r\n`;
    }
  }
}
