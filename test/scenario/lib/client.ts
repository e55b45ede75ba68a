// A raw HTTP/1.1 client for scenarios: sends exactly the bytes it is told, in the pieces it is told, reads responses
// strictly, pipelines, half-closes, resets and reads slowly. It has no opinion about what may be sent.

import { Outlet } from "./outlet.ts";
import { type RawResponse, readResponse } from "./response-reader.ts";
import { within } from "./wait.ts";

/** How the other side ended the connection. */
export type Ending = "fin" | "reset";

export interface ReadOptions {
  /** The request's method, for HEAD has no body. Default GET. */
  readonly method?: string;
  /** Default 5000. */
  readonly timeoutMs?: number;
}

/** One client connection. Closed by `using`. */
export interface RawClient extends Disposable {
  /** The local port, to find the connection in logs. */
  readonly localPort: number;
  /**
   * Sends bytes (text is Latin-1); resolves when the kernel has taken them all, rejects when the connection closes
   * first.
   */
  send(bytes: Uint8Array | string): Promise<void>;
  /** Sends each piece in a write of its own, with a turn of the event loop between. */
  sendPieces(pieces: readonly (Uint8Array | string)[]): Promise<void>;
  /** The next final response on this connection. Rejects on a malformed one and when it does not come whole in time. */
  read(options?: ReadOptions): Promise<RawResponse>;
  /** Exactly so many bytes, whatever they are; for connections that have changed protocol. */
  readBytes(count: number, timeoutMs?: number): Promise<Buffer>;
  /** Everything up to the end of the connection. */
  readToEnd(timeoutMs?: number): Promise<{ readonly bytes: Buffer; readonly ending: Ending }>;
  /** Bytes that have arrived and were not read yet. */
  unread(): Buffer;
  /** Bytes that have arrived in all. */
  received(): number;
  /** Throws away what arrived and what will: for bodies too long to keep. */
  discard(): void;
  /** How the other side has ended the connection; null while it has not. */
  ending(): Ending | null;
  /** Resolves when the other side has ended the connection. */
  waitForEnd(timeoutMs?: number): Promise<Ending>;
  /** Stops and resumes reading from the kernel. */
  pause(): void;
  resume(): void;
  /** Sends FIN; reading goes on. */
  finish(): void;
  /** Closes at once with a reset. */
  reset(): void;
  /** Closes both ways. */
  close(): void;
}

const TIMEOUT_MS = 5000;

interface ClientState {
  buffer: Buffer;
  received: number;
  ending: Ending | null;
  outlet: Outlet | null;
  /** True: what arrives is counted and thrown away. */
  discarding: boolean;
  /** Called at the next event, and forgotten. */
  waiters: (() => void)[];
}

function wake(state: ClientState): void {
  const waiters = state.waiters;
  state.waiters = [];
  for (const waiter of waiters) waiter();
}

function nextEvent(state: ClientState): Promise<void> {
  return new Promise((resolve) => state.waiters.push(resolve));
}

const handlers: Bun.SocketHandler<ClientState> = {
  data(socket, bytes) {
    const state = socket.data;
    state.received += bytes.length;
    if (!state.discarding) state.buffer = Buffer.concat([state.buffer, bytes]);
    wake(state);
  },
  drain: (socket) => socket.data.outlet?.pump(),
  end(socket) {
    socket.data.ending ??= "fin";
    wake(socket.data);
  },
  close(socket, error) {
    socket.data.ending ??= error === undefined ? "fin" : "reset";
    wake(socket.data);
  },
  error() {},
};

/** "127.0.0.1:80", "[::1]:80" or a URL's host -> host name and port. */
export function splitAddress(address: string): { hostname: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(address);
  if (match === null) throw new Error(`not an address: ${address}`);
  return { hostname: match[1] ?? match[2]!, port: Number(match[3]) };
}

class Client implements RawClient {
  private readonly state: ClientState;
  private readonly socket: Bun.Socket<ClientState>;
  private readonly outlet: Outlet;

  constructor(socket: Bun.Socket<ClientState>) {
    this.socket = socket;
    this.state = socket.data;
    this.outlet = new Outlet(socket);
    this.state.outlet = this.outlet;
  }

  get localPort(): number {
    return this.socket.localPort;
  }

  async send(bytes: Uint8Array | string): Promise<void> {
    let taken = false;
    this.outlet.send(bytes);
    this.outlet.afterwards(() => {
      taken = true;
      wake(this.state);
    });
    await this.until(
      () => (taken ? true : this.state.ending === "reset" ? fail("reset while sending") : null),
      60_000,
      "room to send",
    );
  }

  async sendPieces(pieces: readonly (Uint8Array | string)[]): Promise<void> {
    for (const piece of pieces) {
      await this.send(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async read(options: ReadOptions = {}): Promise<RawResponse> {
    const attempt = (): RawResponse | null => {
      const state = this.state;
      if (state.ending !== null && state.buffer.length === 0)
        fail(`connection ended (${state.ending}) before a response`);
      const result = readResponse(state.buffer, options.method ?? "GET", state.ending !== null);
      if (result === null) return null;
      if (result.response.framing === "close" && state.ending === "reset") fail("reset within a body");
      state.buffer = state.buffer.subarray(result.used);
      return result.response;
    };
    return await this.until(attempt, options.timeoutMs, "a response");
  }

  async readBytes(count: number, timeoutMs?: number): Promise<Buffer> {
    const attempt = (): Buffer | null => {
      const state = this.state;
      if (state.buffer.length < count) {
        return state.ending === null ? null : fail(`connection ended (${state.ending}) before ${count} bytes`);
      }
      const bytes = state.buffer.subarray(0, count);
      state.buffer = state.buffer.subarray(count);
      return bytes;
    };
    return await this.until(attempt, timeoutMs, `${count} bytes`);
  }

  async readToEnd(timeoutMs?: number): Promise<{ bytes: Buffer; ending: Ending }> {
    const ending = await this.waitForEnd(timeoutMs);
    const bytes = this.state.buffer;
    this.state.buffer = Buffer.alloc(0);
    return { bytes, ending };
  }

  unread(): Buffer {
    return this.state.buffer;
  }

  received(): number {
    return this.state.received;
  }

  discard(): void {
    this.state.discarding = true;
    this.state.buffer = Buffer.alloc(0);
  }

  ending(): Ending | null {
    return this.state.ending;
  }

  async waitForEnd(timeoutMs?: number): Promise<Ending> {
    return await this.until(() => this.state.ending, timeoutMs, "the end of the connection");
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  finish(): void {
    this.outlet.afterwards(() => this.socket.shutdown());
  }

  reset(): void {
    this.socket.terminate();
  }

  close(): void {
    this.socket.end();
  }

  [Symbol.dispose](): void {
    this.socket.terminate();
  }

  /** Tries at once and after every event, until there is a value. */
  private async until<T>(attempt: () => T | null, timeoutMs: number | undefined, what: string): Promise<T> {
    const state = this.state;
    const found = (async (): Promise<T> => {
      for (;;) {
        const value = attempt();
        if (value !== null) return value;
        await nextEvent(state);
      }
    })();
    return await within(found, timeoutMs ?? TIMEOUT_MS, () => {
      const seen = state.buffer.toString("latin1", 0, 500);
      return `${what}; ${state.buffer.length} bytes unread: ${JSON.stringify(seen)}`;
    });
  }
}

function fail(message: string): never {
  throw new Error(message);
}

export interface ConnectOptions {
  /** The local address to connect from, such as 127.0.0.9. */
  readonly from?: string;
}

/** Connects to "host:port" or "unix:/path". */
export async function connect(address: string, options: ConnectOptions = {}): Promise<RawClient> {
  const data: ClientState = {
    buffer: Buffer.alloc(0),
    received: 0,
    ending: null,
    outlet: null,
    discarding: false,
    waiters: [],
  };
  const local = options.from === undefined ? {} : { localAddress: options.from };
  const settings = { ...local, allowHalfOpen: true, data, socket: handlers };
  const socket = address.startsWith("unix:")
    ? await Bun.connect({ unix: address.slice(5), ...settings })
    : await Bun.connect({ ...splitAddress(address), ...settings });
  return new Client(socket);
}

/** A request for request(). */
export interface RequestOptions extends ConnectOptions {
  readonly method?: string;
  readonly path?: string;
  /** Field lines, "Name: value"; Host is added unless there is one, Content-Length when there is a body. */
  readonly headers?: readonly string[];
  readonly body?: Uint8Array | string;
  readonly timeoutMs?: number;
}

/** The bytes of a request, as request() would send them. */
export function requestBytes(address: string, options: RequestOptions = {}): Buffer {
  const lines = [`${options.method ?? "GET"} ${options.path ?? "/ok"} HTTP/1.1`, ...(options.headers ?? [])];
  const has = (name: string): boolean => lines.some((line) => line.toLowerCase().startsWith(`${name}:`));
  const body = Buffer.from(options.body ?? "");
  if (!has("host")) lines.splice(1, 0, `Host: ${address.startsWith("unix:") ? "localhost" : address}`);
  if (options.body !== undefined && !has("content-length") && !has("transfer-encoding")) {
    lines.push(`Content-Length: ${body.length}`);
  }
  return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), body]);
}

/** One request on a connection of its own, which is then closed. */
export async function request(address: string, options: RequestOptions = {}): Promise<RawResponse> {
  using client = await connect(address, options);
  await client.send(requestBytes(address, options));
  const timeout = options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs };
  return await client.read({ method: options.method ?? "GET", ...timeout });
}
