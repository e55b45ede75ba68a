// The Net for Linux: TCP and unix stream sockets on the reactor (reactor.ts), by plain system calls. Sockets are
// watched edge-triggered for both directions, registered once and never changed: pausing is a flag here, not a system
// call. All receives go into the one lent buffer. It knows no protocol and keeps no deadline; those are the caller's.

import { formatIp, isLoopback } from "../base/ip.ts";
import { lent } from "../base/lending.ts";
import { pausedBytesMax } from "../base/limits.ts";
import { Cause, NOTHING_MOVED, RECEIVE_MAX } from "../base/ports.ts";
import type { Connection, ConnectionEvents, Listening, Moved, Net, Target } from "../base/ports.ts";
import { causeOfCode, isBreak, keepAlive, type NetOptions } from "./net-options.ts";
import { libc, openSocket, setIntOption, unsentBytes } from "./libc.ts";
import type { Libc } from "./libc.ts";
import { pacesLoopback, unpace } from "./pacing.ts";
import { errorName, platform } from "./platform.ts";
import { addressOf, EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, fixedBytes } from "./reactor.ts";
import { lentAddress, type Pollable, type Reactor } from "./reactor.ts";
import { AF_INET, AF_INET6, encodeAddress, encoded, encodeUnixAddress, sockaddr, SOCK_STREAM } from "./sockaddr.ts";
import { splicer } from "./splice.ts";

const MSG_NOSIGNAL = 0x4000;
const MSG_NOSIGNAL_MORE = 0xc000;
const SHUT_WR = 1;
const EAGAIN = 11;
const EINTR = 4;
const EPIPE = 32;
const EINPROGRESS = 115;
const ECONNABORTED = 103;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const SO_LINGER = 13;
const EDGES = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
/** Receives of one connection before the others have their turn. */
const receivesMax = 16;
/** Connections accepted before the others have their turn. */
const acceptsMax = 64;
/** How long accepting rests when the process is out of descriptors or memory. */
const restMs = 100;

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

/** The lent memory's first bytes, for each length; made once. Longer ones are made each time. */
const views: (Uint8Array | undefined)[] = [];
const viewsMax = 4096;

function viewOf(length: number): Uint8Array {
  if (length > viewsMax) return length === lent.length ? lent : lent.subarray(0, length);
  return (views[length] ??= lent.subarray(0, length));
}

const lingerOff = new Int32Array([1, 0]);

class EpollConnection implements Connection, Pollable {
  events: ConnectionEvents;
  generation = 0;
  waiting = false;
  readonly net: EpollNet;
  fd: number;
  state: State;
  receiveMax: number = RECEIVE_MAX;
  private paused = false;
  /** We have sent FIN. */
  private finished = false;
  /** The peer has, and onFinish has been called. */
  private heardFin = false;
  /** There may be something to receive: epoll said so, and no receive has come to the end since. */
  private readable = false;
  /** FIN or reset is somewhere in the queue: a short receive is not the end of what there is. */
  private endIsNear = false;
  /** Epoll told of an error: no more comes than what is in the queue. */
  private hasError = false;
  /**
   * The error that a call other than receive()'s own was told. The kernel tells it once: from then on the queue looks
   * as if the peer had finished in good order behind what is in it.
   */
  private brokenBy: Cause = Cause.None;
  /** The peer had not finished when it broke. */
  private cutShort = false;
  /** The kernel did not take all of a write. */
  private blocked = false;
  /** Bytes that came while paused; see onTurn(). */
  private unwanted = 0;
  /** Ended before accept() had returned the events to tell. */
  unheard = false;
  private address: string;
  /** The address as a number while nobody has asked for the text. */
  private readonly ipv4: number;
  readonly remotePort: number;

  constructor(net: EpollNet, fd: number, state: State, address: string, ipv4: number, port: number) {
    this.events = silent;
    this.net = net;
    this.fd = fd;
    this.state = state;
    this.address = address;
    this.ipv4 = ipv4;
    this.remotePort = port;
  }

  get remoteAddress(): string {
    if (this.address === "") {
      const n = this.ipv4;
      this.address = `${n >>> 24}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}`;
    }
    return this.address;
  }

  /** The peer is on this machine, by TCP. */
  get isLocal(): boolean {
    return this.address === "" ? this.ipv4 >>> 24 === 127 : this.address === "::1";
  }

  get isOpen(): boolean {
    return this.state === State.Open;
  }

  private get isBroken(): boolean {
    return this.hasError || this.brokenBy !== Cause.None;
  }

  write(bytes: Uint8Array, start: number, end: number, more = false): number {
    if (this.state !== State.Open || this.finished) return this.state === State.Connecting ? 0 : -1;
    if (end <= start) return 0;
    const sent = this.net.reactor.calls.send(
      this.fd,
      addressOf(bytes) + start,
      end - start,
      more ? MSG_NOSIGNAL_MORE : MSG_NOSIGNAL,
    );
    if (sent === end - start) return sent;
    if (sent < 0 && this.isBrokenBy(this.net.reactor.errno())) return -1;
    this.blocked = true;
    return Math.max(0, sent);
  }

  /** After a call that failed: true if the connection is broken. Then onClose comes, behind what had arrived. */
  private isBrokenBy(errno: number): boolean {
    if (errno === EAGAIN || errno === EINTR) return false;
    if (this.brokenBy === Cause.None) {
      this.brokenBy = causeOfCode(errorName(errno));
      this.cutShort = errno !== EPIPE; // which is the answer to writes behind the peer's end
    }
    this.readable = true;
    this.endIsNear = true;
    this.net.reactor.again(this);
    return true;
  }

  moveTo(target: Connection, max: number): Moved {
    const mover = splicer();
    if (mover === null || !(target instanceof EpollConnection) || target.state !== State.Open || target.finished) {
      return NOTHING_MOVED;
    }
    if (this.state !== State.Open || this.paused || max <= 0) return NOTHING_MOVED;
    const moved = mover.move(this.fd, target.fd, max);
    if (moved.rest !== null) target.blocked = true;
    // Nothing: the queue is empty, unless its end is to be heard, or splice cannot do it and receive() must.
    this.readable = moved.taken > 0 || this.endIsNear || mover.fromErrno !== EAGAIN;
    if (isBreak(mover.fromErrno)) this.isBrokenBy(mover.fromErrno);
    if (isBreak(mover.toErrno)) target.isBrokenBy(mover.toErrno);
    return moved;
  }

  read(into: Uint8Array, max: number): number {
    if (this.state !== State.Open || this.paused || max <= 0) return 0;
    const room = Math.min(max, into.length);
    const to = into === lent ? lentAddress : addressOf(into);
    const count = this.net.reactor.calls.recv(this.fd, to, room, 0);
    this.readable = count === room || this.endIsNear;
    if (count < 0) this.isBrokenBy(this.net.reactor.errno());
    return Math.max(0, count);
  }

  unsent(): number {
    return this.state === State.Open ? unsentBytes(this.fd) : -1;
  }

  pause(): void {
    this.paused = true;
    if (this.isBroken) this.net.reactor.again(this); // see receiveLast()
  }

  resume(): void {
    if (!this.paused || this.state === State.Closed) return;
    this.paused = false;
    this.unwanted = 0;
    if (this.readable) this.net.reactor.again(this);
  }

  finish(): void {
    if (this.state !== State.Open || this.finished) return;
    this.finished = true;
    this.net.reactor.calls.shutdown(this.fd, SHUT_WR);
    if (this.heardFin) this.net.reactor.again(this); // both ways are shut: onClose comes from there
  }

  close(): void {
    if (this.state === State.Connecting) return this.abort();
    if (this.state === State.Closed) return;
    this.endedByUs(Cause.None);
  }

  abort(): void {
    if (this.state === State.Closed) return;
    // With this option close() sends a reset instead of what is left.
    if (this.state === State.Open) libc!.setsockopt(this.fd, platform.solSocket, SO_LINGER, lingerOff, 8);
    this.endedByUs(Cause.Aborted);
  }

  // ---- the reactor's calls

  onEvents(mask: number): void {
    if (this.state === State.Connecting && !this.connected(mask)) return;
    if ((mask & EPOLLOUT) !== 0 && this.blocked) {
      this.blocked = false;
      this.events.onDrain();
    }
    if ((mask & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) === 0) return;
    this.readable = true;
    if ((mask & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) !== 0) this.endIsNear = true;
    if ((mask & EPOLLERR) !== 0) this.hasError = true;
    this.goOn();
  }

  onTurn(): void {
    if (this.heardFin && this.finished) this.ended(Cause.None);
    else this.goOn();
  }

  private goOn(): void {
    if (this.paused && this.isBroken) this.receiveLast();
    else this.receive();
  }

  onThrown(error: unknown): void {
    this.abort();
    this.net.options.onError(error);
  }

  /** False while the connect is not through, or has failed. */
  private connected(mask: number): boolean {
    if ((mask & (EPOLLOUT | EPOLLERR | EPOLLHUP)) === 0) return false;
    const error = errorOf(this.fd);
    if (error !== 0) {
      this.ended(causeOfCode(errorName(error)));
      return false;
    }
    this.state = State.Open;
    this.events.onOpen();
    return this.state === (State.Open as State);
  }

  private receive(): void {
    const { calls } = this.net.reactor;
    for (let receives = 0; this.readable && !this.paused && this.state === State.Open; receives++) {
      if (receives === receivesMax) {
        this.net.reactor.again(this);
        return;
      }
      if (this.events.onReadable !== undefined) {
        if (this.events.onReadable()) continue;
        if (!this.readable || this.paused || this.state !== State.Open) return;
      }
      const max = this.receiveMax;
      const count = calls.recv(this.fd, lentAddress, max, 0);
      if (count > 0) {
        if (count < max && !this.endIsNear) this.readable = false;
        this.events.onData(viewOf(count));
      } else this.receivedNothing(count);
    }
  }

  /**
   * A paused connection brings nothing, with one exception: when it is broken, what had arrived by then is passed on as
   * far as it is not too much, and the end is told, so that nobody holds on to a peer that is gone.
   */
  private receiveLast(): void {
    const { calls } = this.net.reactor;
    while (this.state === State.Open) {
      const count = calls.recv(this.fd, lentAddress, lent.length, 0);
      if (count > 0) {
        this.unwanted += count;
        if (this.unwanted > pausedBytesMax) this.ended(Cause.Reset);
        else this.events.onData(viewOf(count));
        continue;
      }
      this.receivedNothing(count);
      if (!this.readable) return;
    }
  }

  private receivedNothing(count: number): void {
    if (count === 0) {
      this.receivedEnd();
      return;
    }
    const errno = this.net.reactor.errno();
    if (errno === EINTR) return;
    if (errno !== EAGAIN) this.ended(causeOfCode(errorName(errno)));
    else {
      this.readable = false;
      // A unix peer that has closed its receiving side may still send.
      if (this.brokenBy !== Cause.None && this.brokenBy !== Cause.Reset) this.ended(this.brokenBy);
    }
  }

  private receivedEnd(): void {
    this.readable = false;
    if (this.hasError && this.brokenBy === Cause.None) {
      // Behind FIN receive() is not told of an error.
      const error = errorOf(this.fd);
      if (error !== 0) this.brokenBy = causeOfCode(errorName(error));
    }
    if (!this.finished && !this.heardFin && !this.cutShort) {
      this.heardFin = true;
      this.events.onFinish();
      if (this.brokenBy === Cause.None) return;
    }
    if (this.finished || this.brokenBy !== Cause.None) this.ended(this.brokenBy);
  }

  /** The end, from wherever it is heard first. */
  ended(cause: Cause): void {
    if (this.state === State.Closed) return;
    this.state = State.Closed;
    const { reactor } = this.net;
    if (this.fd >= 0) {
      reactor.unregister(this.fd, false);
      reactor.calls.close(this.fd);
      this.fd = -1;
    }
    const events = this.events;
    this.events = silent;
    if (events === silent) this.unheard = true;
    else events.onClose(cause);
  }

  /** The same where the layers above called: an exception of theirs must not surface in the caller. */
  endedByUs(cause: Cause): void {
    try {
      this.ended(cause);
    } catch (error) {
      this.net.options.onError(error);
    }
  }
}

const errorValue = new Int32Array(new ArrayBuffer(8));
const errorLength = new Uint32Array(new ArrayBuffer(8));

/** The pending error of a socket, which is thereby taken. */
function errorOf(fd: number): number {
  errorLength[0] = 4;
  libc!.getsockopt(fd, platform.solSocket, platform.soError, errorValue, errorLength);
  return errorValue[0]!;
}

/** Where accept4 writes the peer's address. */
const peer = fixedBytes(128);
const peerAddress = addressOf(peer);
const peerLength = new Int32Array(new ArrayBuffer(8));
const peerLengthAddress = addressOf(peerLength);

class EpollListening implements Listening, Pollable {
  generation = 0;
  waiting = false;
  readonly port: number;
  private readonly net: EpollNet;
  private readonly accept: (connection: Connection) => ConnectionEvents;
  private fd: number;
  private accepting = false;
  private paused = false;
  /** Its connections need not be asked where they come from: they inherit what it was given. */
  private readonly unpaced: boolean;
  private resting: ReturnType<typeof setTimeout> | null = null;

  constructor(net: EpollNet, fd: number, port: number, accept: (connection: Connection) => ConnectionEvents) {
    this.net = net;
    this.fd = fd;
    this.port = port;
    this.accept = accept;
    this.unpaced = port === 0 || isBoundToLoopback(fd);
    if (this.unpaced && port !== 0) unpace(fd);
    this.start();
    if (!this.accepting) {
      throw new Error(`cannot accept on descriptor ${fd}: ${errorName(net.reactor.errno())}`);
    }
  }

  pause(): void {
    this.paused = true;
    this.stop();
  }

  resume(): void {
    if (!this.paused || this.fd < 0) return;
    this.paused = false;
    this.start();
    if (!this.accepting && this.resting === null) this.rest(this.net.reactor.errno());
  }

  close(): void {
    if (this.fd < 0) return;
    this.stop();
    if (this.resting !== null) clearTimeout(this.resting);
    this.net.reactor.calls.close(this.fd);
    this.fd = -1;
  }

  onEvents(): void {
    const { reactor } = this.net;
    for (let accepted = 0; accepted < acceptsMax && this.accepting; accepted++) {
      peerLength[0] = peer.length;
      const flags = platform.sockNonblock | platform.sockCloexec;
      const fd = reactor.calls.accept4(this.fd, peerAddress, peerLengthAddress, flags);
      if (fd >= 0) this.welcome(fd);
      else {
        const errno = reactor.errno();
        if (errno === EAGAIN) return;
        if (errno !== EINTR && errno !== ECONNABORTED) return this.rest(errno);
      }
    }
  }

  onTurn(): void {}

  onThrown(error: unknown): void {
    this.net.options.onError(error);
  }

  private welcome(fd: number): void {
    const connection = acceptedConnection(this.net, fd);
    if (pacesLoopback && !this.unpaced && connection.isLocal) unpace(fd);
    if (!this.net.reactor.register(fd, connection, EDGES)) {
      const errno = this.net.reactor.errno();
      this.net.reactor.calls.close(fd);
      return this.rest(errno);
    }
    try {
      const events = this.accept(connection);
      if (connection.unheard) events.onClose(Cause.Aborted);
      else connection.events = events;
    } catch (error) {
      connection.onThrown(error);
    }
  }

  /** Out of descriptors or memory: epoll would go on telling of the waiting clients, and nothing could be done. */
  private rest(errno: number): void {
    this.net.options.onError(new Error(`cannot accept: ${errorName(errno)}; trying again in ${restMs} ms`));
    this.stop();
    this.resting ??= setTimeout(() => {
      this.resting = null;
      if (this.paused || this.fd < 0) return;
      this.start();
      if (!this.accepting) this.rest(this.net.reactor.errno());
    }, restMs);
  }

  private start(): void {
    if (!this.accepting && this.resting === null) this.accepting = this.net.reactor.register(this.fd, this, EPOLLIN);
  }

  private stop(): void {
    if (this.accepting) this.net.reactor.unregister(this.fd, true);
    this.accepting = false;
  }
}

/** True if only programs of this machine can connect. */
function isBoundToLoopback(fd: number): boolean {
  peerLength[0] = peer.length;
  if (libc!.getsockname(fd, peer, peerLength) !== 0) return false;
  return isLoopback(peer[0] === AF_INET ? peer.slice(4, 8) : peer.slice(8, 24));
}

/** The connection of a descriptor that accept4 has just returned, with the address in `peer`. */
function acceptedConnection(net: EpollNet, fd: number): EpollConnection {
  const family = peer[0]! | (peer[1]! << 8);
  const port = (peer[2]! << 8) | peer[3]!;
  if (family === AF_INET) return new EpollConnection(net, fd, State.Open, "", ipv4At(4), port);
  if (family !== AF_INET6) return new EpollConnection(net, fd, State.Open, "unix:", 0, 0);
  const mapped = isMapped();
  return new EpollConnection(net, fd, State.Open, mapped ? "" : formatIp(peer.slice(8, 24)), ipv4At(20), port);
}

function ipv4At(at: number): number {
  return ((peer[at]! << 24) | (peer[at + 1]! << 16) | (peer[at + 2]! << 8) | peer[at + 3]!) >>> 0;
}

/** ::ffff:a.b.c.d */
function isMapped(): boolean {
  for (let i = 8; i < 18; i++) if (peer[i] !== 0) return false;
  return peer[18] === 0xff && peer[19] === 0xff;
}

class EpollNet implements Net {
  readonly options: NetOptions;
  readonly reactor: Reactor;

  constructor(options: NetOptions, reactor: Reactor) {
    this.options = options;
    this.reactor = reactor;
  }

  adopt(fd: number, port: number, accept: (connection: Connection) => ConnectionEvents): Listening {
    if (port !== 0) {
      // Accepted sockets inherit these.
      setIntOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
      if (this.options.keepAliveMs > 0) keepAlive(fd, this.options.keepAliveMs);
    }
    libc!.fcntl(fd, F_SETFL, platform.oNonblock);
    return new EpollListening(this, fd, port, accept);
  }

  connect(target: Target, events: ConnectionEvents): Connection {
    const unix = target.unixPath !== null;
    const connection = new EpollConnection(
      this,
      -1,
      State.Connecting,
      unix ? "unix:" : target.ip,
      0,
      unix ? 0 : target.port,
    );
    connection.events = events;
    const cause = this.begin(libc!, connection, target);
    // connect() has not returned yet: its caller cannot know the connection that failed.
    if (cause !== Cause.None) queueMicrotask(() => connection.endedByUs(cause));
    return connection;
  }

  private begin(c: Libc, connection: EpollConnection, target: Target): Cause {
    const known = target.unixPath === null ? encodeAddress(target.ip, target.port) : encodeUnixAddress(target.unixPath);
    if (!known) return Cause.NotFound;
    const fd = openSocket(c, encoded.family, SOCK_STREAM);
    if (fd < 0) return causeOfCode(errorName(c.errno()));
    if (target.unixPath === null) {
      setIntOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
      if (this.options.keepAliveMs > 0) keepAlive(fd, this.options.keepAliveMs);
      if (pacesLoopback && (target.ip.startsWith("127.") || target.ip === "::1")) unpace(fd);
    }
    if (c.connect(fd, sockaddr, encoded.length) < 0) {
      const errno = c.errno();
      if (errno !== EINPROGRESS) {
        c.close(fd);
        const code = errorName(errno);
        // A unix listener whose queue is full answers EAGAIN. Over TCP that would mean a lack of local resources.
        return code === "EAGAIN" && target.unixPath !== null ? Cause.Refused : causeOfCode(code);
      }
    }
    if (!this.reactor.register(fd, connection, EDGES)) {
      c.close(fd);
      return Cause.NoResources;
    }
    connection.fd = fd;
    return Cause.None;
  }
}

const F_SETFL = 4;

/** The network on the reactor. */
export function createEpollNet(options: NetOptions, reactor: Reactor): Net {
  return new EpollNet(options, reactor);
}
