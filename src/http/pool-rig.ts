// For the tests of this folder: a pool whose endpoints the test plays, and a heap of random trouble for whoever sends
// requests to it. Not part of the program.

import { Cause, type Net, type Rng } from "../base/ports.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { FakeConnection, TestTime } from "../codec/test-kit.ts";
import type { PoolConfig } from "../model/config.ts";
import { ConnectionShare } from "../pool/connection-share.ts";
import { Connector } from "../pool/connector.ts";
import { Pool } from "../pool/pool.ts";
import { sampleColumns, sampleMembers, samplePoolConfig, type SampleEndpoint } from "../pool/sample-pool.ts";
import { EC, PC } from "../stats/columns.ts";
import { PoolRuntime } from "./pool-runtime.ts";

/** A connection to an endpoint, and what became of it. */
export class RigConnection extends FakeConnection {
  readonly row: number;
  /** It is established. */
  opened = false;

  constructor(ip: string) {
    super(ip);
    this.row = Number(ip.split(".")[3]) - 1;
  }
  open(): this {
    this.opened = true;
    this.events.onOpen();
    return this;
  }
}

export class PoolRig {
  readonly time = new TestTime();
  readonly columns = sampleColumns();
  readonly connections: RigConnection[] = [];
  readonly connector: Connector;
  readonly runtime: PoolRuntime;
  readonly pool: Pool;
  readonly share: ConnectionShare | null;
  readonly parts: { readonly clock: TestTime; readonly timers: TestTime["timers"]; readonly connector: Connector };
  readonly holder = { exchanges: 0 };

  constructor(endpoints: readonly SampleEndpoint[] = [{}], change: Partial<PoolConfig> = {}, rng: Rng = seededRng(1)) {
    const { time, columns } = this;
    const members = sampleMembers(columns, endpoints);
    const config = samplePoolConfig(change);
    const net: Net = {
      adopt: () => {
        throw new Error("not here");
      },
      connect: (target, events) => {
        const connection = new RigConnection(target.ip);
        connection.events = events;
        this.connections.push(connection);
        return connection;
      },
    };
    this.connector = new Connector(net, time, time.timers, columns, 0);
    this.pool = new Pool(config, members, columns, 0, rng, time, 1);
    const max = config.circuit.connections;
    const shared = { workers: 1, columns, worker: 0, row: 1, clock: time, timers: time.timers };
    const rows = members.map((member) => member.row);
    this.share = max === 0 ? null : new ConnectionShare({ ...shared, max, endpoints: rows });
    for (const { row, target } of members) {
      this.connector.setTarget(row, target);
      this.connector.setShare(row, this.share);
    }
    this.runtime = new PoolRuntime("auth", "", this.pool, time, time.timers, this.share);
    this.parts = { clock: time, timers: time.timers, connector: this.connector };
  }

  /** The connection that was made last. */
  get latest(): RigConnection {
    return this.connections.at(-1)!;
  }

  /** A counter of the pool's endpoints, all together. */
  sum(what: keyof typeof EC): number {
    return this.pool.members.reduce((sum, { row }) => sum + this.columns.endpoint(0, row)[EC[what]]!, 0);
  }

  /** What must be zero when nothing is under way: requests at endpoints, in the pool, in the generation. */
  get underWay(): number[] {
    const { columns, holder, pool } = this;
    const active = pool.members.reduce((sum, { row }) => sum + columns.active[row]!, 0);
    const counters = columns.pool(0, 1);
    return [active, this.sum("activeOwn"), columns.poolRequests[1]!, counters[PC.requestsOwn]!, holder.exchanges];
  }

  /** One random thing that an endpoint, the network or time may do. text = an answer's, whole or not. */
  trouble(rng: Rng, text: () => string): void {
    const alive = this.connections.filter((connection) => connection.isOpen);
    const one = alive[rng.below(Math.max(1, alive.length))];
    const what = rng.below(10);
    if (what === 0) this.time.pass(rng.below(400));
    if (one === undefined || what === 0) return;
    if (!one.opened) {
      if (what < 7) one.open();
      else one.break([Cause.Refused, Cause.TimedOut, Cause.NoResources][what - 7]!);
      return;
    }
    if (what === 1) one.break(Cause.Reset);
    else if (what === 2) one.receiveFin();
    else if (what === 3) one.room = rng.below(300);
    else if (what === 4) one.drain(1000);
    else if (what === 5) one.receive(text().slice(0, rng.below(60)));
    else one.receive(text());
  }

  /** Everything stops; what is left of connections and timers. */
  end(): number[] {
    for (let k = 0; k < 3; k++) {
      for (const connection of this.connections) if (connection.isOpen) connection.break();
      this.time.pass(100_000);
    }
    this.connector.closeAllIdle();
    this.time.pass(1000);
    return [this.connector.open, this.time.timers.size, this.columns.poolConnections[1]!];
  }
}

const statuses = [
  "200 OK",
  "204 No Content",
  "401 Unauthorized",
  "302 Found",
  "304 Not Modified",
  "500 no",
  "100 Go on",
];

/** An answer of any kind, in whatever framing. */
export function anyAnswer(rng: Rng): string {
  const status = statuses[rng.below(statuses.length)]!;
  const start = `HTTP/1.1 ${status}\r\nX-User: joe\r\nCache-Control: max-age=${rng.below(2)}\r\n`;
  const body = "x".repeat(rng.below(50));
  if (rng.below(10) === 0) return "HTTP/1.1 nonsense\r\n\r\n";
  const chunk = body === "" ? "" : `${body.length.toString(16)}\r\n${body}\r\n`;
  if (rng.below(3) === 0) return `${start}Transfer-Encoding: chunked\r\n\r\n${chunk}0\r\n\r\n`;
  if (rng.below(6) === 0) return `${start}Connection: close\r\n\r\n${body}`;
  return `${start}Content-Length: ${body.length}\r\n\r\n${body}`;
}
