// What a reload can change, under load where that could hurt: endpoints, pools, listeners, workers, limits, the access
// log; and what stays as it was.

import { afterAll, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { lacks } from "../support/needs.ts";
import { becomes, endpoint } from "./lib/admin.ts";
import { parseLog } from "./lib/access-log.ts";
import { connect, request, requestBytes } from "./lib/client.ts";
import { runSluice } from "./lib/command.ts";
import { hold } from "./lib/held.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { startLoad } from "./lib/tool.ts";
import { waitFor } from "./lib/wait.ts";

const a = startOrigin({ name: "a" });
const b = startOrigin({ name: "b" });
const c = startOrigin({ name: "c" });
const held = hold(a);
afterAll(async () => {
  for (const origin of [a, b, c]) await origin.close();
});

async function reload(sluice: Sluice, yaml: string): Promise<void> {
  const answer = await sluice.reload(yaml);
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}\n${sluice.logs()}`);
}

async function who(sluice: Sluice, listener = "web"): Promise<string> {
  const response = await request(sluice.address(listener));
  return response.header("x-origin") ?? `(${response.status})`;
}

test.skipIf(lacks("wrk"))(
  "endpoints, pools, listeners and the number of workers come and go under load without a failed request",
  async () => {
    const origins = [a, b, c];
    const yaml = (n: number): string => {
      const some = origins.filter((_, i) => ((n % 7) + 1) & (1 << i));
      const list = some.map(({ name, address }) => `{ id: ${name}, address: "${address}", weight: ${1 + (n % 3)} }`);
      const pool = `app${n % 2}`;
      return `
workers: ${[1, 3, 2][n % 3]}
accessLog: off
listeners:
  web: { bind: "127.0.0.1:0", forward: ${pool}, limits: { headers: ${50 + (n % 5)} } }
  ${n % 2 === 0 ? 'other: { bind: "127.0.0.1:0", forward: spare }' : ""}
pools:
  ${pool}: { balance: ${["round-robin", "least-connections"][n % 2]}, endpoints: [${list.join(", ")}] }
  spare: { endpoints: ["${c.address}"] }
`;
    };
    await using sluice = await startSluice(yaml(0));
    using load = startLoad({ url: `http://${sluice.address("web")}/ok`, connections: 12, seconds: 4 });
    let over = false;
    void load.report.finally(() => (over = true));
    let reloads = 0;
    while (!over) await reload(sluice, yaml(++reloads));
    const report = await load.report;
    console.log(`${reloads} reloads: ${report.requests} requests answered, ${report.errors} failed`);
    expect(report.errors).toBe(0);
    expect(report.requests).toBeGreaterThan(500);
    expect(reloads).toBeGreaterThan(5);
    for (const origin of origins) expect(origin.stats().requests).toBeGreaterThan(20);
    const metrics = await sluice.metrics();
    expect(metrics.sum("sluice_worker_restarts_total") + metrics.sum("sluice_worker_exceptions_total")).toBe(0);
  },
  30_000,
);

test("an endpoint that goes finishes what it has; one that stays keeps its connections", async () => {
  const yaml = (list: string): string => `
workers: 1
accessLog: off
listeners: { web: { bind: "127.0.0.1:0", forward: app } }
pools: { app: { balance: round-robin, endpoints: [${list}] } }
`;
  const [one, two] = [`{ id: a, address: "${a.address}" }`, `{ id: b, address: "${b.address}" }`];
  await using sluice = await startSluice(yaml(`${one}, ${two}`));
  for (let i = 0; i < 4; i++) await who(sluice);
  using client = await connect(sluice.address("web"));
  await client.send(requestBytes("x", { path: "/hold" }));
  await waitFor(() => held.count === 1, { what: "the request to arrive at a" });
  const opened = b.stats().accepted;
  await reload(sluice, yaml(two));
  for (let i = 0; i < 6; i++) expect(await who(sluice)).toBe("b");
  expect(b.stats().accepted).toBe(opened);
  held.release();
  expect((await client.read()).status).toBe(200);
  await waitFor(() => a.stats().open === 0, { what: "the connections to a to be closed" });
  // The same id elsewhere is another machine.
  await reload(sluice, yaml(`{ id: b, address: "${c.address}" }`));
  expect(await who(sluice)).toBe("c");
  expect(await endpoint(sluice, "app", "b")).toMatchObject({ address: c.address, requests: 9 });
  await waitFor(() => b.stats().open === 0, { what: "the connections to b to be closed" });
});

test("a request that waits in the queue is served under the new configuration", async () => {
  const yaml = (max: number): string => `
workers: 1
accessLog: off
listeners: { web: { bind: "127.0.0.1:0", forward: app } }
pools: { app: { endpoints: [ { address: "${a.address}", maxConnections: ${max} } ], queue: { timeout: 20s } } }
`;
  await using sluice = await startSluice(yaml(1));
  using first = await connect(sluice.address("web"));
  await first.send(requestBytes("x", { path: "/hold" }));
  await waitFor(() => held.count === 1, { what: "the place to be taken" });
  using second = await connect(sluice.address("web"));
  await second.send(requestBytes("x", { path: "/ok" }));
  await waitFor(async () => (await sluice.metrics()).sum("sluice_queued_requests") === 1, { what: "one to wait" });
  await reload(sluice, yaml(2));
  expect((await second.read()).text()).toBe("a ok\n");
  expect((await sluice.metrics()).sum("sluice_queued_requests")).toBe(0);
  held.release();
  expect((await first.read()).status).toBe(200);
});

/** Ports that were free a moment ago. */
function freePorts(count: number): number[] {
  const listeners = Array.from({ length: count }, () =>
    Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } }),
  );
  const ports = listeners.map(({ port }) => port);
  for (const listener of listeners) listener.stop(true);
  return ports;
}

test("listeners move to other addresses and to each other's", async () => {
  const [one, two, three] = freePorts(3).map((port) => `127.0.0.1:${port}`) as [string, string, string];
  const yaml = (web: string, site: string): string => `
workers: 2
accessLog: off
listeners: { web: { bind: "${web}", forward: web }, site: { bind: "${site}", forward: site } }
pools: { web: { endpoints: ["${a.address}"] }, site: { endpoints: ["${b.address}"] } }
`;
  await using sluice = await startSluice(yaml(one, two));
  const at = async (address: string): Promise<string> => {
    let names = "";
    for (let i = 0; i < 4; i++) names += (await request(address)).header("x-origin") ?? "?";
    return names;
  };
  expect([await at(one), await at(two)]).toEqual(["aaaa", "bbbb"]);
  await reload(sluice, yaml(two, one));
  expect([await at(one), await at(two)]).toEqual(["bbbb", "aaaa"]);
  await reload(sluice, yaml(three, one));
  expect([await at(one), await at(three)]).toEqual(["bbbb", "aaaa"]);
  const refused = await connect(two).catch(() => "refused");
  expect(refused).toBe("refused");
});

test("a kept connection's next request is under the new limits", async () => {
  const yaml = (headers: number): string => `
workers: 1
accessLog: off
listeners: { web: { bind: "127.0.0.1:0", forward: app, limits: { headers: ${headers} } } }
pools: { app: { endpoints: ["${a.address}"] } }
`;
  await using sluice = await startSluice(yaml(4));
  using kept = await connect(sluice.address("web"));
  const bytes = requestBytes("x", { headers: ["A: 1", "B: 2", "C: 3"] });
  await kept.send(bytes);
  expect((await kept.read()).status).toBe(200);
  await reload(sluice, yaml(3));
  await kept.send(bytes);
  expect((await kept.read()).status).toBe(431);
});

test("the access log changes its format, its place, and whether there is one", async () => {
  const yaml = (log: string): string => `
workers: 2
accessLog: ${log}
listeners: { web: { bind: "127.0.0.1:0", forward: app } }
pools: { app: { endpoints: ["${a.address}"] } }
`;
  await using sluice = await startSluice(yaml("off"));
  const ask = async (path: string): Promise<void> => {
    expect((await request(sluice.address("web"), { path })).status).toBe(200);
  };
  await ask("/ok?silent");
  await reload(sluice, yaml("{}"));
  await ask("/ok?json");
  await waitFor(() => sluice.stdout().includes("?json"), { what: "a line on standard output" });
  expect(parseLog(sluice.stdout()).map(({ target }) => target)).toEqual(["/ok?json"]);
  await reload(sluice, yaml('{ format: "{status} {target}", file: ./access.log }'));
  for (let i = 0; i < 8; i++) await ask(`/ok?${i}`);
  const file = join(sluice.dir, "access.log");
  await waitFor(() => existsSync(file) && readFileSync(file, "utf8").split("\n").length === 9, { what: "8 lines" });
  expect(readFileSync(file, "utf8").split("\n").sort().slice(1)).toEqual(
    Array.from({ length: 8 }, (_, i) => `200 /ok?${i}`),
  );
  await reload(sluice, yaml("{ format: combined, file: ./other.log }"));
  await ask("/ok?combined");
  const otherFile = join(sluice.dir, "other.log");
  await waitFor(() => readFileSync(otherFile, "utf8").includes("?combined"), { what: "a line in the other file" });
  await reload(sluice, yaml("off"));
  await ask("/ok?nothing");
  await reload(sluice, yaml('{ format: "again {target}" }'));
  await ask("/ok?last");
  await waitFor(() => sluice.stdout().includes("again /ok?last"), { what: "a line on standard output again" });
  const all = sluice.stdout() + readFileSync(file, "utf8") + readFileSync(otherFile, "utf8");
  expect(all).not.toContain("?nothing");
  expect(all).not.toContain("?silent");
});

test("the log of events follows log.level", async () => {
  const yaml = (level: string): string => `
workers: 1
accessLog: off
log: { level: ${level} }
listeners: { web: { bind: "127.0.0.1:0", forward: app } }
pools: { app: { endpoints: ["${a.address}"] } }
`;
  await using sluice = await startSluice(yaml("error"));
  expect(sluice.stderr()).toBe("");
  await reload(sluice, yaml("info"));
  await waitFor(() => sluice.stderr().includes('event="configuration in force" generation=2'), { what: "its event" });
});

test("sluice reload and HUP say what is wrong with a broken file; the old configuration goes on", async () => {
  const yaml = (pool: string): string => `
workers: 1
accessLog: off
listeners: { web: { bind: "127.0.0.1:0", forward: ${pool} } }
pools: { app: { endpoints: ["${a.address}"] } }
`;
  await using sluice = await startSluice(yaml("app"));
  const { admin } = await sluice.status<{ admin: string }>();
  sluice.writeConfig(yaml("ap"));
  const refused = await runSluice(["reload", "--admin", admin]);
  expect([refused.code, refused.stdout]).toEqual([1, ""]);
  expect(refused.stderr).toMatch(/sluice\.yaml:5:\d+: error: .*ap[\s\S]*did you mean app/);
  expect(refused.stderr).toContain("generation 1 goes on");
  const before = sluice.stderr().length;
  sluice.signal("SIGHUP");
  await waitFor(() => sluice.stderr().slice(before).includes("configuration refused"), { what: "the refusal" });
  expect(sluice.stderr().slice(before)).toMatch(/configuration error.*sluice\.yaml:5:/);
  sluice.writeConfig("{ this is: [no yaml");
  expect((await runSluice(["reload", "--admin", admin])).code).toBe(1);
  expect(await who(sluice)).toBe("a");
  expect((await sluice.metrics()).sum("sluice_reloads_total", { result: "refused" })).toBe(3);
  // What only a restart can change is refused as a whole too.
  const other = await sluice.reload(`user: nobody\n${yaml("app")}`);
  expect(other.status).toBe(422);
  expect(other.text).toContain("user cannot be changed by a reload");
  expect(await who(sluice)).toBe("a");
});

test("a configuration in TypeScript is run anew at each reload", async () => {
  const module = (port: number): string => `
import { defineConfig } from "sluice";
const ports: readonly number[] = [${port}];
export default defineConfig({
  admin: { bind: "127.0.0.1:0" },
  workers: 1,
  accessLog: "off",
  listeners: { web: { bind: "127.0.0.1:0", forward: "app" } },
  pools: { app: { endpoints: ports.map((port) => \`127.0.0.1:\${port}\`) } },
});
`;
  await using sluice = await startSluice(module(a.port), { fileName: "sluice.config.ts" });
  expect(await who(sluice)).toBe("a");
  await reload(sluice, module(b.port));
  expect(await who(sluice)).toBe("b");
  await becomes(sluice, "app", b.address, { usable: true });
  const broken = await sluice.reload('throw new Error("no luck today");');
  expect(broken.status).toBe(422);
  expect(broken.text).toContain("no luck today");
  expect(await who(sluice)).toBe("b");
});
