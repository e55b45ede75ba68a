// GET /metrics: every counter and gauge in the Prometheus text format. Names are stable: dashboards depend on them.

import { VERSION } from "../base/version.ts";
import { PrometheusWriter, type Labels } from "../stats/prometheus.ts";
import { EC, LC, PC, WC } from "../stats/columns.ts";
import type { EndpointCounter, ListenerCounter, PoolCounter, WorkerCounter } from "../stats/columns.ts";
import { publishedCounts, publishedSeconds } from "../stats/histogram.ts";
import { sumEndpoint, sumHistogram, sumListener, sumPool } from "../runtime/counters.ts";
import type { Supervisor } from "../runtime/supervisor.ts";
import { poolViews, workerViews, type EndpointView, type PoolView } from "../runtime/views.ts";

interface Metric<C> {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly of: C;
  /** Samples are divided by this: milliseconds become seconds. */
  readonly divisor?: number;
}

const classes = [1, 2, 3, 4, 5] as const;

const listenerMetrics: readonly Metric<ListenerCounter>[] = [
  { name: "connections_accepted_total", type: "counter", help: "Client connections accepted.", of: "accepted" },
  { name: "connections_open", type: "gauge", help: "Client connections open.", of: "open" },
  { name: "requests_total", type: "counter", help: "Requests received.", of: "requests" },
  { name: "received_bytes_total", type: "counter", help: "Bytes received from clients.", of: "bytesReceived" },
  { name: "sent_bytes_total", type: "counter", help: "Bytes sent to clients.", of: "bytesSent" },
  { name: "tunnels_open", type: "gauge", help: "Upgraded connections open.", of: "tunnels" },
  { name: "bad_requests_total", type: "counter", help: "Requests refused as malformed.", of: "badRequests" },
  { name: "client_timeouts_total", type: "counter", help: "Deadlines that clients missed.", of: "timeouts" },
  { name: "client_aborts_total", type: "counter", help: "Requests given up by their client.", of: "clientAborts" },
  { name: "queued_requests", type: "gauge", help: "Requests waiting for an endpoint.", of: "queued" },
  { name: "queue_full_total", type: "counter", help: "Requests refused because the queue was full.", of: "queueFull" },
  { name: "queue_timeouts_total", type: "counter", help: "Requests that waited in vain.", of: "queueTimeouts" },
  { name: "no_endpoint_total", type: "counter", help: "Requests for which no endpoint was usable.", of: "noEndpoint" },
  { name: "connections_refused_total", type: "counter", help: "Connections turned away by access.", of: "refused" },
  { name: "denied_total", type: "counter", help: "Requests that a route does not admit.", of: "denied" },
  { name: "limited_total", type: "counter", help: "Requests over a limit of their route.", of: "limited" },
  { name: "hook_errors_total", type: "counter", help: "Hooks that threw.", of: "hookErrors" },
  { name: "hook_timeouts_total", type: "counter", help: "Hooks that were late.", of: "hookTimeouts" },
];

const endpointMetrics: readonly Metric<EndpointCounter>[] = [
  { name: "endpoint_requests_total", type: "counter", help: "Requests given to it, retries included.", of: "requests" },
  { name: "endpoint_failures_total", type: "counter", help: "Requests it failed to answer.", of: "failures" },
  { name: "endpoint_retries_total", type: "counter", help: "Requests that moved on to another.", of: "retries" },
  { name: "endpoint_connects_total", type: "counter", help: "Connections opened to it.", of: "connects" },
  { name: "endpoint_connect_failures_total", type: "counter", help: "Connects that failed.", of: "connectFailures" },
  { name: "endpoint_reused_total", type: "counter", help: "Requests on a kept connection.", of: "reused" },
  { name: "endpoint_sent_bytes_total", type: "counter", help: "Bytes sent to it.", of: "bytesSent" },
  { name: "endpoint_received_bytes_total", type: "counter", help: "Bytes received from it.", of: "bytesReceived" },
  { name: "endpoint_idle_connections", type: "gauge", help: "Kept connections without a request.", of: "idle" },
];

const poolMetrics: readonly Metric<PoolCounter>[] = [
  { name: "pool_repeats_total", type: "counter", help: "Requests sent once more.", of: "repeats" },
  {
    name: "pool_retries_refused_total",
    type: "counter",
    help: "Attempts that the retry budget refused.",
    of: "retriesRefused",
  },
  {
    name: "pool_copies_lost_total",
    type: "counter",
    help: "Copies for a mirror, not made or not answered.",
    of: "copiesLost",
  },
];

const workerMetrics: readonly Metric<WorkerCounter>[] = [
  { name: "worker_exchanges", type: "gauge", help: "Requests in progress.", of: "exchanges" },
  {
    name: "worker_exchanges_refused_total",
    type: "counter",
    help: "Refused for want of room.",
    of: "exchangesRefused",
  },
  { name: "worker_log_lines_total", type: "counter", help: "Access-log lines written.", of: "logLines" },
  { name: "worker_log_dropped_total", type: "counter", help: "Access-log lines dropped.", of: "logDropped" },
  { name: "worker_exceptions_total", type: "counter", help: "Bugs that were caught at the edge.", of: "exceptions" },
  { name: "worker_resident_bytes", type: "gauge", help: "Resident memory.", of: "rssBytes" },
  {
    name: "worker_loop_lag_seconds",
    type: "gauge",
    help: "How late the last tick was.",
    of: "loopLagMs",
    divisor: 1000,
  },
];

const PREFIX = "sluice_";

/** All metrics as text. */
export function formatMetrics(supervisor: Supervisor, nowMs: number): string {
  const writer = new PrometheusWriter();
  const one = (name: string, type: "counter" | "gauge", help: string, value: number, labels: Labels = {}): void => {
    writer.family(PREFIX + name, type, help);
    writer.sample(labels, value);
  };
  one("build_info", "gauge", "The version that runs.", 1, { version: VERSION });
  one("uptime_seconds", "gauge", "Seconds since the start.", (nowMs - supervisor.startedMs) / 1000);
  one("generation", "gauge", "Number of the configuration in force.", supervisor.plan?.generation ?? 0);
  one("ready", "gauge", "1 while running, 0 while starting or draining.", supervisor.state === "running" ? 1 : 0);
  writer.family(`${PREFIX}reloads_total`, "counter", "Reloads asked for, by outcome.");
  writer.sample({ result: "ok" }, supervisor.reloads.ok);
  writer.sample({ result: "refused" }, supervisor.reloads.refused);
  writeWorkers(writer, supervisor, nowMs);
  writeListeners(writer, supervisor);
  writeEndpoints(writer, supervisor, nowMs);
  return writer.text();
}

function writeWorkers(writer: PrometheusWriter, supervisor: Supervisor, nowMs: number): void {
  const workers = workerViews(supervisor, nowMs);
  writer.family(`${PREFIX}worker_up`, "gauge", "1 while the worker carries traffic.");
  for (const { worker, state } of workers) writer.sample({ worker }, state === "running" ? 1 : 0);
  writer.family(`${PREFIX}worker_restarts_total`, "counter", "How often a crashed worker was started again.");
  for (const { worker, restarts } of workers) writer.sample({ worker }, restarts);
  for (const { name, type, help, of, divisor = 1 } of workerMetrics) {
    writer.family(PREFIX + name, type, help);
    // Counts of workers that a reload has taken away stay, as counters must not fall.
    for (let worker = 0; worker < supervisor.workersEver; worker++) {
      writer.sample({ worker }, supervisor.columns.worker(worker)[WC[of]]! / divisor);
    }
  }
}

function writeListeners(writer: PrometheusWriter, supervisor: Supervisor): void {
  const rows = Object.entries(supervisor.plan?.listenerRows ?? {});
  const sums = rows.map(([listener, row]) => ({
    listener,
    counters: sumListener(supervisor.columns, supervisor.workersEver, row),
  }));
  for (const { name, type, help, of } of listenerMetrics) {
    writer.family(PREFIX + name, type, help);
    for (const { listener, counters } of sums) writer.sample({ listener }, counters[LC[of]]!);
  }
  writer.family(`${PREFIX}responses_total`, "counter", "Responses sent, by class of status.");
  for (const { listener, counters } of sums) {
    for (const n of classes) writer.sample({ listener, class: `${n}xx` }, counters[LC[`status${n}xx`]]!);
  }
}

interface EndpointSums {
  readonly labels: { readonly pool: string; readonly endpoint: string };
  readonly view: EndpointView;
  readonly counters: Float64Array;
  readonly histogram: Float64Array;
}

function writeEndpoints(writer: PrometheusWriter, supervisor: Supervisor, nowMs: number): void {
  const { columns, plan, workersEver } = supervisor;
  const pools = poolViews(supervisor, nowMs);
  const all = pools.flatMap((pool) =>
    pool.endpoints.map((view): EndpointSums => {
      const row = plan!.endpointRows[pool.name]![view.id]!;
      return {
        labels: { pool: pool.name, endpoint: view.id },
        view,
        counters: sumEndpoint(columns, workersEver, row),
        histogram: sumHistogram(columns, workersEver, row),
      };
    }),
  );
  writePools(writer, supervisor, pools);
  writeDiscovery(writer, pools);
  for (const { name, type, help, of } of endpointMetrics) {
    writer.family(PREFIX + name, type, help);
    for (const { labels, counters } of all) writer.sample(labels, counters[EC[of]]!);
  }
  writer.family(`${PREFIX}endpoint_responses_total`, "counter", "Its responses, by class of status.");
  for (const { labels, counters } of all) {
    for (const n of classes) writer.sample({ ...labels, class: `${n}xx` }, counters[EC[`status${n}xx`]]!);
  }
  writer.family(`${PREFIX}endpoint_latency_seconds`, "histogram", "Time until the response head.");
  for (const { labels, counters, histogram } of all) {
    writer.histogram(labels, publishedSeconds, publishedCounts(histogram), counters[EC.latencyUsSum]! / 1e6);
  }
  writeEndpointStates(writer, all);
}

function writePools(writer: PrometheusWriter, supervisor: Supervisor, pools: readonly PoolView[]): void {
  const { columns, plan, workersEver } = supervisor;
  writer.family(`${PREFIX}pool_usable_endpoints`, "gauge", "Endpoints that take new requests.");
  for (const pool of pools) writer.sample({ pool: pool.name }, pool.usable);
  for (const { name, type, help, of } of poolMetrics) {
    writer.family(PREFIX + name, type, help);
    for (const pool of pools) {
      const counters = sumPool(columns, workersEver, plan!.poolRows[pool.name]!);
      writer.sample({ pool: pool.name }, counters[PC[of]]!);
    }
  }
  const limits = ["connections", "pending", "requests"] as const;
  writer.family(`${PREFIX}pool_circuit_used`, "gauge", "Of a circuit limit: what there is now.");
  for (const { name, circuit } of pools) {
    for (const limit of limits) if (circuit[limit]) writer.sample({ pool: name, limit }, circuit[limit].now);
  }
  writer.family(`${PREFIX}pool_circuit_refused_total`, "counter", "Requests refused at a circuit limit.");
  for (const { name, circuit } of pools) {
    for (const limit of limits) if (circuit[limit]) writer.sample({ pool: name, limit }, circuit[limit].refused);
  }
}

function writeDiscovery(writer: PrometheusWriter, pools: readonly PoolView[]): void {
  const sources = pools.flatMap(({ name: pool, discovery }) =>
    discovery.map((report) => ({ report, labels: { pool, from: report.from, source: report.name } })),
  );
  writer.family(`${PREFIX}discovery_endpoints`, "gauge", "Endpoints that the source has.");
  for (const { report, labels } of sources) writer.sample(labels, report.endpoints);
  writer.family(`${PREFIX}discovery_age_seconds`, "gauge", "Since they were last confirmed.");
  for (const { report, labels } of sources) if (report.ageMs !== null) writer.sample(labels, report.ageMs / 1000);
  writer.family(`${PREFIX}discovery_trouble`, "gauge", "1 while something is wrong with the source.");
  for (const { report, labels } of sources) writer.sample(labels, report.trouble === "" ? 0 : 1);
}

function writeEndpointStates(writer: PrometheusWriter, all: readonly EndpointSums[]): void {
  const gauge = (name: string, help: string, valueOf: (view: EndpointView) => number): void => {
    writer.family(`${PREFIX}endpoint_${name}`, "gauge", help);
    for (const { labels, view } of all) writer.sample(labels, valueOf(view));
  };
  gauge("active_requests", "Requests in progress.", (view) => view.active);
  gauge("weight", "Weight in force.", (view) => view.weight);
  gauge("usable", "1 if it takes new requests.", (view) => (view.usable ? 1 : 0));
  gauge("ejected", "1 while it is left out as an outlier.", (view) => (view.ejected ? 1 : 0));
  writer.family(`${PREFIX}endpoint_ejections_total`, "counter", "How often it was left out as an outlier.");
  for (const { labels, view } of all) writer.sample(labels, view.ejections);
  writer.family(`${PREFIX}endpoint_health`, "gauge", "1 for the state that the health checks found.");
  for (const { labels, view } of all) {
    for (const state of ["up", "down", "unknown"]) writer.sample({ ...labels, state }, view.health === state ? 1 : 0);
  }
  writer.family(`${PREFIX}endpoint_admin`, "gauge", "1 for the operator's word.");
  for (const { labels, view } of all) {
    for (const state of ["ready", "drain", "maint"]) writer.sample({ ...labels, state }, view.admin === state ? 1 : 0);
  }
  writer.family(`${PREFIX}endpoint_health_changes_total`, "counter", "How often its health has changed.");
  for (const { labels, view } of all) writer.sample(labels, view.transitionCount);
}
