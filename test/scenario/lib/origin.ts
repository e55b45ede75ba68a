// A scripted HTTP/1.1 origin on raw sockets: it answers by path (origin-behaviours.ts lists the paths), records what
// arrived byte for byte, and counts connections. It runs inside the test; origin-child.ts runs it in a process of its
// own, which can be stopped and killed.

import { type Behaviour, BEHAVIOURS, notFound, type OriginExchange } from "./origin-behaviours.ts";
import { acceptWebSocket, isWebSocketRequest } from "./origin-websocket.ts";
import { Outlet } from "./outlet.ts";
import { type RecordedRequest, RequestReader } from "./request-reader.ts";

export interface OriginOptions {
  /** Goes into every answer, as X-Origin, and into the body of /ok. */
  readonly name: string;
  /** Default 0: any free port. A port of one's own is for an origin that comes back. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly ip?: string;
  /** Listens on a unix socket instead. */
  readonly unixPath?: string;
}

/** Counters and what went wrong, as plain data. */
export interface OriginStats {
  /** Connections accepted since the start. */
  readonly accepted: number;
  /** Connections open now. */
  readonly open: number;
  /** Requests whose head arrived, all and by path without query. */
  readonly requests: number;
  readonly byPath: Readonly<Record<string, number>>;
  /** Input that was not HTTP, one sentence each; the first hundred. */
  readonly errors: readonly string[];
}

/** An origin inside the test. */
export interface Origin extends AsyncDisposable {
  readonly name: string;
  readonly port: number;
  /** "127.0.0.1:PORT", "[::1]:PORT" or "unix:/path", for an endpoints list. */
  readonly address: string;
  stats(): OriginStats;
  /** The last thousand requests, oldest first; those still arriving are among them. */
  requests(): readonly RecordedRequest[];
  /** The last request with this path (without query). Throws when there was none. */
  last(path: string): RecordedRequest;
  /** Adds or replaces the behaviour of a path, for this origin only. */
  on(path: string, behaviour: Behaviour): void;
  /** Closes all open connections (with a reset), goes on listening. */
  dropConnections(): void;
  /** Stops listening and closes everything. */
  close(): Promise<void>;
}

const RECORDS_MAX = 1000;
const ERRORS_MAX = 100;
/** A connection whose current request is not answered yet is read no further than this many bytes ahead. */
const AHEAD_BYTES_MAX = 1 << 20;

type Socket = Bun.Socket<OriginConnection>;

interface OriginState {
  readonly name: string;
  readonly behaviours: Map<string, Behaviour>;
  readonly records: RecordedRequest[];
  readonly errors: string[];
  readonly byPath: Record<string, number>;
  readonly open: Set<OriginConnection>;
  accepted: number;
  requests: number;
}

/** "/slow?ms=5" -> "/slow" and its arguments; also for absolute-form targets. */
function splitTarget(target: string): { path: string; query: URLSearchParams } {
  const url = new URL(target.startsWith("/") ? `http://origin${target}` : target, "http://origin/");
  return { path: url.pathname, query: url.searchParams };
}

class OriginConnection {
  readonly number: number;
  private readonly state: OriginState;
  private readonly socket: Socket;
  private readonly outlet: Outlet;
  private readonly reader: RequestReader;
  private exchange: OriginExchange | null = null;
  /** Set once the connection has changed protocol. */
  private raw: ((bytes: Uint8Array) => void) | null = null;
  private answered = false;
  private paused = false;
  private peerFinished = false;
  /** No more requests are read; the connection closes when everything is written. */
  private closing = false;
  closed = false;

  constructor(state: OriginState, socket: Socket) {
    this.state = state;
    this.socket = socket;
    this.number = ++state.accepted;
    this.outlet = new Outlet(socket);
    this.reader = new RequestReader(this.number, {
      onHead: (request) => this.onHead(request),
      onBody: (_, bytes) => this.exchange?.onBody?.(bytes),
      onEnd: () => this.onEnd(),
    });
  }

  receive(bytes: Uint8Array): void {
    if (this.closing) return; // came too late, as with any server that closes an idle connection
    if (this.raw !== null) return this.raw(bytes);
    try {
      this.reader.push(bytes);
    } catch (error) {
      if (this.state.errors.length < ERRORS_MAX) this.state.errors.push(String(error));
      this.outlet.send("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      this.close();
    }
    if (this.reader.busy && this.reader.buffered > AHEAD_BYTES_MAX) this.pause();
  }

  drain(): void {
    this.outlet.pump();
  }

  /** The peer sent FIN: an answer that is under way is still written, then the connection closes. */
  finish(): void {
    this.peerFinished = true;
    if (this.exchange === null) this.close();
    else this.exchange.onFinish?.();
  }

  private close(): void {
    this.closing = true;
    this.outlet.afterwards(() => this.socket.end());
  }

  reset(): void {
    this.socket.terminate();
  }

  private pause(): void {
    this.paused = true;
    this.socket.pause();
  }

  private unpause(): void {
    if (this.paused) this.socket.resume();
    this.paused = false;
  }

  private onHead(request: RecordedRequest): void {
    const { path, query } = splitTarget(request.target);
    const state = this.state;
    state.requests++;
    state.byPath[path] = (state.byPath[path] ?? 0) + 1;
    state.records.push(request);
    if (state.records.length > RECORDS_MAX) state.records.shift();
    this.answered = false;
    const exchange = this.makeExchange(request, query);
    this.exchange = exchange;
    if (isWebSocketRequest(request)) acceptWebSocket(exchange);
    else (state.behaviours.get(path) ?? notFound)(exchange);
  }

  private onEnd(): void {
    this.exchange?.onEnd?.();
    this.nextIfDone();
  }

  private makeExchange(request: RecordedRequest, query: URLSearchParams): OriginExchange {
    return {
      request,
      query,
      name: this.state.name,
      onBody: null,
      onEnd: null,
      onFinish: null,
      send: (bytes) => this.outlet.send(bytes),
      stream: (source) => this.outlet.stream(source),
      afterwards: (task) => this.outlet.afterwards(task),
      isOpen: () => !this.closed,
      done: () => {
        this.answered = true;
        this.nextIfDone();
      },
      stopReading: () => this.pause(),
      readOn: () => this.unpause(),
      close: () => this.close(),
      reset: () => this.outlet.afterwards(() => this.socket.terminate()),
      upgrade: (onBytes) => {
        this.raw = onBytes;
        const rest = this.reader.takeRest();
        if (rest.length > 0) onBytes(rest);
      },
    };
  }

  /** Goes on with the next request once this one has arrived and its answer is on its way. */
  private nextIfDone(): void {
    if (!this.answered || this.exchange === null || !this.exchange.request.complete) return;
    this.exchange = null;
    if (this.peerFinished && this.reader.buffered === 0) return this.close();
    this.unpause();
    // Not from within the reader's own callback.
    queueMicrotask(() => this.receiveNext());
  }

  private receiveNext(): void {
    if (this.closed || this.closing || this.raw !== null) return;
    try {
      this.reader.next();
    } catch (error) {
      this.state.errors.push(String(error));
      this.socket.terminate();
    }
  }
}

function socketHandlers(state: OriginState): Bun.SocketHandler<OriginConnection> {
  return {
    open(socket) {
      socket.data = new OriginConnection(state, socket);
      state.open.add(socket.data);
    },
    data: (socket, bytes) => socket.data.receive(bytes),
    drain: (socket) => socket.data.drain(),
    end: (socket) => socket.data.finish(),
    close(socket) {
      socket.data.closed = true;
      state.open.delete(socket.data);
    },
    error(socket, error) {
      state.errors.push(String(error));
      socket.terminate();
    },
  };
}

/** Starts an origin, on 127.0.0.1 unless told otherwise. */
export function startOrigin(options: OriginOptions): Origin {
  const state: OriginState = {
    name: options.name,
    behaviours: new Map(Object.entries(BEHAVIOURS)),
    records: [],
    errors: [],
    byPath: {},
    open: new Set(),
    accepted: 0,
    requests: 0,
  };
  const socket = socketHandlers(state);
  const ip = options.ip ?? "127.0.0.1";
  const place = ip.includes(":") ? `[${ip}]` : ip;
  const listener =
    options.unixPath === undefined
      ? Bun.listen<OriginConnection>({ hostname: ip, port: options.port ?? 0, allowHalfOpen: true, socket })
      : Bun.listen<OriginConnection>({ unix: options.unixPath, allowHalfOpen: true, socket });
  const port = "port" in listener ? listener.port : 0;
  const dropConnections = (): void => {
    for (const connection of state.open) connection.reset();
  };
  const close = (): Promise<void> => {
    listener.stop();
    dropConnections();
    return Promise.resolve();
  };
  return {
    name: options.name,
    port,
    address: options.unixPath === undefined ? `${place}:${port}` : `unix:${options.unixPath}`,
    stats: () => statsOf(state),
    requests: () => state.records,
    last(path) {
      const found = state.records.findLast((request) => splitTarget(request.target).path === path);
      if (found === undefined) throw new Error(`origin ${options.name} has had no request for ${path}`);
      return found;
    },
    on: (path, behaviour) => void state.behaviours.set(path, behaviour),
    dropConnections,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function statsOf(state: OriginState): OriginStats {
  return {
    accepted: state.accepted,
    open: state.open.size,
    requests: state.requests,
    byPath: { ...state.byPath },
    errors: [...state.errors],
  };
}
