// An exchange that became a tunnel (a WebSocket): how it begins, its longest life, and what is accounted for at its
// end. The bytes themselves are the codec's business (codec/tunnel.ts).

import { type Failure, failure, FailureCause, Phase, Side } from "../base/failure.ts";
import type { Scratch } from "../base/bytes.ts";
import type { TimerOwner } from "../base/timer-wheel.ts";
import type { H1Client } from "../codec/h1-client.ts";
import { Tunnel, type TunnelOwner } from "../codec/tunnel.ts";
import { EC, LC } from "../stats/columns.ts";
import type { Head } from "../wire/head.ts";
import type { Exchange } from "./exchange.ts";

export class TunnelRun implements TunnelOwner, TimerOwner {
  private readonly exchange: Exchange;
  private readonly row: number;
  private readonly tunnel: Tunnel;
  private timer = -1;

  /** Sends the 101 with `lines` behind its own, and joins the two connections. The exchange has let go of upstream. */
  constructor(exchange: Exchange, upstream: H1Client, head: Head, lines: Scratch) {
    const client = exchange.client!;
    const { listener } = exchange;
    const route = exchange.route!;
    this.exchange = exchange;
    this.row = upstream.member;
    client.sendHead(head, lines, true, false);
    const counters = listener.connector.countersOf(this.row);
    const fromClient = client.detach();
    const fromEndpoint = upstream.detach();
    // What came behind the heads is counted again as the tunnel's first bytes.
    counters[EC.bytesReceived]! -= fromEndpoint.received?.length ?? 0;
    listener.counters[LC.bytesReceived]! += client.takeBytesIn() - (fromClient.received?.length ?? 0);
    listener.counters[LC.bytesSent]! += client.takeBytesOut();
    const { clock, timers } = listener;
    this.tunnel = new Tunnel(client.connection, upstream.connection, clock, timers, route.tunnelMs, this);
    exchange.tunnel = this;
    listener.onTunnelOpened(exchange);
    listener.connector.tunnelOpened(this.row);
    if (route.tunnelLifetimeMs !== 0) {
      this.timer = timers.open(this);
      timers.set(this.timer, clock.cachedMs + route.tunnelLifetimeMs);
    }
    this.tunnel.start(fromClient, fromEndpoint);
  }

  /** Breaks it (the drain deadline has come). */
  cut(f: Failure): void {
    this.tunnel.end(f);
  }

  /** It has lived as long as it may. */
  onDeadline(): void {
    this.tunnel.end(failure(Side.Proxy, Phase.Tunnel, FailureCause.Timeout));
  }

  onTunnelEnd(f: Failure, fromClient: number, fromEndpoint: number): void {
    const { exchange } = this;
    const { listener } = exchange;
    if (this.timer >= 0) listener.timers.close(this.timer);
    listener.connector.tunnelClosed(this.row);
    const counters = listener.connector.countersOf(this.row);
    counters[EC.bytesSent]! += fromClient;
    counters[EC.bytesReceived]! += fromEndpoint;
    counters[EC.status1xx]!++;
    listener.counters[LC.status1xx]!++;
    listener.counters[LC.bytesReceived]! += fromClient;
    listener.counters[LC.bytesSent]! += fromEndpoint;
    exchange.onTunnelEnd(f, fromClient, fromEndpoint);
  }
}
