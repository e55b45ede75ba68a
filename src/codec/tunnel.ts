// Two connections joined byte for byte: what an upgrade (WebSocket) becomes, and a plain TCP relay. Back-pressure both
// ways, half-close both ways, a reset for a reset, one deadline for silence. It knows no protocol.

import type { Failure } from "../base/failure.ts";
import { failure, FailureCause, Phase, Side } from "../base/failure.ts";
import { Cause, type Clock, type Connection, type ConnectionEvents } from "../base/ports.ts";
import type { TimerOwner, TimerWheel } from "../base/timer-wheel.ts";
import { flush, offer, type Outlet } from "./outlet.ts";
import { type Detached, Flow } from "./stream.ts";

/** Who hears of the tunnel's end: exactly once. f is 0 when both sides finished in order. */
export interface TunnelOwner {
  onTunnelEnd(f: Failure, bytesFromClient: number, bytesFromEndpoint: number): void;
}

class TunnelEnd implements ConnectionEvents, Outlet {
  readonly connection: Connection;
  pending: Uint8Array | null = null;
  pendingAt = 0;
  unsentBefore = 0;
  bytesOut = 0;
  bytesIn = 0;
  /** The peer has sent its FIN. */
  finished = false;
  /** We have sent ours. */
  shut = false;
  other: TunnelEnd | null = null;
  private readonly tunnel: Tunnel;
  private readonly side: Side;

  constructor(tunnel: Tunnel, connection: Connection, side: Side) {
    this.tunnel = tunnel;
    this.connection = connection;
    this.side = side;
  }

  onOpen(): void {}

  onData(bytes: Uint8Array): void {
    this.bytesIn += bytes.length;
    this.tunnel.touch();
    if (this.other!.pass(bytes, 0, bytes.length) === Flow.Pause) this.connection.pause();
  }

  pass(bytes: Uint8Array, start: number, end: number): Flow {
    return offer(this, bytes, start, end, true);
  }

  onDrain(): void {
    if (this.pending === null) return;
    this.tunnel.touch();
    if (flush(this) !== Flow.Go) return;
    this.settle();
    if (!this.tunnel.over) this.other!.connection.resume();
  }

  onFinish(): void {
    this.finished = true;
    this.tunnel.touch();
    this.other!.settle();
  }

  /** Passes the other side's FIN on once nothing is pending, and ends the tunnel when both have gone both ways. */
  settle(): void {
    if (this.pending !== null) return;
    const other = this.other!;
    if (!this.shut && other.finished) {
      this.shut = true;
      if (!this.finished || !other.shut) this.connection.finish();
    }
    if (this.shut && this.finished && other.shut && other.finished) this.tunnel.end(0);
  }

  onClose(cause: Cause): void {
    if (this.tunnel.over) return;
    if (cause !== Cause.None) {
      const why = cause === Cause.TimedOut ? FailureCause.Timeout : FailureCause.Reset;
      this.tunnel.end(failure(this.side, Phase.Tunnel, why));
      return;
    }
    // Our FIN was answered by the peer's. What the other side still has to take goes out first.
    this.finished = true;
    this.shut = true;
    this.pending = null;
    this.other!.settle();
  }
}

export class Tunnel implements TimerOwner {
  over = false;
  private readonly client: TunnelEnd;
  private readonly endpoint: TunnelEnd;
  private readonly timer: number;
  private readonly clock: Clock;
  private readonly timers: TimerWheel;
  private readonly idleMs: number;
  private readonly owner: TunnelOwner;

  /** Takes both connections over. idleMs 0 = silence is never too long. */
  constructor(
    client: Connection,
    endpoint: Connection,
    clock: Clock,
    timers: TimerWheel,
    idleMs: number,
    owner: TunnelOwner,
  ) {
    this.clock = clock;
    this.timers = timers;
    this.idleMs = idleMs;
    this.owner = owner;
    this.client = new TunnelEnd(this, client, Side.Client);
    this.endpoint = new TunnelEnd(this, endpoint, Side.Endpoint);
    this.client.other = this.endpoint;
    this.endpoint.other = this.client;
    this.timer = timers.open(this);
    client.events = this.client;
    endpoint.events = this.endpoint;
    this.touch();
  }

  /** Starts the flow with what each side had received but not passed on, and had sent but not got rid of. */
  start(client: Detached, endpoint: Detached): void {
    this.client.pending = client.unsent;
    this.endpoint.pending = endpoint.unsent;
    this.client.finished = client.finished;
    this.endpoint.finished = endpoint.finished;
    if (client.received !== null) this.client.onData(client.received);
    if (endpoint.received !== null) this.endpoint.onData(endpoint.received);
    if (this.endpoint.pending === null) this.client.connection.resume();
    if (this.client.pending === null) this.endpoint.connection.resume();
    if (client.finished) this.endpoint.settle();
    if (endpoint.finished) this.client.settle();
  }

  touch(): void {
    if (this.idleMs !== 0) this.timers.set(this.timer, this.clock.nowMs() + this.idleMs);
  }

  onDeadline(_slot: number, _nowMs: number): void {
    this.end(failure(Side.Proxy, Phase.Tunnel, FailureCause.Timeout));
  }

  /** Ends the tunnel: in order for f = 0, else with a reset to whoever is still there. */
  end(f: Failure): void {
    if (this.over) return;
    this.over = true;
    this.timers.close(this.timer);
    if (f === 0) {
      this.client.connection.close();
      this.endpoint.connection.close();
    } else {
      this.client.connection.abort();
      this.endpoint.connection.abort();
    }
    this.owner.onTunnelEnd(f, this.client.bytesIn, this.endpoint.bytesIn);
  }
}
