// `sluice status`: what a running instance is doing, as a table.

import pc from "picocolors";
import type { SourceReport } from "../runtime/source.ts";
import type { EndpointView, PoolView, StatusView } from "../runtime/views.ts";
import { adminHelp, adminOptions, connectAdmin } from "./admin-client.ts";
import { ExitCode, type Command } from "./command.ts";
import { readOptions } from "./options.ts";
import { plural } from "./show-diagnostics.ts";
import { formatTable, type Cell, type Column } from "./table.ts";

type Colors = ReturnType<typeof pc.createColors>;

export const command: Command = {
  name: "status",
  summary: "Show what a running instance is doing",
  usage: "sluice status [--json] [--admin ADDRESS] [--token TOKEN]",
  help: `
  --json           print the answers of /api/v1/status and /api/v1/pools as one JSON object
${adminHelp}

Exit code 1 when no instance answers.`,
  async run(args, io) {
    const options = readOptions(command, args, [...adminOptions, { name: "json" }], 0, io);
    if (typeof options === "number") return options;
    const client = await connectAdmin(command.name, options, io);
    if (typeof client === "number") return client;
    const status = await client.call("GET", "/api/v1/status");
    if ("code" in status) return status.code;
    const pools = await client.call("GET", "/api/v1/pools");
    if ("code" in pools) return pools.code;
    if (options.has("json")) {
      io.out(`${JSON.stringify({ status: status.value, ...(pools.value as object) }, null, 2)}\n`);
      return ExitCode.Ok;
    }
    const { pools: poolViews } = pools.value as { readonly pools: readonly PoolView[] };
    io.out(formatStatus(status.value as StatusView, poolViews, pc.createColors(io.color)));
    return ExitCode.Ok;
  },
};

/** "3d 4h", "5m 12s", "8s": the two largest units. */
export function formatUptime(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return "0s";
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join(" ");
}

/** The whole text of the command. */
export function formatStatus(status: StatusView, pools: readonly PoolView[], colors: Colors): string {
  const paint = status.state === "running" ? colors.green : colors.yellow;
  const { version, state, uptimeMs, pid, generation } = status;
  const lasting = `${paint(state)} for ${formatUptime(uptimeMs)}`;
  const head = `sluice ${version}  ${lasting}  pid ${pid}  generation ${generation}\n`;
  const sections = [
    head,
    listeners(status, colors),
    workers(status, colors),
    ...pools.map((p) => poolTable(p, colors)),
  ];
  return sections.join("\n");
}

function listeners(status: StatusView, colors: Colors): string {
  const columns: Column[] = [
    { title: "LISTENER" },
    { title: "ADDRESS" },
    { title: "OPEN", right: true },
    { title: "REQUESTS", right: true },
    { title: "4XX", right: true },
    { title: "5XX", right: true },
    { title: "QUEUED", right: true },
  ];
  const rows = status.listeners.map(({ name, addresses, counters }) =>
    cells(
      name,
      addresses.join(" "),
      counters.open,
      counters.requests,
      counters.status4xx,
      counters.status5xx,
      counters.queued,
    ),
  );
  return formatTable(columns, rows, colors.bold);
}

function workers(status: StatusView, colors: Colors): string {
  const columns: Column[] = [
    { title: "WORKER" },
    { title: "PID", right: true },
    { title: "STATE" },
    { title: "UP", right: true },
    { title: "OPEN", right: true },
    { title: "REQUESTS", right: true },
    { title: "MEMORY", right: true },
    { title: "LAG", right: true },
    { title: "RESTARTS", right: true },
  ];
  const rows = status.workers.map((w) => {
    const row = cells(
      String(w.worker),
      w.pid,
      w.state,
      formatUptime(w.uptimeMs),
      w.openConnections,
      w.requests,
      `${Math.round(w.rssBytes / 1024 / 1024)}m`,
      `${Math.round(w.loopLagMs)}ms`,
      w.restarts,
    );
    row[2] = { text: w.state, paint: w.state === "running" ? colors.green : colors.yellow };
    return row;
  });
  return formatTable(columns, rows, colors.bold);
}

function poolTable(pool: PoolView, colors: Colors): string {
  const columns: Column[] = [
    { title: "ENDPOINT" },
    { title: "STATE" },
    { title: "WEIGHT", right: true },
    { title: "ACTIVE", right: true },
    { title: "REQUESTS", right: true },
    { title: "FAILURES", right: true },
    { title: "P50", right: true },
    { title: "P99", right: true },
    { title: "REMARK" },
  ];
  const usable = `${pool.usable} of ${plural(pool.endpoints.length, "endpoint")} usable`;
  const paint = pool.usable === 0 ? colors.red : pool.usable < pool.endpoints.length ? colors.yellow : colors.green;
  const rows = pool.endpoints.map((endpoint) => endpointRow(pool, endpoint, colors));
  const title = `${colors.bold(`POOL ${pool.name}`)}  ${pool.balance}  ${paint(usable)}\n`;
  const sources = pool.discovery.map((source) => `  ${describeSource(source, colors)}\n`).join("");
  return title + sources + formatTable(columns, rows, colors.dim);
}

/** "dns api.internal: 3 endpoints, 5s ago", with what is wrong. */
function describeSource({ from, name, endpoints, ageMs, trouble }: SourceReport, colors: Colors): string {
  const when = ageMs === null ? "nothing yet" : `${formatUptime(ageMs)} ago`;
  const told = `${from} ${name}: ${plural(endpoints, "endpoint")}, ${when}`;
  return trouble === "" ? told : `${told}; ${colors.yellow(trouble)}`;
}

function endpointRow(pool: PoolView, endpoint: EndpointView, colors: Colors): readonly Cell[] {
  const { id, address, health, admin, usable, latencyMs } = endpoint;
  const state = admin === "ready" ? health : `${health}, ${admin}`;
  const row = cells(
    `${pool.name}/${id}`,
    state,
    endpoint.weight,
    endpoint.active,
    endpoint.requests,
    endpoint.failures,
    latencyMs === null ? "-" : formatLatency(latencyMs.p50),
    latencyMs === null ? "-" : formatLatency(latencyMs.p99),
    [
      id === address ? "" : address,
      endpoint.resolved === undefined ? "" : `= ${endpoint.resolved ?? "no address"}`,
      endpoint.origin === "config" ? "" : `from ${endpoint.origin}`,
      endpoint.backup ? "backup" : "",
      endpoint.reason,
    ]
      .filter((part) => part !== "")
      .join("  "),
  );
  row[1] = { text: state, paint: usable ? (health === "up" ? colors.green : plain) : colors.red };
  return row;
}

function formatLatency(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)}ms` : ms < 10_000 ? `${Math.round(ms)}ms` : `${Math.round(ms / 1000)}s`;
}

function cells(...values: readonly (string | number)[]): Cell[] {
  return values.map((value) => ({ text: String(value) }));
}

function plain(text: string): string {
  return text;
}
