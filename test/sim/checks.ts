// What must hold at every moment of a run, and what must be left when it is over: nothing.

import { EC, LC, PC, WC } from "../../src/stats/columns.ts";
import { openTable } from "../../src/stats/table-arena.ts";
import { type SimSocket, SocketState } from "./sim-socket.ts";
import type { World } from "./world.ts";

/** What the proxy's side of a connection may be holding, by the names of its fields. */
interface Holder {
  readonly pending?: Uint8Array | null;
  readonly pendingAt?: number;
  readonly stash?: Uint8Array | null;
  readonly stashAt?: number;
  readonly headBuffer?: { readonly length: number } | null;
}

const headBytesMax = 60 * 1024;
/** What one turn of reading into lent memory may bring. */
const lentBytes = 128 * 1024;

function heldBy(socket: SimSocket): number {
  const { pending, pendingAt, stash, stashAt, headBuffer } = socket.events as Holder;
  return (
    (pending?.length ?? 0) -
    (pending ? (pendingAt ?? 0) : 0) +
    (stash?.length ?? 0) -
    (stash ? (stashAt ?? 0) : 0) +
    (headBuffer?.length ?? 0)
  );
}

/** After each call of the proxy (socket = whose), and at each tick (null). */
export function checkAlways(world: World, socket: SimSocket | null): void {
  if (socket !== null) {
    checkHeld(world, socket);
    return;
  }
  const { columns, trace, layout } = world;
  for (const open of world.kernel.open) checkHeld(world, open);
  for (let row = 0; row < columns.size.endpoints; row++) {
    if (columns.active[row]! < 0) trace.fail("active", `row ${row}: ${columns.active[row]} requests in progress`);
  }
  ["main", "other"].forEach((pool, row) => {
    const { connections = 0, requests = 0 } = layout.policies?.circuitOf(pool) ?? {};
    const [open, busy] = [columns.poolConnections[row]!, columns.poolRequests[row]!];
    if (connections !== 0 && open > connections) trace.fail("circuit", `${pool}: ${open} connections`);
    if (requests !== 0 && busy > requests) trace.fail("circuit", `${pool}: ${busy} requests`);
  });
  for (const { row, max, site } of layout.members()) {
    // A lowered limit binds new requests only; limits here never change while an endpoint is a member.
    if (max !== 0 && columns.active[row]! > max) {
      trace.fail("active", `${site.name}: ${columns.active[row]} requests in progress, at most ${max} allowed`);
    }
  }
}

/** A few pieces of what one read brings, and a head: nothing that grows with a body. */
function checkHeld(world: World, socket: SimSocket): void {
  const held = heldBy(socket);
  if (held > world.heldMax) world.heldMax = held;
  const { readMax } = world.weather.net;
  const max = 3 * readMax + 2 * headBytesMax + (readMax > headBytesMax ? lentBytes : 0) + world.kernel.flushedMax;
  if (held > max) world.trace.fail("memory", `${socket.label} holds ${held} bytes, more than ${max}`);
}

/**
 * Deadlines come late by a tick or two, never early. Asked where nothing but a deadline can end a silent connection.
 */
export function checkPatience(world: World, socket: SimSocket): void {
  const { weather, agenda, trace } = world;
  const { connectMs, responseMs, totalMs } = weather.deadlines;
  if (!socket.isOutgoing || weather.rude > 0 || weather.drains || totalMs !== 0) return;
  const silentMs = agenda.nowMs - socket.activeMs;
  if (socket.state === SocketState.Connecting && silentMs < connectMs) {
    trace.fail("early", `${socket.label} was given up after ${silentMs} ms of ${connectMs}`);
  }
  const isSilent =
    socket.received === 0 && socket.isOpen && socket.sent > 0 && !socket.finHeard && socket.resetAtMs > agenda.nowMs;
  if (isSilent && world.isWaitedFor(socket) && silentMs < responseMs) {
    trace.fail("early", `${socket.label} was given up after ${silentMs} ms of ${responseMs}`);
  }
}

/** Is everything over? */
export function isQuiet(world: World): boolean {
  if (world.kernel.open.size > 0) return false;
  const { workers, columns } = world;
  return workers.every(
    ({ context, timers }) => timers.size === 0 && columns.worker(context.worker)[WC.exchanges] === 0,
  );
}

/** The end of a run. */
export function checkQuiet(world: World): void {
  const { trace, ledger, kernel, columns, workers } = world;
  for (const request of ledger.all()) {
    if (request.sentAtMs !== 0 && request.outcome === "open" && request.excuse === 0) {
      trace.fail("stuck", `${request.name} was neither answered nor refused`);
    }
  }
  for (const socket of kernel.open) trace.fail("leak", `${socket.label} is still open`);
  for (const { plane, timers, generation, context } of workers) {
    const { worker } = context;
    const gauge = (what: string, value: number | undefined): void => {
      if (value !== 0) trace.fail("gauge", `worker ${worker}: ${what} is ${value}`);
    };
    gauge("exchanges", columns.worker(worker)[WC.exchanges]);
    gauge("openConnections", plane.openConnections);
    for (let row = 0; row < columns.size.listeners; row++) {
      const counters = columns.listener(worker, row);
      for (const name of ["open", "tunnels", "queued"] as const) gauge(`listener ${row}: ${name}`, counters[LC[name]]);
    }
    for (let row = 0; row < columns.size.endpoints; row++) {
      const counters = columns.endpoint(worker, row);
      for (const name of ["idle", "activeOwn"] as const) gauge(`endpoint ${row}: ${name}`, counters[EC[name]]);
    }
    for (let row = 0; row < 4; row++) {
      const counters = columns.pool(worker, row);
      for (const name of ["connectionsOwn", "requestsOwn", "pendingOwn"] as const)
        gauge(`pool ${row}: ${name}`, counters[PC[name]]);
    }
    gauge("copies", plane.mirrorLoad.copies);
    gauge("bytes of copies", plane.mirrorLoad.bytes);
    gauge("timers", timers.size);
    const oldest = plane.oldestGeneration;
    if (oldest !== generation?.number)
      trace.fail("generation", `worker ${worker}: generation ${oldest} is not retired`);
  }
  for (let row = 0; row < columns.size.endpoints; row++) {
    if (columns.active[row] !== 0) trace.fail("active", `row ${row}: ${columns.active[row]} requests never released`);
  }
  for (const name of ["poolRequests", "poolPending", "poolConnections"] as const) {
    columns[name].forEach((count, row) => {
      if (count !== 0) trace.fail("gauge", `${name} of row ${row} is ${count}`);
    });
  }
  const { opened } = world.compressors;
  if (opened !== 0) trace.fail("gauge", `${opened} compressors are open`);
  checkTables(world);
  checkCounters(world);
  kernel.checkFrozen();
}

/** Limits of requests in progress count nobody any more. */
function checkTables({ columns, layout, trace }: World): void {
  for (const wish of layout.tables) {
    if (!wish.perWorker) continue;
    const table = openTable(columns.arena, wish.at, wish);
    table.each((slot) => {
      for (let worker = 0; worker < wish.values; worker++) {
        const count = table.load(slot, worker);
        if (count !== 0) trace.fail("gauge", `${wish.name}: ${count} in progress`);
      }
    });
  }
}

/** What was counted against what happened. */
function checkCounters(world: World): void {
  const { trace, kernel, columns, workers, weather } = world;
  const sum = (name: keyof typeof LC): number =>
    total(columns.size.listeners, (w, row) => columns.listener(w, row)[LC[name]]!);
  const sumUp = (name: keyof typeof EC): number =>
    total(columns.size.endpoints, (w, row) => columns.endpoint(w, row)[EC[name]]!);
  const total = (rows: number, value: (worker: number, row: number) => number): number => {
    let result = 0;
    for (const { context } of workers) for (let row = 0; row < rows; row++) result += value(context.worker, row);
    return result;
  };
  const equal = (what: string, counted: number, real: number): void => {
    if (counted !== real) trace.fail("counter", `${what}: ${counted} counted, ${real} happened`);
  };
  const [fromClients, toClients, fromEndpoints, toEndpoints] = kernel.traffic;
  equal("accepted", sum("accepted"), kernel.accepts);
  equal("connects", sumUp("connects"), kernel.connects);
  equal("bytes from clients", sum("bytesReceived"), fromClients!);
  // Bytes that came when no request was under way count for nobody.
  if (weather.faults + weather.idleCloses === 0) equal("bytes from endpoints", sumUp("bytesReceived"), fromEndpoints!);
  // What a tunnel took in counts as sent, also where its end came first.
  if (world.ledger.tally.tunnels === 0) {
    equal("bytes to clients", sum("bytesSent"), toClients!);
    equal("bytes to endpoints", sumUp("bytesSent"), toEndpoints!);
  }
  const statuses = sum("status1xx") + sum("status2xx") + sum("status3xx") + sum("status4xx") + sum("status5xx");
  if (statuses < sum("requests") - world.ledger.tally.unanswered - world.ledger.tally.broken) {
    trace.fail("counter", `${statuses} statuses for ${sum("requests")} requests`);
  }
  if (weather.logs && world.logLines < statuses)
    trace.fail("counter", `${world.logLines} lines for ${statuses} statuses`);
}
