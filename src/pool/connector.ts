// Opens connections to endpoints and keeps the idle ones, per row of the shared columns, last used first. One per
// worker: it outlives configurations, so that a reload costs no kept connection. It knows nothing of requests, and of
// pools only that the connections of some rows are limited together (connection-share.ts).

import type { Clock, Net, Target } from "../base/ports.ts";
import type { TimerWheel } from "../base/timer-wheel.ts";
import { type ClientOwner, type ClientTimeouts, H1Client } from "../codec/h1-client.ts";
import type { UpstreamSink } from "../codec/stream.ts";
import type { KeepAliveConfig } from "../model/config.ts";
import { type Columns, EC } from "../stats/columns.ts";
import type { CloseIdle, ConnectionShare } from "./connection-share.ts";

/** Who counts the sockets of this process. */
export interface SocketCount {
  /** No idle connection should be kept now. */
  readonly isShort: boolean;
  socketOpened(): void;
  socketClosed(): void;
}

export class Connector implements ClientOwner {
  readonly clock: Clock;
  readonly timers: TimerWheel;
  private readonly net: Net;
  private readonly columns: Columns;
  private readonly worker: number;
  private readonly sockets: SocketCount | null;
  private readonly heads: (H1Client | null)[] = [];
  private readonly counters: (Float64Array | null)[] = [];
  /** Where each row leads, and a number for it that no other place of any row ever had. */
  private readonly targets: (string | undefined)[] = [];
  private readonly places: (number | undefined)[] = [];
  private lastPlace = 0;
  /** Rows whose connections are limited; and the connections of every row, tunnels included. */
  private readonly shares: (ConnectionShare | undefined)[] = [];
  private readonly opens: number[] = [];
  /** The row for which the place of a connection has been taken; -1 = none. */
  private reserved = -1;
  private readonly closeSome: CloseIdle = (rows, count) => this.closeIdleOf(rows, count);
  private openCount = 0;

  constructor(
    net: Net,
    clock: Clock,
    timers: TimerWheel,
    columns: Columns,
    worker: number,
    sockets: SocketCount | null = null,
  ) {
    this.net = net;
    this.clock = clock;
    this.timers = timers;
    this.columns = columns;
    this.worker = worker;
    this.sockets = sockets;
  }

  /** Connections to endpoints, idle and busy. */
  get open(): number {
    return this.openCount;
  }

  /** This worker's counters of a row. */
  countersOf(row: number): Float64Array {
    const known = this.counters[row];
    if (known !== undefined && known !== null) return known;
    while (this.counters.length <= row) {
      this.counters.push(null);
      this.heads.push(null);
    }
    const counters = this.columns.endpoint(this.worker, row);
    this.counters[row] = counters;
    return counters;
  }

  /**
   * Says where a row leads from now on; null = nowhere. Connections to another place are of no more use: idle ones
   * close now, the others after their exchange, so that none ever serves whoever has the row next.
   */
  setTarget(row: number, target: Target | null): void {
    const key = target === null ? undefined : keyOf(target);
    if (this.targets[row] === key) return;
    this.targets[row] = key;
    this.places[row] = ++this.lastPlace;
    this.closeIdle(row);
  }

  /** Says which limit the connections of a row count against, from now on; null = none. */
  setShare(row: number, share: ConnectionShare | null): void {
    const before = this.shares[row];
    if (before === (share ?? undefined)) return;
    const open = this.opens[row] ?? 0;
    if (before !== undefined) before.remove(open);
    this.shares[row] = share ?? undefined;
    if (share === null) return;
    share.closeIdle = this.closeSome;
    share.add(open);
    if (open > 0) share.onIdle();
  }

  /**
   * May a request go to this row now? Yes if it has an idle connection (unless a fresh one is wanted), or if another
   * may be opened: then its place is taken, and connect() must follow at once.
   */
  reserve(row: number, fresh: boolean): boolean {
    const share = this.shares[row];
    if (share === undefined) return true;
    this.unreserve();
    const head = this.heads[row];
    if (!fresh && head !== undefined && head !== null) return true;
    if (!share.open()) return false;
    this.reserved = row;
    return true;
  }

  /** Gives back a place that reserve() took, if connect() does not follow. */
  unreserve(): void {
    if (this.reserved < 0) return;
    this.shares[this.reserved]?.remove(1);
    this.reserved = -1;
  }

  /** A connection of this row has become a tunnel's: it is still one. */
  tunnelOpened(row: number): void {
    this.count(row, 1);
  }

  /** The tunnel has ended: once for each tunnelOpened(). */
  tunnelClosed(row: number): void {
    this.count(row, -1);
  }

  private count(row: number, by: 1 | -1): void {
    this.opens[row] = (this.opens[row] ?? 0) + by;
    const share = this.shares[row];
    if (share === undefined) return;
    if (by > 0) share.add(1);
    else share.remove(1);
  }

  /** An idle connection to the endpoint, or null. */
  take(row: number, sink: UpstreamSink, timeouts: ClientTimeouts): H1Client | null {
    const client = this.heads[row];
    if (client === undefined || client === null) return null;
    this.unlink(client);
    client.assign(sink, timeouts);
    this.counters[row]![EC.reused]!++;
    return client;
  }

  /**
   * Begins a new connection; the sink hears onReady or onReset later. Where connections are limited reserve() comes
   * first; it is not asked again here.
   */
  connect(row: number, target: Target, sink: UpstreamSink, timeouts: ClientTimeouts): H1Client {
    const counters = this.countersOf(row);
    counters[EC.connects]!++;
    const client = new H1Client(this, row, timeouts, sink);
    // A request that began under an older configuration may still connect to where the row led then.
    if (this.targets[row] === keyOf(target)) client.place = this.places[row]!;
    this.openCount++;
    if (this.reserved === row) {
      this.reserved = -1;
      this.opens[row] = (this.opens[row] ?? 0) + 1;
    } else this.count(row, 1);
    if (this.sockets !== null) this.sockets.socketOpened();
    client.connection = this.net.connect(target, client);
    return client;
  }

  /** Takes a connection back after an exchange: kept if it may be and there is room, else closed. */
  give(client: H1Client, keepAlive: KeepAliveConfig): void {
    const row = client.member;
    const counters = this.countersOf(row);
    if (
      !client.isReusable ||
      client.place !== this.places[row] ||
      this.shares[row]?.mustShrink === true ||
      (this.sockets !== null && this.sockets.isShort) ||
      counters[EC.idle]! >= keepAlive.connections ||
      (keepAlive.requests !== 0 && client.requests >= keepAlive.requests)
    ) {
      client.close();
      return;
    }
    client.park(keepAlive.idleMs);
    const head = this.heads[row]!;
    client.isLinked = true;
    client.idleNext = head;
    if (head !== null) head.idlePrevious = client;
    this.heads[row] = client;
    counters[EC.idle]!++;
    this.shares[row]?.onIdle();
  }

  /** Closes up to count idle connections of these rows, and says how many those were. */
  private closeIdleOf(rows: ArrayLike<number>, count: number): number {
    let closed = 0;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      for (let client = this.heads[row] ?? null; client !== null && closed < count; client = this.heads[row] ?? null) {
        client.close();
        closed++;
      }
      if (closed === count) break;
    }
    return closed;
  }

  private closeIdle(row: number): void {
    for (let client = this.heads[row] ?? null; client !== null; client = this.heads[row] ?? null) client.close();
  }

  closeAllIdle(): void {
    for (let row = 0; row < this.heads.length; row++) this.closeIdle(row);
  }

  onConnected(client: H1Client): void {
    if (client.sink !== null) client.sink.onReady();
  }

  onGone(client: H1Client): void {
    this.openCount--;
    this.count(client.member, -1);
    if (this.sockets !== null) this.sockets.socketClosed();
    if (client.isLinked) this.unlink(client);
  }

  private unlink(client: H1Client): void {
    const row = client.member;
    const { idleNext, idlePrevious } = client;
    if (idlePrevious !== null) idlePrevious.idleNext = idleNext;
    else this.heads[row] = idleNext;
    if (idleNext !== null) idleNext.idlePrevious = idlePrevious;
    client.idleNext = null;
    client.idlePrevious = null;
    client.isLinked = false;
    this.counters[row]![EC.idle]!--;
  }
}

function keyOf({ ip, port, unixPath }: Target): string {
  return `${unixPath ?? ""}|${ip}|${port}`;
}
