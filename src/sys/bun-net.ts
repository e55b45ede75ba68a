// The Net on Bun's raw sockets, for systems without the reactor: TCP and unix stream sockets. One handlers object per
// role is shared by all connections, the connection itself is the socket's data, and nothing is allocated per event.
// Half-open connections are allowed everywhere: who reads FIN may still write. It knows no protocol and keeps no
// deadline; those are the caller's.

import { pausedBytesMax } from "../base/limits.ts";
import { comesBack, lend } from "../base/lending.ts";
import { Cause, NOTHING_MOVED, RECEIVE_MAX } from "../base/ports.ts";
import type { Connection, ConnectionEvents, Listening, Moved, Net, Target } from "../base/ports.ts";
import { connectByName, connectOnFd, listenOnFd } from "./bun-hidden.ts";
import type { RawHandlers, RawListener, RawSocket } from "./bun-hidden.ts";
import { closeFd, dupFd, libc, openSocket, unsentBytes } from "./libc.ts";
import type { Libc } from "./libc.ts";
import { causeOfCode, isBreak, keepAlive, type NetOptions } from "./net-options.ts";
import { errorName } from "./platform.ts";
import { encodeAddress, encoded, encodeUnixAddress, sockaddr, SOCK_STREAM } from "./sockaddr.ts";
import { splicer } from "./splice.ts";

export interface BunNetOptions extends NetOptions {
  /** Connects the way it is done where there is no FFI; for tests. */
  readonly withoutLibc?: boolean;
}

const MSG_DONTWAIT = process.platform === "darwin" ? 0x80 : 0x40;

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

type SocketData = BunConnection | BunListening;

class BunConnection implements Connection {
  events: ConnectionEvents;
  /** Null before Bun has taken over an outgoing descriptor, and after the end. */
  socket: RawSocket<SocketData> | null;
  readonly net: BunNet;
  state: State;
  receiveMax: number = RECEIVE_MAX;
  paused: boolean;
  /** Bytes that came while paused; see overruns(). */
  private unwanted: number;
  finished: boolean;
  /** Ended before accept() had returned the events to tell. */
  unheard: boolean;
  /**
   * The error that a call of ours was told. The kernel tells it once: Bun sees a connection that ends in good order.
   */
  brokenBy: Cause;
  private address: string | null;
  /** -1: asked of the socket when first wanted, as the address. */
  private port: number;

  /** address null: asked of the socket when first wanted. */
  constructor(net: BunNet, socket: RawSocket<SocketData> | null, address: string | null, port: number) {
    this.events = silent;
    this.socket = socket;
    this.net = net;
    this.state = socket === null ? State.Connecting : State.Open;
    this.paused = false;
    this.unwanted = 0;
    this.finished = false;
    this.unheard = false;
    this.brokenBy = Cause.None;
    this.address = address;
    this.port = port;
  }

  get remoteAddress(): string {
    return this.address ?? this.readPeer();
  }

  get remotePort(): number {
    if (this.port < 0) this.port = this.socket?.remotePort ?? 0;
    return this.port;
  }

  get isOpen(): boolean {
    return this.state === State.Open;
  }

  write(bytes: Uint8Array, start: number, end: number): number {
    if (this.state !== State.Open || this.finished) return this.state === State.Connecting ? 0 : -1;
    if (end <= start) return 0;
    const accepted = this.socket!.write(bytes, start, end - start);
    if (accepted < 0) this.brokenBy = Cause.Reset;
    return accepted;
  }

  moveTo(target: Connection, max: number): Moved {
    const mover = this.net.connector === null ? null : splicer();
    if (mover === null || !(target instanceof BunConnection) || target.state !== State.Open || target.finished) {
      return NOTHING_MOVED;
    }
    const from = this.state === State.Open && !this.paused ? this.socket!.fd : -1;
    const to = target.socket!.fd;
    if (from < 0 || to < 0 || max <= 0) return NOTHING_MOVED;
    const moved = mover.move(from, to, max);
    if (isBreak(mover.fromErrno)) this.brokenBy = causeOfCode(errorName(mover.fromErrno));
    if (isBreak(mover.toErrno)) target.brokenBy = causeOfCode(errorName(mover.toErrno));
    return moved;
  }

  read(into: Uint8Array, max: number): number {
    const fd = this.state === State.Open && !this.paused ? this.socket!.fd : -1;
    if (fd < 0 || libc === null || max <= 0) return 0;
    const count = libc.recv(fd, into, Math.min(max, into.length), MSG_DONTWAIT);
    if (count < 0 && isBreak(libc.errno())) this.brokenBy = causeOfCode(errorName(libc.errno()));
    return Math.max(0, count);
  }

  unsent(): number {
    const fd = this.state === State.Open ? this.socket!.fd : -1;
    return fd < 0 ? -1 : unsentBytes(fd);
  }

  pause(): void {
    if (this.paused || this.state === State.Closed) return;
    this.paused = true;
    if (this.state === State.Open) this.socket!.pause();
  }

  resume(): void {
    if (!this.paused || this.state === State.Closed) return;
    this.paused = false;
    this.unwanted = 0;
    if (this.state === State.Open) this.socket!.resume();
  }

  finish(): void {
    if (this.state !== State.Open || this.finished) return;
    this.finished = true;
    this.socket!.shutdown();
  }

  close(): void {
    if (this.state === State.Connecting) return this.abort();
    if (this.state === State.Closed) return;
    this.socket!.end(); // calls the close handler at once; the line below is for the case that it did not
    this.endedByUs(Cause.None);
  }

  abort(): void {
    if (this.state === State.Closed) return;
    const socket = this.socket;
    // First, so that the close handler, which runs within terminate(), finds nothing left to tell.
    this.endedByUs(Cause.Aborted);
    socket?.terminate();
  }

  /**
   * A paused socket brings nothing, with one exception: when the peer resets, Bun reads out whatever had arrived by
   * then, and the kernel's buffer may have grown to tens of megabytes. They would all be held, so the end is told
   * early. True if the bytes at hand are not to be passed on.
   */
  overruns(length: number): boolean {
    this.unwanted += length;
    if (this.unwanted <= pausedBytesMax) return false;
    const socket = this.socket;
    this.ended(Cause.Reset);
    socket?.terminate();
    return true;
  }

  /** What looks like the peer's end is that of a broken connection. */
  endBroken(): void {
    const socket = this.socket;
    this.ended(this.brokenBy);
    socket?.terminate();
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
    if (events === silent) this.unheard = true;
    else events.onClose(cause);
  }

  /** The same outside of Bun's handlers: an exception of the layers above must not surface in the caller. */
  endedByUs(cause: Cause): void {
    try {
      this.ended(cause);
    } catch (error) {
      this.net.options.onError(error);
    }
  }

  /** Bun's address is undefined for unix sockets and once the peer is gone. */
  private readPeer(): string {
    const socket = this.socket;
    const text = socket === null ? undefined : (socket.remoteAddress as string | undefined);
    if (text === undefined) return (this.address = "");
    return (this.address = text.startsWith("::ffff:") && text.includes(".") ? text.slice(7) : text);
  }
}

/** Bun has no pause for a listener, and stopping one closes its descriptor: so it always works on a copy of ours. */
class BunListening implements Listening {
  readonly port: number;
  readonly net: BunNet;
  readonly accept: (connection: Connection) => ConnectionEvents;
  /** What accepted connections are told about their peer: "unix:", or null to ask the socket. */
  readonly peerAddress: string | null;
  private fd: number;
  /** While paused: the copy for the next listener, so that resuming needs no descriptor that might not be there. */
  private spareFd: number;
  private listener: RawListener | null;

  constructor(net: BunNet, fd: number, port: number, accept: (connection: Connection) => ConnectionEvents) {
    this.net = net;
    this.fd = fd;
    this.port = port;
    this.accept = accept;
    this.peerAddress = port === 0 ? "unix:" : null;
    this.spareFd = -1;
    this.listener = this.start();
  }

  pause(): void {
    if (this.listener === null) return;
    this.listener.stop();
    this.listener = null;
    this.spareFd = dupFd(this.fd);
  }

  resume(): void {
    if (this.listener !== null || this.fd < 0) return;
    try {
      this.listener = this.start();
    } catch (error) {
      this.net.options.onError(error); // still paused: the next resume() tries again
    }
  }

  close(): void {
    this.listener?.stop();
    this.listener = null;
    if (this.spareFd >= 0) closeFd(this.spareFd);
    if (this.fd >= 0) closeFd(this.fd);
    this.spareFd = -1;
    this.fd = -1;
  }

  private start(): RawListener {
    const copy = this.spareFd >= 0 ? this.spareFd : dupFd(this.fd);
    this.spareFd = -1;
    if (copy < 0) throw new Error(`cannot accept on descriptor ${this.fd}: ${errorName(libc?.errno() ?? 0)}`);
    try {
      return listenOnFd<SocketData>(copy, this, this.net.accepted);
    } catch (error) {
      closeFd(copy);
      throw error;
    }
  }
}

class BunNet implements Net {
  readonly options: BunNetOptions;
  /** What connects are made with; null = Bun's own connect. */
  readonly connector: Libc | null;
  readonly accepted: RawHandlers<SocketData>;
  readonly outgoing: RawHandlers<SocketData>;

  constructor(options: BunNetOptions) {
    this.options = options;
    this.connector = options.withoutLibc === true ? null : libc;
    this.accepted = acceptedHandlers(this);
    this.outgoing = outgoingHandlers(this);
  }

  adopt(fd: number, port: number, accept: (connection: Connection) => ConnectionEvents): Listening {
    if (this.options.keepAliveMs > 0 && port !== 0) keepAlive(fd, this.options.keepAliveMs);
    return new BunListening(this, fd, port, accept);
  }

  connect(target: Target, events: ConnectionEvents): Connection {
    const unix = target.unixPath !== null;
    const connection = new BunConnection(this, null, unix ? "unix:" : target.ip, unix ? 0 : target.port);
    connection.events = events;
    if (this.connector === null) connectWithoutLibc(this, connection, target);
    else connectOwnSocket(this, this.connector, connection, target);
    return connection;
  }
}

const EINPROGRESS = process.platform === "darwin" ? 36 : 115;

function ignore(): void {}

/**
 * Begins the connect on a socket of our own, because Bun's connect can neither be given up nor tell why it failed; then
 * Bun takes the descriptor over.
 */
function connectOwnSocket(net: BunNet, c: Libc, connection: BunConnection, target: Target): void {
  const known = target.unixPath === null ? encodeAddress(target.ip, target.port) : encodeUnixAddress(target.unixPath);
  if (!known) return failLater(connection, Cause.NotFound);
  const fd = openSocket(c, encoded.family, SOCK_STREAM);
  if (fd < 0) return failLater(connection, causeOfCode(errorName(c.errno())));
  if (c.connect(fd, sockaddr, encoded.length) < 0) {
    const errno = c.errno();
    if (errno !== EINPROGRESS) {
      c.close(fd);
      const code = errorName(errno);
      // A unix listener whose queue is full answers EAGAIN. Over TCP that would mean a lack of local resources.
      const full = code === "EAGAIN" && target.unixPath !== null;
      return failLater(connection, full ? Cause.Refused : causeOfCode(code));
    }
  }
  connectOnFd<SocketData>(fd, connection, net.outgoing).catch(ignore); // connectError has said it already
  if (connection.socket === null && connection.state === State.Connecting) c.close(fd); // refused by Bun
}

/** Only where there is no FFI: cannot be given up before it is through, and most failures look like a refusal. */
function connectWithoutLibc(net: BunNet, connection: BunConnection, target: Target): void {
  const address = target.unixPath === null ? { hostname: target.ip, port: target.port } : { unix: target.unixPath };
  connectByName<SocketData>(address, connection, net.outgoing).catch(ignore);
}

/** connect() has not returned yet: its caller cannot know the connection that failed. */
function failLater(connection: BunConnection, cause: Cause): void {
  queueMicrotask(() => connection.endedByUs(cause));
}

function causeOfError(error: Error | undefined): Cause {
  if (!error) return Cause.None;
  return causeOfCode((error as { code?: string }).code ?? "");
}

/** From here on it pays to give the memory back at once. */
const lendBytesMin = 16 * 1024;

/** Bun makes a new buffer for each receive. A long one that nobody kept is given back to the allocator at once. */
function deliver(connection: BunConnection, bytes: Uint8Array): void {
  if (connection.paused && connection.overruns(bytes.length)) return;
  if (bytes.length < lendBytesMin) {
    connection.events.onData(bytes);
    return;
  }
  lend(bytes);
  connection.events.onData(bytes);
  if (comesBack() && bytes.length === bytes.buffer.byteLength) (bytes.buffer as ArrayBuffer).transfer(0);
}

function finishHeard(connection: BunConnection): void {
  if (connection.brokenBy === Cause.None) connection.events.onFinish();
  else connection.endBroken();
}

function closed(connection: BunConnection, error: Error | undefined): void {
  connection.ended(error === undefined ? connection.brokenBy : causeOfError(error));
}

function acceptedHandlers(net: BunNet): RawHandlers<SocketData> {
  return {
    open(socket) {
      const listening = socket.data as BunListening;
      const connection = new BunConnection(net, socket, listening.peerAddress, listening.peerAddress === null ? -1 : 0);
      socket.data = connection;
      const events = listening.accept(connection);
      if (connection.unheard) events.onClose(Cause.Aborted);
      else if (connection.state === State.Open) connection.events = events;
    },
    data(socket, bytes) {
      deliver(socket.data as BunConnection, bytes);
    },
    drain(socket) {
      (socket.data as BunConnection).events.onDrain();
    },
    end(socket) {
      finishHeard(socket.data as BunConnection);
    },
    close(socket, error) {
      closed(socket.data as BunConnection, error);
    },
    error(socket, error) {
      eventsFailed(net, socket, error);
    },
  };
}

function outgoingHandlers(net: BunNet): RawHandlers<SocketData> {
  return {
    open(socket) {
      const connection = socket.data as BunConnection;
      if (connection.state === State.Closed) return socket.terminate(); // given up before Bun had a socket
      connection.socket = socket;
      if (net.options.keepAliveMs > 0) socket.setKeepAlive(true, net.options.keepAliveMs);
      if (net.connector === null) connection.established(); // Bun's own connect opens when it is through
    },
    data(socket, bytes) {
      const connection = socket.data as BunConnection;
      if (connection.state === State.Connecting) connection.established();
      deliver(connection, bytes);
    },
    drain(socket) {
      const connection = socket.data as BunConnection;
      if (connection.state === State.Connecting) connection.established();
      else connection.events.onDrain();
    },
    end(socket) {
      const connection = socket.data as BunConnection;
      if (connection.state === State.Connecting) connection.established();
      finishHeard(connection);
    },
    close(socket, error) {
      closed(socket.data as BunConnection, error);
    },
    error(socket, error) {
      eventsFailed(net, socket, error);
    },
    connectError(socket, error) {
      failLater(socket.data as BunConnection, net.connector === null ? causeOfError(error) : Cause.Other);
    },
  };
}

/** An exception from the layers above: their bug costs this connection only. */
function eventsFailed(net: BunNet, socket: RawSocket<SocketData>, error: Error): void {
  net.options.onError(error);
  if (socket.data instanceof BunConnection) socket.data.abort();
  else socket.terminate();
}

/** The network on Bun's sockets. */
export function createBunNet(options: BunNetOptions): Net {
  return new BunNet(options);
}
