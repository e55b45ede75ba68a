// What the admin API and the commands show, as plain data: read from the supervisor and the shared columns, never kept.

import { VERSION } from "../base/version.ts";
import { formatBind } from "../config/address.ts";
import type { LastCheck, Transition } from "../health/monitor.ts";
import type { PoolConfig } from "../model/config.ts";
import { outlierOf } from "../pool/outlier.ts";
import { passiveOf, Roster, type Member } from "../pool/roster.ts";
import { EC, LC, listenerCounters, PC, WC, type ListenerCounter } from "../stats/columns.ts";
import { quantileUs } from "../stats/histogram.ts";
import { adminWord, healthWord, type AdminWord, type HealthWord } from "../stats/words.ts";
import { sumEndpoint, sumHistogram, sumListener, sumPool } from "./counters.ts";
import { ejectionReason } from "./ejections.ts";
import { endpointKey, formatEndpointAddress, isNamed } from "./endpoints.ts";
import type { JournalEvent } from "./journal.ts";
import type { Origin } from "./membership.ts";
import type { SourceReport } from "./source.ts";
import type { ReloadResult, Supervisor, SupervisorState } from "./supervisor.ts";
import type { WorkerState } from "./worker-slot.ts";

export interface EndpointView {
  readonly id: string;
  /** Where it comes from: the configuration, discovery by DNS or by file, or a call of the admin API. */
  readonly origin: Origin;
  /** As configured. */
  readonly address: string;
  /** Of an endpoint given by host name: its present IP address, null while there is none. Absent for all others. */
  readonly resolved?: string | null;
  readonly weight: number;
  readonly backup: boolean;
  /** 0 = unlimited. */
  readonly maxConnections: number;
  readonly health: HealthWord;
  readonly admin: AdminWord;
  /** Takes new requests. */
  readonly usable: boolean;
  /** Why it is not usable; "" if it is. */
  readonly reason: string;
  readonly active: number;
  /** Kept connections without a request. */
  readonly idle: number;
  readonly requests: number;
  readonly failures: number;
  readonly retries: number;
  /** Left out as an outlier now, and how often it has been. */
  readonly ejected: boolean;
  readonly ejections: number;
  /** Until the response head, in milliseconds; null before the first answer. */
  readonly latencyMs: { readonly p50: number; readonly p99: number } | null;
  readonly lastCheck: LastCheck | null;
  readonly transitionCount: number;
  readonly transitions: readonly Transition[];
}

/** What a circuit limit is, and what there is of it now; null = no limit. */
export type CircuitView = { readonly max: number; readonly now: number; readonly refused: number } | null;

export interface PoolView {
  readonly name: string;
  readonly balance: string;
  readonly noneHealthy: "fail" | "all";
  /** Where endpoints are discovered, and how that goes. */
  readonly discovery: readonly SourceReport[];
  /** How many endpoints take new requests. */
  readonly usable: number;
  /** Requests that were sent once more, and that the retry budget refused to send once more. */
  readonly repeats: number;
  readonly retriesRefused: number;
  readonly circuit: {
    readonly connections: CircuitView;
    readonly pending: CircuitView;
    readonly requests: CircuitView;
  };
  readonly endpoints: readonly EndpointView[];
}

export interface WorkerView {
  readonly worker: number;
  readonly pid: number;
  readonly state: WorkerState;
  readonly restarts: number;
  readonly generation: number;
  readonly uptimeMs: number;
  readonly openConnections: number;
  /** Requests in progress. */
  readonly exchanges: number;
  readonly requests: number;
  readonly rssBytes: number;
  readonly loopLagMs: number;
  readonly exceptions: number;
}

export interface ListenerView {
  readonly name: string;
  readonly protocol: string;
  /** With real ports. */
  readonly addresses: readonly string[];
  readonly counters: Readonly<Record<ListenerCounter, number>>;
}

export interface PoolSummary {
  readonly name: string;
  readonly balance: string;
  readonly endpoints: number;
  readonly usable: number;
  readonly active: number;
  readonly requests: number;
  readonly failures: number;
  readonly discovery: readonly SourceReport[];
}

export interface StatusView {
  readonly version: string;
  readonly pid: number;
  readonly state: SupervisorState;
  readonly uptimeMs: number;
  readonly generation: number;
  readonly admin: string | null;
  readonly reloads: { readonly ok: number; readonly refused: number };
  readonly lastReload: ReloadResult | null;
  readonly workers: readonly WorkerView[];
  readonly listeners: readonly ListenerView[];
  readonly pools: readonly PoolSummary[];
  /** The newest, oldest first. */
  readonly events: readonly JournalEvent[];
}

const eventsShown = 20;

/** All pools with their endpoints. */
export function poolViews(supervisor: Supervisor, nowMs: number): readonly PoolView[] {
  return (supervisor.plan?.config.pools ?? []).map((pool) => poolView(supervisor, pool, nowMs));
}

export function poolView(supervisor: Supervisor, pool: PoolConfig, nowMs: number): PoolView {
  const plan = supervisor.plan!;
  const members = pool.endpoints.map((config): Member => {
    const row = plan.endpointRows[pool.name]![config.id]!;
    const ip = isNamed(config) ? (plan.resolved[row] ?? null) : config.host;
    return { config, row, target: ip === null ? null : { ip, port: config.port, unixPath: config.unixPath } };
  });
  const roster = new Roster(pool, members, supervisor.columns);
  roster.update(nowMs);
  const row = plan.poolRows[pool.name]!;
  const counters = sumPool(supervisor.columns, supervisor.workersEver, row);
  return {
    name: pool.name,
    balance: pool.balance.by,
    noneHealthy: pool.noneHealthy,
    discovery: supervisor.membership.reports(pool, nowMs),
    usable: roster.usableCount,
    repeats: counters[PC.repeats]!,
    retriesRefused: counters[PC.retriesRefused]!,
    circuit: circuitView(supervisor, pool, row, counters),
    endpoints: members.map((member, i) => {
      const usable = roster.primaries.usable[i] === 1 || roster.backups.usable[i] === 1;
      return endpointView(supervisor, pool, member, usable, nowMs);
    }),
  };
}

function circuitView(
  supervisor: Supervisor,
  { circuit }: PoolConfig,
  row: number,
  counters: Float64Array,
): PoolView["circuit"] {
  const { poolConnections, poolPending, poolRequests } = supervisor.columns;
  const view = (max: number, counts: Int32Array, refused: number): CircuitView => {
    return max === 0 ? null : { max, now: Math.max(0, Atomics.load(counts, row)), refused };
  };
  return {
    connections: view(circuit.connections, poolConnections, counters[PC.circuitConnections]!),
    pending: view(circuit.pending, poolPending, counters[PC.circuitPending]!),
    requests: view(circuit.requests, poolRequests, counters[PC.circuitRequests]!),
  };
}

function endpointView(
  supervisor: Supervisor,
  pool: PoolConfig,
  member: Member,
  usable: boolean,
  nowMs: number,
): EndpointView {
  const { columns, workersEver } = supervisor;
  const { config, row } = member;
  const counters = sumEndpoint(columns, workersEver, row);
  const histogram = sumHistogram(columns, workersEver, row);
  const check = supervisor.monitor.report(pool.name, config.id);
  const p50 = quantileUs(histogram, 0.5);
  const p99 = quantileUs(histogram, 0.99);
  return {
    id: config.id,
    origin: supervisor.membership.originOf(endpointKey(pool.name, config.id)),
    address: formatEndpointAddress(config),
    ...(isNamed(config) ? { resolved: member.target?.ip ?? null } : {}),
    weight: columns.weight[row]!,
    backup: config.backup,
    maxConnections: config.maxConnections,
    health: healthWord(columns.health[row]!),
    admin: adminWord(columns.admin[row]!),
    usable,
    reason: usable ? "" : whyUnusable(supervisor, pool, member, nowMs),
    active: Math.max(0, Atomics.load(columns.active, row)),
    idle: counters[EC.idle]!,
    requests: counters[EC.requests]!,
    failures: counters[EC.failures]!,
    retries: counters[EC.retries]!,
    ejected: outlierOf(pool, pool.endpoints.length) !== null && nowMs < columns.ejectedUntilMs[row]!,
    ejections: Atomics.load(columns.ejections, row),
    latencyMs: p99 === 0 ? null : { p50: rounded(p50 / 1000), p99: rounded(p99 / 1000) },
    lastCheck: check?.lastCheck ?? null,
    transitionCount: check?.transitionCount ?? 0,
    transitions: check?.transitions ?? [],
  };
}

/** The first thing that stands in the way, in the order in which an operator would mend them. */
function whyUnusable(supervisor: Supervisor, pool: PoolConfig, member: Member, nowMs: number): string {
  const { columns, monitor } = supervisor;
  const { row } = member;
  const admin = adminWord(columns.admin[row]!);
  if (admin !== "ready") return `operator: ${admin}`;
  if (columns.weight[row] === 0) return "weight 0";
  if (member.target === null) return "host name does not resolve";
  const health = healthWord(columns.health[row]!);
  const report = monitor.report(pool.name, member.config.id);
  if (health === "down") return report?.lastCheck?.reason || report?.transitions.at(-1)?.reason || "down";
  if (health === "unknown" && pool.health?.initial === "wait") return "not checked yet";
  const outlier = outlierOf(pool, pool.endpoints.length);
  const ejectedMs = columns.ejectedUntilMs[row]! - nowMs;
  if (outlier !== null && ejectedMs > 0) {
    return `ejected: ${ejectionReason(columns, row, outlier)}, for another ${Math.ceil(ejectedMs / 1000)}s`;
  }
  const heldMs = passiveOf(pool, pool.endpoints.length) === null ? 0 : columns.heldUntilMs[row]! - nowMs;
  return heldMs > 0 ? `failed too often, for another ${Math.ceil(heldMs / 1000)}s` : "not in use";
}

export function workerViews(supervisor: Supervisor, nowMs: number): readonly WorkerView[] {
  const { columns, plan } = supervisor;
  const listenerRows = Object.values(plan?.listenerRows ?? {});
  return supervisor.workforce.workers
    .filter((slot) => slot.state !== "stopped")
    .map((slot) => {
      const counters = columns.worker(slot.worker);
      let openConnections = 0;
      let requests = 0;
      for (const row of listenerRows) {
        const listener = columns.listener(slot.worker, row);
        openConnections += listener[LC.open]!;
        requests += listener[LC.requests]!;
      }
      return {
        worker: slot.worker,
        pid: slot.pid,
        state: slot.state,
        restarts: slot.restarts,
        generation: slot.generation,
        uptimeMs: slot.pid === 0 ? 0 : Math.round(nowMs - slot.sinceMs),
        openConnections,
        exchanges: counters[WC.exchanges]!,
        requests,
        rssBytes: counters[WC.rssBytes]!,
        loopLagMs: rounded(counters[WC.loopLagMs]!),
        exceptions: counters[WC.exceptions]!,
      };
    });
}

export function listenerViews(supervisor: Supervisor): readonly ListenerView[] {
  const { columns, plan, sockets, workersEver } = supervisor;
  return (plan?.config.listeners ?? []).map((listener) => {
    const counters = sumListener(columns, workersEver, plan!.listenerRows[listener.name]!);
    return {
      name: listener.name,
      protocol: listener.protocol,
      addresses: sockets.pairings
        .filter((pairing) => pairing.listener === listener.name)
        .map(({ bound }) => formatBind(bound.address)),
      counters: Object.fromEntries(
        listenerCounters.map((name) => [name, counters[LC[name]]!]),
      ) as ListenerView["counters"],
    };
  });
}

export function statusView(supervisor: Supervisor, pid: number, nowMs: number): StatusView {
  return {
    version: VERSION,
    pid,
    state: supervisor.state,
    uptimeMs: Math.round(nowMs - supervisor.startedMs),
    generation: supervisor.plan?.generation ?? 0,
    admin: supervisor.adminAddress,
    reloads: { ...supervisor.reloads },
    lastReload: supervisor.lastReload,
    workers: workerViews(supervisor, nowMs),
    listeners: listenerViews(supervisor),
    pools: poolViews(supervisor, nowMs).map(summaryOf),
    events: supervisor.journal.latest(eventsShown),
  };
}

function summaryOf(pool: PoolView): PoolSummary {
  const sum = (field: "active" | "requests" | "failures"): number =>
    pool.endpoints.reduce((total, endpoint) => total + endpoint[field], 0);
  return {
    name: pool.name,
    balance: pool.balance,
    endpoints: pool.endpoints.length,
    usable: pool.usable,
    active: sum("active"),
    requests: sum("requests"),
    failures: sum("failures"),
    discovery: pool.discovery,
  };
}

export interface ReadinessView {
  readonly ready: boolean;
  readonly state: SupervisorState;
  /** Workers that carry traffic, of those that should. */
  readonly workers: { readonly running: number; readonly wanted: number };
  /** Pools that answer 503 because none of their endpoints is usable. */
  readonly pools: readonly { readonly name: string; readonly usable: number; readonly endpoints: number }[];
}

/**
 * Ready while at least one worker carries traffic. Pools without usable endpoints are reported, but do not take the
 * whole down.
 */
export function readinessView(supervisor: Supervisor, nowMs: number): ReadinessView {
  const running = supervisor.workforce.workers.filter(({ state }) => state === "running").length;
  const { state } = supervisor;
  return {
    ready: state === "running" && running > 0,
    state,
    workers: { running, wanted: supervisor.workforce.size },
    pools: poolViews(supervisor, nowMs)
      .filter((pool) => pool.usable === 0 && pool.endpoints.length + pool.discovery.length > 0)
      .map(({ name, usable, endpoints }) => ({ name, usable, endpoints: endpoints.length })),
  };
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
