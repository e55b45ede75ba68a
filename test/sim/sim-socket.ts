// One end of a simulated TCP connection, to the contract of base/ports.ts and the habits of the real ones in sys/:
// writes that take a part or nothing, pieces cut and joined anew, FIN and reset at any moment, onClose once and
// synchronously inside close() and abort(). Both the proxy and the scripted peers hold such ends.

import { comesBack, lend } from "../../src/base/lending.ts";
import {
  Cause,
  type Connection,
  type ConnectionEvents,
  type Moved,
  NOTHING_MOVED,
  RECEIVE_MAX,
} from "../../src/base/ports.ts";
import { Inbox } from "./inbox.ts";
import type { Kernel } from "./kernel.ts";

export const SocketState = { Connecting: 0, Queued: 1, Open: 2, Closed: 3 } as const;
export type SocketState = (typeof SocketState)[keyof typeof SocketState];

const silent: ConnectionEvents = {
  onOpen() {},
  onData() {},
  onDrain() {},
  onFinish() {},
  onClose() {},
};

/** What a canary may do to the proxy's side of the network. Each returns what is to be used instead. */
export interface Sabotage {
  /** The bytes that go out for those accepted. */
  outgoing?(socket: SimSocket, bytes: Uint8Array): Uint8Array;
  /** Which connection they go out on. */
  route?(socket: SimSocket): SimSocket;
  /** True: this drain event does not happen. */
  swallowDrain?(socket: SimSocket): boolean;
  /** Sees what was given to onData, afterwards. */
  delivered?(socket: SimSocket, bytes: Uint8Array): void;
  /** Sees a write before it happens. */
  beforeWrite?(socket: SimSocket): void;
}

export class SimSocket implements Connection {
  receiveMax = RECEIVE_MAX;
  events: ConnectionEvents = silent;
  readonly id: number;
  /** Whose end this is. Exceptions of the proxy are violations, those of a script are bugs of the simulator. */
  readonly owner: "proxy" | "world";
  readonly remoteAddress: string;
  readonly remotePort: number;
  state: SocketState;
  peer: SimSocket | null = null;
  paused = false;
  finSent = false;
  finHeard = false;
  /** The proxy's connection to an endpoint. */
  isOutgoing = false;
  /** When a reset arrives here. */
  resetAtMs = Infinity;
  readonly inbox = new Inbox();
  /** Bytes that the peer's end holds before it must be waited for. */
  readonly window: number;
  /** Bytes given to onData, and accepted by write. */
  received = 0;
  sent = 0;
  /** Sees the bytes this end has sent, as they are accepted. */
  tap: ((bytes: Uint8Array) => void) | null = null;
  unheard = false;
  /** When it was begun, opened or last accepted bytes. */
  activeMs: number;
  private readonly kernel: Kernel;
  private wantsDrain = false;
  private drainArranged = false;
  private pumpAtMs = Infinity;
  private inData = false;
  /** Has something to look at, and is kept waiting. */
  private late = false;

  constructor(kernel: Kernel, owner: "proxy" | "world", state: SocketState, address: string, port: number) {
    this.kernel = kernel;
    this.owner = owner;
    this.state = state;
    this.remoteAddress = address;
    this.remotePort = port;
    this.id = kernel.register(this);
    this.activeMs = kernel.agenda.nowMs;
    this.window = kernel.dice.size(kernel.mood.windowMax - kernel.mood.windowMin) + kernel.mood.windowMin;
  }

  get isOpen(): boolean {
    return this.state === SocketState.Open;
  }

  // ---- sending

  write(bytes: Uint8Array, start: number, end: number): number {
    const { kernel } = this;
    if (this.state === SocketState.Connecting) return 0;
    if (this.state !== SocketState.Open || this.finSent) return -1;
    if (end <= start) return 0;
    if (this.resetAtMs <= kernel.agenda.nowMs) {
      if (this.owner === "proxy") kernel.onPeerGone?.(this);
      return kernel.dice.chance(0.5) ? -1 : 0; // its onClose is under way
    }
    if (this.owner === "proxy") kernel.sabotage?.beforeWrite?.(this);
    const taken = this.room(end - start);
    if (taken < end - start) this.awaitRoom();
    if (taken === 0) return 0;
    const piece = new Uint8Array(bytes.subarray(start, start + taken));
    this.sent += taken;
    this.activeMs = kernel.agenda.nowMs;
    kernel.noteBytes("write", this, piece);
    if (this.owner === "proxy") this.leaveSabotaged(piece);
    else this.leave(piece);
    if (kernel.dice.chance(kernel.mood.spuriousDrain)) this.arrangeDrain();
    return taken;
  }

  /** How many of length bytes are accepted now. */
  private room(length: number): number {
    const peer = this.peer!;
    if (peer.state === SocketState.Closed) return length; // they are on their way before anybody can know
    const { dice, mood } = this.kernel;
    const room = Math.max(0, Math.min(length, this.window - peer.inbox.queued));
    return room > 0 && dice.chance(mood.partial) ? dice.whole(0, room) : room;
  }

  private leaveSabotaged(piece: Uint8Array): void {
    const { sabotage } = this.kernel;
    const bytes = sabotage?.outgoing?.(this, piece) ?? piece;
    const socket = sabotage?.route?.(this) ?? this;
    socket.leave(bytes);
  }

  private leave(piece: Uint8Array): void {
    const { agenda } = this.kernel;
    if (this.tap !== null) this.tap(piece);
    const peer = this.peer!;
    if (peer.state === SocketState.Closed) {
      this.hearReset(agenda.nowMs + this.kernel.latency() * 2);
      return;
    }
    peer.inbox.add(piece, agenda.nowMs + this.kernel.latency());
    peer.arm();
  }

  unsent(): number {
    const peer = this.peer;
    if (peer === null || this.state !== SocketState.Open || this.kernel.dice.chance(0.05)) return -1;
    return peer.inbox.queued;
  }

  private awaitRoom(): void {
    this.wantsDrain = true;
    const peer = this.peer!;
    if (peer.inbox.queued < this.window) this.arrangeDrain();
  }

  /** The peer has taken bytes. */
  roomMade(): void {
    if (this.wantsDrain) this.arrangeDrain();
  }

  private arrangeDrain(): void {
    if (this.drainArranged) return;
    this.drainArranged = true;
    this.kernel.agenda.after(this.kernel.latency(), () => {
      this.drainArranged = false;
      if (this.state !== SocketState.Open || this.resetAtMs <= this.kernel.agenda.nowMs) return;
      this.wantsDrain = false;
      if (this.owner === "proxy" && this.kernel.sabotage?.swallowDrain?.(this)) return;
      this.kernel.call(this, "drain", () => this.events.onDrain());
    });
  }

  finish(): void {
    if (this.state !== SocketState.Open || this.finSent) return;
    this.sendFin();
    if (this.finHeard) this.kernel.agenda.after(this.kernel.latency(), () => this.ended(Cause.None));
  }

  private sendFin(): void {
    this.finSent = true;
    this.kernel.trace.note("fin", this.label);
    const peer = this.peer!;
    peer.inbox.finish(this.kernel.agenda.nowMs + this.kernel.latency());
    peer.arm();
  }

  // ---- the end

  close(): void {
    const { kernel } = this;
    if (this.state === SocketState.Connecting) return this.abort();
    if (this.state === SocketState.Closed) return;
    kernel.trace.note("close", this.label, this.inbox.queued);
    const nowMs = kernel.agenda.nowMs;
    if (this.inbox.arrived(nowMs) > 0) this.sendReset(kernel.dice.chance(0.5));
    else {
      if (!this.finSent) this.sendFin();
      // What is still on its way here finds nobody.
      if (this.inbox.queued > 0) this.peer!.hearReset(this.inbox.lastMs + kernel.latency());
    }
    this.ended(Cause.None);
  }

  abort(): void {
    if (this.state === SocketState.Closed) return;
    this.kernel.trace.note("abort", this.label);
    if (this.owner === "proxy") this.kernel.onAbort?.(this);
    if (this.peer !== null) this.sendReset(true);
    this.ended(Cause.Aborted);
  }

  /** lossy: it may overtake what was accepted but not delivered. */
  private sendReset(lossy: boolean): void {
    const peer = this.peer!;
    const soon = this.kernel.agenda.nowMs + this.kernel.latency();
    peer.hearReset(lossy ? soon : Math.max(soon, peer.inbox.lastMs));
  }

  hearReset(atMs: number): void {
    if (this.state === SocketState.Closed) return;
    this.resetAtMs = Math.min(this.resetAtMs, atMs);
    this.arm();
  }

  /** The end, from wherever it is heard first. */
  ended(cause: Cause): void {
    if (this.state === SocketState.Closed) return;
    this.state = SocketState.Closed;
    this.kernel.forget(this);
    const { events } = this;
    this.events = silent;
    if (events === silent) this.unheard = true;
    else this.kernel.call(this, `closed:${cause}`, () => events.onClose(cause));
  }

  // ---- receiving

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.arm();
  }

  /** The connect is through. */
  established(): void {
    if (this.state !== SocketState.Connecting) return;
    this.state = SocketState.Open;
    this.kernel.call(this, "open", () => this.events.onOpen());
    this.arm();
  }

  /** Taken out of a listener's queue. */
  accepted(events: ConnectionEvents): void {
    if (this.unheard) this.kernel.call(this, "unheard", () => events.onClose(Cause.Aborted));
    else if (this.state === SocketState.Open) {
      this.events = events;
      this.activeMs = this.kernel.agenda.nowMs;
      this.arm();
    }
  }

  /** Arranges the next look at what has arrived. */
  arm(): void {
    if (this.state !== SocketState.Open) return;
    let atMs = this.resetAtMs;
    if (!this.paused) atMs = Math.min(atMs, this.inbox.nextMs(this.finHeard));
    if (atMs === Infinity) return;
    const { agenda, dice } = this.kernel;
    const at = Math.max(atMs, agenda.nowMs) + dice.real(0, 0.05);
    if (at >= this.pumpAtMs || this.late) return;
    this.pumpAtMs = at;
    agenda.at(at, () => {
      if (this.pumpAtMs === at) this.look(); // else an earlier look came in between
    });
  }

  /** Its turn has come; or would have, if the process were not busy. */
  private look(): void {
    const { agenda, dice, mood } = this.kernel;
    this.late = !this.late && dice.chance(mood.lag);
    if (this.late) {
      agenda.after(dice.real(0, 5), () => this.look());
      return;
    }
    this.pumpAtMs = Infinity;
    this.pump();
    this.arm();
  }

  private pump(): void {
    if (this.state !== SocketState.Open) return;
    const { kernel, inbox } = this;
    const nowMs = kernel.agenda.nowMs;
    if (nowMs >= this.resetAtMs) return this.breakDown(nowMs);
    if (this.paused) return;
    const arrived = inbox.arrived(nowMs);
    if (arrived > 0) {
      if (!this.offerToMove()) this.deliver(this.cut(arrived));
    } else if (inbox.isFinished(nowMs) && !this.finHeard) {
      this.finHeard = true;
      if (this.owner === "proxy") kernel.onPeerGone?.(this);
      if (this.finSent) this.ended(Cause.None);
      else kernel.call(this, "finish", () => this.events.onFinish());
    }
  }

  /** As the reactor does it; Bun's sockets never ask. True if something was taken. */
  private offerToMove(): boolean {
    const { kernel, events } = this;
    if (events.onReadable === undefined || (this.received & 1) === 0) return false;
    let taken = false;
    this.inData = true;
    kernel.call(this, "", () => {
      taken = events.onReadable!();
    });
    this.inData = false;
    return taken;
  }

  read(into: Uint8Array, max: number): number {
    const { kernel, inbox } = this;
    if (!this.inData) kernel.trace.fail("read", `${this.label}: read() outside of onData and onReadable`);
    const nowMs = kernel.agenda.nowMs;
    const room = Math.min(max, into.length, inbox.arrived(nowMs));
    if (this.state !== SocketState.Open || this.paused || nowMs >= this.resetAtMs || room <= 0) return 0;
    if (kernel.dice.chance(0.1)) return 0;
    const size = kernel.dice.chance(kernel.mood.whole) ? room : kernel.dice.whole(1, room);
    const bytes = inbox.take(size);
    into.set(bytes);
    this.received += size;
    this.peer!.roomMade();
    kernel.noteBytes("read", this, bytes);
    return size;
  }

  moveTo(target: Connection, max: number): Moved {
    const { kernel, inbox } = this;
    if (!this.inData) kernel.trace.fail("read", `${this.label}: moveTo() outside of onData and onReadable`);
    const nowMs = kernel.agenda.nowMs;
    const size = Math.min(max, 65_536, inbox.arrived(nowMs));
    if (!(target instanceof SimSocket) || !target.isOpen || target.finSent || target.paused) return NOTHING_MOVED;
    if (!this.isOpen || this.paused || nowMs >= this.resetAtMs || size <= 0) return NOTHING_MOVED;
    if (kernel.dice.chance(0.1)) return NOTHING_MOVED;
    const bytes = inbox.take(size);
    this.received += size;
    this.peer!.roomMade();
    kernel.noteBytes("move", this, bytes);
    const accepted = Math.max(0, target.write(bytes, 0, size));
    if (accepted === size) return { taken: size, rest: null };
    return { taken: size, rest: bytes.slice(accepted) };
  }

  private cut(arrived: number): number {
    const { dice, mood } = this.kernel;
    const size = Math.min(arrived, mood.readMax);
    return dice.chance(mood.whole) ? size : dice.whole(1, size);
  }

  private deliver(size: number): void {
    const { kernel } = this;
    const taken = this.inbox.take(size);
    // Bun gives Buffers, whose slice() is a view: who takes it for a copy is found out below.
    const bytes = Buffer.from(taken.buffer, taken.byteOffset, taken.length);
    this.received += size;
    this.peer!.roomMade();
    kernel.noteBytes("data", this, bytes);
    this.inData = true;
    lend(bytes);
    kernel.call(this, "", () => this.events.onData(bytes));
    this.inData = false;
    // What was not kept comes to its end here: whoever reads it later reads this. What was kept must stay as it is.
    const free = comesBack();
    if (this.owner === "proxy") {
      if (free) bytes.fill(0xee);
      else kernel.freeze(bytes);
    }
    if (this.owner === "proxy") kernel.sabotage?.delivered?.(this, bytes);
  }

  /** A reset: what had arrived is lost or, even on a paused connection, read out first. */
  private breakDown(nowMs: number): void {
    const { dice, mood } = this.kernel;
    if (dice.chance(mood.flushOnReset)) {
      if (this.owner === "proxy") this.kernel.flushedMax = Math.max(this.kernel.flushedMax, this.inbox.arrived(nowMs));
      for (let arrived = this.inbox.arrived(nowMs); arrived > 0 && this.isOpen; arrived = this.inbox.arrived(nowMs)) {
        this.deliver(this.cut(arrived));
      }
    }
    if (this.owner === "proxy") this.kernel.onPeerGone?.(this);
    this.ended(Cause.Reset);
  }

  /** For the trace: whose end, and which connection. */
  get label(): string {
    return `${this.owner}#${this.id}`;
  }
}
