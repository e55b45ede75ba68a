// The machine under the simulated proxy: connects sockets, keeps listening sockets and their queues of waiting clients,
// calls the proxy and watches over what it does with the network. It knows no HTTP.

import { Cause, type Connection, type ConnectionEvents, type Listening, type Net } from "../../src/base/ports.ts";
import type { Target } from "../../src/base/ports.ts";
import type { Agenda } from "./agenda.ts";
import type { Dice } from "./dice.ts";
import { type Sabotage, SimSocket, SocketState } from "./sim-socket.ts";
import { digest, type Trace } from "./trace.ts";

/** How the network behaves in one run. */
export interface NetMood {
  readonly latencyMaxMs: number;
  readonly windowMin: number;
  readonly windowMax: number;
  /** Longest piece given to onData. */
  readonly readMax: number;
  /** Share of deliveries that come late, because the process is busy: more arrives until then. */
  readonly lag: number;
  /** Share of deliveries that take all there is. */
  readonly whole: number;
  /** Share of writes that take less than there is room for. */
  readonly partial: number;
  readonly spuriousDrain: number;
  /** Share of resets before which what had arrived is still delivered. */
  readonly flushOnReset: number;
}

/** What a connect meets. */
export type Welcome = "accept" | "refuse" | "blackhole" | "unreachable" | "resources";

/** A server out in the world. */
export interface Server {
  welcome(): Welcome;
  accept(socket: SimSocket): ConnectionEvents;
}

/** The kernel gives up a connect nobody answers. */
const kernelConnectMs = 20_000;

/** A listening socket of the proxy. */
class Door implements Listening {
  readonly port: number;
  readonly waiting: SimSocket[] = [];
  accept: ((connection: Connection) => ConnectionEvents) | null = null;
  closed = false;
  private readonly kernel: Kernel;
  private paused = false;
  private arranged = false;

  constructor(kernel: Kernel, port: number) {
    this.kernel = kernel;
    this.port = port;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.arrange();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const socket of this.waiting.splice(0)) socket.abort();
    this.kernel.forgetDoor(this);
  }

  arrange(): void {
    if (this.arranged || this.waiting.length === 0) return;
    this.arranged = true;
    this.kernel.agenda.after(this.kernel.dice.real(0, 0.2), () => {
      this.arranged = false;
      if (this.paused || this.closed || this.accept === null) return;
      const socket = this.waiting.shift();
      if (socket !== undefined) this.let(socket, this.accept);
      this.arrange();
    });
  }

  private let(socket: SimSocket, accept: (connection: Connection) => ConnectionEvents): void {
    if (socket.state !== SocketState.Queued) return;
    socket.state = SocketState.Open;
    this.kernel.accepts++;
    this.kernel.trace.note("accept", socket.label, this.port);
    this.kernel.call(socket, "", () => socket.accepted(accept(socket)));
  }
}

export class Kernel {
  readonly agenda: Agenda;
  readonly dice: Dice;
  readonly trace: Trace;
  readonly mood: NetMood;
  sabotage: Sabotage | null = null;
  /**
   * Most bytes that one reset made a paused connection deliver: as much as the kernel had, and no pause holds it back.
   */
  flushedMax = 0;
  /** Asked after every call of the proxy: bytes it holds for this connection. */
  inspect: ((socket: SimSocket) => void) | null = null;
  /** Bytes on the proxy's connections with clients, [0] received and [1] sent, and with endpoints, [2] and [3]. */
  readonly traffic = [0, 0, 0, 0];
  accepts = 0;
  connects = 0;
  /** Hears of every outgoing connection of the proxy, when it is established. */
  onUpstream: ((socket: SimSocket, key: string) => void) | null = null;
  /** Hears that the peer of one of the proxy's ends is gone, before the proxy does. */
  onPeerGone: ((socket: SimSocket) => void) | null = null;
  /** Hears that the proxy gives up a connection. */
  onAbort: ((socket: SimSocket) => void) | null = null;
  /** The proxy's open or opening ends. */
  readonly open = new Set<SimSocket>();
  private readonly frozen: { readonly bytes: Uint8Array; readonly digest: number }[] = [];
  private readonly servers = new Map<string, Server>();
  private readonly doors: Door[] = [];
  private readonly byFd = new Map<number, Door>();
  private sockets = 0;

  constructor(agenda: Agenda, dice: Dice, trace: Trace, mood: NetMood) {
    this.agenda = agenda;
    this.dice = dice;
    this.trace = trace;
    this.mood = mood;
  }

  // ---- for sockets

  register(socket: SimSocket): number {
    if (socket.owner === "proxy") this.open.add(socket);
    return ++this.sockets;
  }

  forget(socket: SimSocket): void {
    this.open.delete(socket);
  }

  /** One way, in ms: mostly short, now and then long. */
  latency(): number {
    const { dice, mood } = this;
    return dice.chance(0.8) ? dice.real(0.01, 0.3) : dice.real(0.1, mood.latencyMaxMs);
  }

  noteBytes(what: string, socket: SimSocket, bytes: Uint8Array): void {
    if (socket.owner === "proxy")
      this.traffic[(socket.isOutgoing ? 2 : 0) + (what === "write" ? 1 : 0)]! += bytes.length;
    this.trace.note(what, socket.label, bytes.length, digest(bytes));
    if (this.trace.print !== null)
      this.trace.print(`  ${JSON.stringify(Buffer.from(bytes).toString("latin1", 0, 60))}`);
  }

  /** Calls into the owner of a socket. What the proxy throws is a finding. */
  call(socket: SimSocket, what: string, run: () => void): void {
    if (what !== "") this.trace.note(what, socket.label);
    if (socket.owner === "world") return run();
    try {
      run();
    } catch (error) {
      this.trace.fail("throws", error instanceof Error ? (error.stack ?? error.message) : String(error));
      socket.abort();
    }
    this.inspect?.(socket);
  }

  /** Remembers bytes the proxy may keep but not change. */
  freeze(bytes: Uint8Array): void {
    this.frozen.push({ bytes, digest: digest(bytes) });
  }

  /** Have all received bytes stayed what they were? */
  checkFrozen(): void {
    for (const { bytes, digest: before } of this.frozen) {
      if (digest(bytes) !== before) return this.trace.fail("frozen", "received bytes were written to");
    }
  }

  // ---- the proxy's network

  /** A bound and listening descriptor. */
  bind(port: number): number {
    const fd = 100 + this.byFd.size;
    const door = new Door(this, port);
    this.byFd.set(fd, door);
    this.doors.push(door);
    return fd;
  }

  forgetDoor(door: Door): void {
    this.doors.splice(this.doors.indexOf(door), 1);
  }

  get doorCount(): number {
    return this.doors.length;
  }

  net(): Net {
    return {
      adopt: (fd, port, accept) => {
        const door = this.byFd.get(fd);
        if (door === undefined || door.closed || door.port !== port) throw new Error(`adopt: no descriptor ${fd}`);
        door.accept = accept;
        door.arrange();
        return door;
      },
      connect: (target, events) => this.connect(target, events),
    };
  }

  private connect(target: Target, events: ConnectionEvents): Connection {
    const key = target.unixPath ?? `${target.ip}:${target.port}`;
    const address = target.unixPath === null ? target.ip : "unix:";
    const socket = new SimSocket(this, "proxy", SocketState.Connecting, address, target.port);
    socket.events = events;
    socket.isOutgoing = true;
    this.connects++;
    this.trace.note("connect", socket.label, key);
    this.agenda.after(this.latency(), () => this.syn(socket, key));
    return socket;
  }

  private syn(socket: SimSocket, key: string): void {
    if (socket.state !== SocketState.Connecting) return;
    const server = this.servers.get(key);
    const welcome = server?.welcome() ?? "refuse";
    if (server === undefined || welcome !== "accept") {
      this.turnAway(socket, welcome);
      return;
    }
    const remote = new SimSocket(this, "world", SocketState.Open, "10.9.9.9", 0);
    join(socket, remote);
    this.onUpstream?.(socket, key);
    remote.accepted(server.accept(remote));
    this.agenda.after(this.latency(), () => {
      if (this.agenda.nowMs >= socket.resetAtMs && this.dice.chance(0.5)) socket.ended(Cause.Reset);
      else socket.established();
    });
  }

  private turnAway(socket: SimSocket, welcome: Welcome): void {
    const causes = { refuse: Cause.Refused, unreachable: Cause.Unreachable, resources: Cause.NoResources } as const;
    if (welcome === "blackhole") this.agenda.after(kernelConnectMs, () => socket.ended(Cause.TimedOut));
    else if (welcome !== "accept") this.agenda.after(this.latency(), () => socket.ended(causes[welcome]));
  }

  // ---- the world

  /** key: "ip:port", or a unix path. */
  serve(key: string, server: Server): void {
    this.servers.set(key, server);
  }

  /** A client's connection to a port of the proxy. */
  dial(port: number, address: string, events: ConnectionEvents): SimSocket {
    const client = new SimSocket(this, "world", SocketState.Connecting, "192.0.2.1", port);
    client.events = events;
    this.agenda.after(this.latency(), () => {
      if (client.state !== SocketState.Connecting) return;
      const doors = this.doors.filter((door) => door.port === port);
      if (doors.length === 0) {
        client.ended(Cause.Refused);
        return;
      }
      const door = this.dice.pick(doors);
      const accepted = new SimSocket(this, "proxy", SocketState.Queued, address, 40_000 + client.id);
      join(client, accepted);
      door.waiting.push(accepted);
      door.arrange();
      this.agenda.after(this.latency(), () => client.established());
    });
    return client;
  }
}

function join(a: SimSocket, b: SimSocket): void {
  a.peer = b;
  b.peer = a;
}
