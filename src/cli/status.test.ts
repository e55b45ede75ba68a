// The text of `sluice status` and the small parsers of the commands' arguments.

import { expect, test } from "bun:test";
import pc from "picocolors";
import type { EndpointView, PoolView, StatusView } from "../runtime/views.ts";
import { endpointPath, parsePlace, placeOf } from "./admin-client.ts";
import { formatStatus, formatUptime } from "./status.ts";
import { formatTable } from "./table.ts";

test.each([
  [0, "0s"],
  [999, "0s"],
  [61_000, "1m 1s"],
  [3_600_000, "1h"],
  [90_061_000, "1d 1h"],
])("%d ms is %s", (ms, text) => {
  expect(formatUptime(ms)).toBe(text);
});

test("columns are as wide as their widest cell, numbers stand on the right, nothing trails", () => {
  const columns = [{ title: "NAME" }, { title: "N", right: true }, { title: "REMARK" }];
  const rows = [
    [{ text: "a" }, { text: "1000" }, { text: "" }],
    [{ text: "longer" }, { text: "5" }, { text: "x" }],
  ];
  expect(formatTable(columns, rows, (text) => text)).toBe("NAME       N  REMARK\na       1000\nlonger     5  x\n");
});

const endpoint: EndpointView = {
  id: "10.0.0.1:80",
  origin: "config",
  address: "10.0.0.1:80",
  weight: 1,
  backup: false,
  maxConnections: 0,
  health: "up",
  admin: "ready",
  usable: true,
  reason: "",
  active: 2,
  idle: 1,
  requests: 10,
  failures: 0,
  retries: 0,
  ejected: false,
  ejections: 0,
  latencyMs: { p50: 1.25, p99: 250.7 },
  lastCheck: null,
  transitionCount: 1,
  transitions: [],
};
const pool: PoolView = {
  name: "app",
  balance: "round-robin",
  noneHealthy: "fail",
  discovery: [
    { from: "dns", name: "api.internal", endpoints: 1, ageMs: 65_000, trouble: "the name server failed" },
    { from: "file", name: "more.yaml", endpoints: 0, ageMs: null, trouble: "" },
  ],
  usable: 1,
  repeats: 0,
  retriesRefused: 0,
  circuit: { connections: null, pending: null, requests: null },
  endpoints: [
    endpoint,
    {
      ...endpoint,
      id: "b",
      origin: "dns",
      address: "b:1",
      health: "down",
      admin: "drain",
      usable: false,
      reason: "x",
      backup: true,
      resolved: null,
      latencyMs: null,
    },
  ],
};
const status: StatusView = {
  version: "1.2.3",
  pid: 42,
  state: "running",
  uptimeMs: 5000,
  generation: 7,
  admin: null,
  reloads: { ok: 0, refused: 0 },
  lastReload: null,
  workers: [],
  listeners: [],
  pools: [],
  events: [],
};

test("the table of a pool", () => {
  const text = formatStatus(status, [pool], pc.createColors(false));
  expect(text).toContain("sluice 1.2.3  running for 5s  pid 42  generation 7\n");
  expect(text).toEndWith(`POOL app  round-robin  1 of 2 endpoints usable
  dns api.internal: 1 endpoint, 1m 5s ago; the name server failed
  file more.yaml: 0 endpoints, nothing yet
ENDPOINT         STATE        WEIGHT  ACTIVE  REQUESTS  FAILURES    P50    P99  REMARK
app/10.0.0.1:80  up                1       2        10         0  1.3ms  251ms
app/b            down, drain       1       2        10         0      -      -  b:1  = no address  from dns  backup  x
`);
  expect(formatStatus(status, [pool], pc.createColors(true))).toMatch(/\u001b\[31m/);
});

test("where the admin API is", () => {
  expect(parsePlace("10.0.0.1:9900")).toEqual({ origin: "http://10.0.0.1:9900" });
  expect(parsePlace("localhost:9900")).toEqual({ origin: "http://localhost:9900" });
  expect(parsePlace("[::1]:9900")).toEqual({ origin: "http://[::1]:9900" });
  expect(parsePlace("https://lb.example/")).toEqual({ origin: "https://lb.example" });
  expect(parsePlace("unix:/run/s.sock")).toEqual({ unixPath: "/run/s.sock" });
  expect(parsePlace("/run/s.sock")).toEqual({ unixPath: "/run/s.sock" });
  expect(parsePlace("localhost")).toBeNull();
  expect(parsePlace("a b:1")).toBeNull();
  expect(parsePlace("unix:")).toBeNull();
  expect(placeOf({ ip: "0.0.0.0", port: 1, unixPath: null })).toEqual({ origin: "http://127.0.0.1:1" });
  expect(placeOf({ ip: "::", port: 1, unixPath: null })).toEqual({ origin: "http://[::1]:1" });
  expect(placeOf({ ip: "fe80::1", port: 1, unixPath: null })).toEqual({ origin: "http://[fe80::1]:1" });
});

test("the path of POOL/ENDPOINT", () => {
  expect(endpointPath("app/10.0.0.1:80")).toBe("/api/v1/pools/app/endpoints/10.0.0.1%3A80");
  expect(endpointPath("app/unix:/run/a.sock")).toBe("/api/v1/pools/app/endpoints/unix%3A%2Frun%2Fa.sock");
  for (const bad of ["app", "/a", "app/", ""]) expect(endpointPath(bad)).toBeNull();
});
