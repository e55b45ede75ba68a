// The real Net: TCP and unix stream sockets on Bun's raw sockets. One handlers object per role is shared by all connections,
// the connection itself is the socket's data, and nothing is allocated per event. Half-open connections are allowed
// everywhere: who reads FIN may still write. It knows no protocol and keeps no deadline; those are the caller's.

import { Cause } from "../base/ports.ts";
import type { Connection, ConnectionEvents, Listening, Net, Target } from "../base/ports.ts";
import { connectByName, connectOnFd, listenOnFd } from "./bun-hidden.ts";
import type { RawHandlers, RawListener, RawSocket } from "./bun-hidden.ts";
import { closeFd, dupFd, libc, openSocket } from "./libc.ts";
import { errorName } from "./platform.ts";
import { encodeAddress, encoded, encodeUnixAddress, sockaddr, SOCK_STREAM } from "./sockaddr.ts";

export interface NetOptions {
  /** Called for every exception thrown by a connection's events or by accept; the connection is aborted. */
  readonly onError: (error: unknown) => void;
  /** TCP keepalive: idle time before the first probe in ms; 0 = off. */
  readonly keepAliveMs: number;
}

/** Connecting: no onOpen yet. Closed: onClose has been called, or never will be. */
const State = { Connecting: 0, Open: 1, Closed: 2 } as const;
type State = (typeof State)[keyof typeof State];

const silent: ConnectionEvents = {
  onOpen() {},
  onData() {},
  onDrain() {},
  onFinish() {},
  onClose() {},
};

type SocketData = TcpConnection | TcpListening;

class TcpConnection implements Connection {
  events: ConnectionEvents;
  /** Null before Bun has taken over an outgoing descriptor, and after the end. */
  socket: RawSocket<SocketData> | null;
  readonly net: TcpNet;
  state: State;
  paused: boolean;
  finished: boolean;
  /** What onClose is to be told when our own call ends the connection. */
  ownCause: Cause;
  private address: string | null;
  private port: number;

  constructor(net: TcpNet, socket: RawSocket<SocketData> | null, target: Target | null) {
    this.events = silent;
    this.socket = socket;
    this.net = net;
    this.state = target === null ? State.Open : State.Connecting;
    this.paused = false;
    this.finished = false;
    this.ownCause = Cause.None;
    this.address = target === null ? null : target.unixPath === null ? target.ip : "unix:";
    this.port = target === null || target.unixPath !== null ? 0 : target.port;
  }

  get remoteAddress(): string {
    return this.address ?? this.readPeer();
  }

  get remotePort(): number {
    if (this.address === null) this.readPeer();
    return this.port;
  }

  get isOpen(): boolean {
    return this.state === State.Open;
  }

  write(bytes: Uint8Array, start: number, end: number): number {
    if (this.state !== State.Open || this.finished) return this.state === State.Connecting ? 0 : -1;
    if (end <= start) return 0;
    return this.socket!.write(bytes, start, end - start);
  }

  pause(): void {
    if (this.paused || this.state === State.Closed) return;
    this.paused = true;
    if (this.state === State.Open) this.socket!.pause();
  }

  resume(): void {
    if (!this.paused || this.state === State.Closed) return;
    this.paused = false;
    if (this.state === State.Open) this.socket!.resume();
  }

  finish(): void {
    if (this.state !== State.Open || this.finished) return;
    this.finished = true;
    this.socket!.shutdown();
  }

  close(): void {
    if (this.state === State.Connecting) this.abort();
    else if (this.state === State.Open) this.socket!.end();
  }

  abort(): void {
    if (this.state === State.Closed) return;
    this.ownCause = Cause.Aborted;
    if (this.socket !== null) this.socket.terminate();
    // Otherwise nothing is open yet: the pending failure or the late open of the fallback reports it.
  }

  /** The connect is through. */
  established(): void {
    this.state = State.Open;
    if (this.paused) this.socket!.pause();
    this.events.onOpen();
  }

  /** The end, from wherever it is heard first. */
  ended(cause: Cause): void {
    if (this.state === State.Closed) return;
    this.state = State.Closed;
    this.socket = null;
    const events = this.events;
    this.events = silent;
    events.onClose(this.ownCause !== Cause.None ? this.ownCause : cause);
  }

  /** Bun's address is undefined for unix sockets and once the socket is gone. */
  private readPeer(): string {
    const socket = this.socket;
    const text: string | undefined = socket === null ? "" : socket.remoteAddress;
    this.port = socket === null ? 0 : (socket.remotePort ?? 0);
    this.address =
      text === undefined ? "unix:" : text.startsWith("::ffff:") && text.includes(".") ? text.slice(7) : text;
    return this.address;
  }
}

class TcpListening implements Listening {
  readonly port: number;
  readonly net: TcpNet;
  readonly accept: (connection: Connection) => ConnectionEvents;
  private fd: number;
  private listener: RawListener | null;

  constructor(net: TcpNet, fd: number, port: number, accept: (connection: Connection) => ConnectionEvents) {
    this.net = net;
    this.fd = fd;
    this.port = port;
    this.accept = accept;
    this.listener = null;
    this.resume();
  }

  /** Bun has no pause for a listener, and stopping one closes its descriptor: it works on a copy of ours. */
  pause(): void {
    this.listener?.stop();
    this.listener = null;
  }

  resume(): void {
    if (this.listener !== null || this.fd < 0) return;
    const copy = dupFd(this.fd);
    if (copy < 0) throw new Error(`cannot accept on descriptor ${this.fd}: ${errorName(libc?.errno() ?? 0)}`);
    this.listener = listenOnFd<SocketData>(copy, this, this.net.accepted);
  }

  close(): void {
    this.pause();
    if (this.fd >= 0) closeFd(this.fd);
    this.fd = -1;
  }
}

class TcpNet implements Net {
  readonly options: NetOptions;
  readonly accepted: RawHandlers<SocketData>;
  readonly outgoing: RawHandlers<SocketData>;

  constructor(options: NetOptions) {
    this.options = options;
    this.accepted = acceptedHandlers(this);
    this.outgoing = outgoingHandlers(this);
  }

  adopt(fd: number, port: number, accept: (connection: Connection) => ConnectionEvents): Listening {
    return new TcpListening(this, fd, port, accept);
  }

  connect(target: Target, events: ConnectionEvents): Connection {
    const connection = new TcpConnection(this, null, target);
    connection.events = events;
    if (libc === null) connectWithoutLibc(this, connection, target);
    else connectOwnSocket(this, libc, connection, target);
    return connection;
  }

  /** An exception from the layers above: their bug costs this connection only. */
  failed(connection: TcpConnection | null, error: unknown): void {
    this.options.onError(error);
    connection?.abort();
  }
}

function ignore(): void {}

const EINPROGRESS = process.platform === "darwin" ? 36 : 115;

function connectOwnSocket(net: TcpNet, c: NonNullable<typeof libc>, connection: TcpConnection, target: Target): void {
  const known = target.unixPath === null ? encodeAddress(target.ip, target.port) : encodeUnixAddress(target.unixPath);
  if (!known) return failLater(net, connection, Cause.NotFound);
  const fd = openSocket(c, encoded.family, SOCK_STREAM);
  if (fd < 0) return failLater(net, connection, causeOfCode(errorName(c.errno())));
  if (c.connect(fd, sockaddr, encoded.length) < 0) {
    const errno = c.errno();
    if (errno !== EINPROGRESS) {
      c.close(fd);
      const name = errorName(errno);
      // A unix listener whose queue is full says EAGAIN; for TCP that means no free local port.
      return failLater(
        net,
        connection,
        name === "EAGAIN" && target.unixPath !== null ? Cause.Refused : causeOfCode(name),
      );
    }
  }
  try {
    connectOnFd<SocketData>(fd, connection, net.outgoing).catch(ignore);
  } catch (error) {
    if (connection.socket === null) c.close(fd);
    net.options.onError(error);
    failLater(net, connection, Cause.Other);
  }
}

/** Only where there is no FFI: cannot be aborted before it is through, and most failures look like a refusal. */
function connectWithoutLibc(net: TcpNet, connection: TcpConnection, target: Target): void {
  const address = target.unixPath === null ? { hostname: target.ip, port: target.port } : { unix: target.unixPath };
  connectByName<SocketData>(address, connection, net.outgoing).catch((error: unknown) => {
    endSafely(net, connection, causeOfError(error as Error));
  });
}

function failLater(net: TcpNet, connection: TcpConnection, cause: Cause): void {
  queueMicrotask(() => endSafely(net, connection, cause));
}

function endSafely(net: TcpNet, connection: TcpConnection, cause: Cause): void {
  try {
    connection.ended(cause);
  } catch (error) {
    net.failed(connection, error);
  }
}

const causes: Readonly<Record<string, Cause>> = {
  ECONNREFUSED: Cause.Refused,
  ECONNRESET: Cause.Reset,
  EPIPE: Cause.Reset,
  ECONNABORTED: Cause.Reset,
  ETIMEDOUT: Cause.TimedOut,
  ETIME: Cause.TimedOut,
  EHOSTUNREACH: Cause.Unreachable,
  ENETUNREACH: Cause.Unreachable,
  EHOSTDOWN: Cause.Unreachable,
  ENETDOWN: Cause.Unreachable,
  EAFNOSUPPORT: Cause.Unreachable,
  EACCES: Cause.Unreachable,
  EPERM: Cause.Unreachable,
  EMFILE: Cause.NoResources,
  ENFILE: Cause.NoResources,
  ENOBUFS: Cause.NoResources,
  ENOMEM: Cause.NoResources,
  EADDRNOTAVAIL: Cause.NoResources,
  EAGAIN: Cause.NoResources,
  ENOENT: Cause.NotFound,
  ENOTFOUND: Cause.NotFound,
};

function causeOfCode(code: string): Cause {
  return causes[code] ?? Cause.Other;
}

function causeOfError(error: Error | undefined): Cause {
  if (!error) return Cause.None;
  return causeOfCode((error as { code?: string }).code ?? "");
}

function connectionOf(socket: RawSocket<SocketData>): TcpConnection | null {
  return socket.data instanceof TcpConnection ? socket.data : null;
}

function acceptedHandlers(net: TcpNet): RawHandlers<SocketData> {
  return {
    open(socket) {
      const listening = socket.data as TcpListening;
      const connection = new TcpConnection(net, socket, null);
      socket.data = connection;
      if (net.options.keepAliveMs > 0) socket.setKeepAlive(true, net.options.keepAliveMs);
      connection.events = listening.accept(connection);
    },
    data(socket, bytes) {
      (socket.data as TcpConnection).events.onData(bytes);
    },
    drain(socket) {
      (socket.data as TcpConnection).events.onDrain();
    },
    end(socket) {
      (socket.data as TcpConnection).events.onFinish();
    },
    close(socket, error) {
      connectionOf(socket)?.ended(causeOfError(error));
    },
    error(socket, error) {
      const connection = connectionOf(socket);
      net.failed(connection, error);
      if (connection === null) socket.terminate();
    },
  };
}

function outgoingHandlers(net: TcpNet): RawHandlers<SocketData> {
  return {
    open(socket) {
      const connection = socket.data as TcpConnection;
      if (connection.ownCause !== Cause.None) return socket.terminate(); // given up before Bun had a socket
      connection.socket = socket;
      if (net.options.keepAliveMs > 0) socket.setKeepAlive(true, net.options.keepAliveMs);
      if (libc === null) connection.established(); // Bun's own connect opens when it is through
    },
    data(socket, bytes) {
      const connection = socket.data as TcpConnection;
      if (connection.state === State.Connecting) connection.established();
      connection.events.onData(bytes);
    },
    drain(socket) {
      const connection = socket.data as TcpConnection;
      if (connection.state === State.Connecting) connection.established();
      else connection.events.onDrain();
    },
    end(socket) {
      const connection = socket.data as TcpConnection;
      if (connection.state === State.Connecting) connection.established();
      connection.events.onFinish();
    },
    close(socket, error) {
      connectionOf(socket)?.ended(causeOfError(error));
    },
    error(socket, error) {
      net.failed(connectionOf(socket), error);
    },
    connectError(socket, error) {
      connectionOf(socket)?.ended(causeOfError(error));
    },
  };
}

/** The real network. */
export function createNet(options: NetOptions): Net {
  return new TcpNet(options);
}
