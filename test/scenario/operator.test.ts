// The operator's word at run time: drain, ready, maint and weights, by the API and by the commands, in force at once in
// every worker, through reloads, and where they are seen.

import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import type { EndpointView } from "../../src/runtime/views.ts";
import { becomes, endpoint, events, patch } from "./lib/admin.ts";
import { connect, request } from "./lib/client.ts";
import { runSluice } from "./lib/command.ts";
import { hold } from "./lib/held.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import type { ToolRun } from "./lib/tool.ts";
import { waitFor } from "./lib/wait.ts";

const a = startOrigin({ name: "a" });
const b = startOrigin({ name: "b" });
const held = hold(b);
let sluice: Sluice;

/** more: further keys of endpoint b. */
const yaml = (more = "", comment = ""): string => `
# ${comment}
workers: 2
accessLog: off
listeners: { web: { bind: "127.0.0.1:0", forward: app }, file: { bind: "127.0.0.1:0", forward: file } }
pools:
  app:
    balance: weighted-round-robin
    endpoints: [ { id: a, address: "${a.address}" }, { id: b/1, address: "${b.address}"${more} } ]
    health: { path: /probe, expect: { status: 404 }, interval: 40ms }
  file:
    endpoints: [ { id: a, address: "${a.address}", admin: drain }, { id: b, address: "${b.address}", admin: maint } ]
`;

beforeAll(async () => {
  sluice = await startSluice(yaml());
});
afterAll(async () => {
  await sluice.kill();
  for (const origin of [a, b]) await origin.close();
});
beforeEach(async () => {
  expect((await patch(sluice, "app", "b/1", { admin: "ready", weight: 1 })).status).toBe(200);
  await becomes(sluice, "app", "b/1", { usable: true, health: "up" });
});

/** How many of 40 requests, on connections of their own, came to b. */
async function shareOfB(): Promise<number> {
  let count = 0;
  for (let i = 0; i < 40; i++) {
    const response = await request(sluice.address("web"));
    expect(response.status).toBe(200);
    if (response.header("x-origin") === "b") count++;
  }
  return count;
}

const command = async (...args: string[]): Promise<ToolRun> => {
  const { admin } = await sluice.status<{ admin: string }>();
  return runSluice([...args, "--admin", admin]);
};

/** Opens a request that stays in progress at b. */
async function holdAtB(): Promise<Awaited<ReturnType<typeof connect>>> {
  expect((await patch(sluice, "app", "a", { weight: 0 })).status).toBe(200);
  const client = await connect(sluice.address("web"));
  await client.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
  await waitFor(() => held.count === 1, { what: "the request to arrive" });
  expect((await patch(sluice, "app", "a", { weight: 1 })).status).toBe(200);
  return client;
}

test("PATCH admin: drain and maint give an endpoint nothing new; ready has it back", async () => {
  expect(await shareOfB()).toBeGreaterThan(10);
  for (const admin of ["drain", "maint"]) {
    const view = (await patch(sluice, "app", "b/1", { admin })).json<EndpointView>();
    expect([view.admin, view.usable, view.reason]).toEqual([admin as "drain", false, `operator: ${admin}`]);
    expect(await shareOfB()).toBe(0);
    expect((await sluice.metrics()).sum("sluice_endpoint_admin", { pool: "app", endpoint: "b/1", state: admin })).toBe(
      1,
    );
  }
  expect((await patch(sluice, "app", "b/1", { admin: "ready" })).status).toBe(200);
  await becomes(sluice, "app", "b/1", { usable: true });
  expect(await shareOfB()).toBeGreaterThan(10);
  const words = (await events(sluice, "endpoint set")).map(({ fields }) => fields["admin"]);
  expect(words.slice(-3)).toEqual(["drain", "maint", "ready"]);
  expect(sluice.stderr()).toMatch(/event="endpoint set" pool=app endpoint=b\/1 .*admin=maint .*adminBefore=drain/);
});

test("what runs at a drained endpoint ends in peace", async () => {
  using client = await holdAtB();
  await patch(sluice, "app", "b/1", { admin: "drain" });
  expect((await endpoint(sluice, "app", "b/1")).active).toBe(1);
  expect(await shareOfB()).toBe(0);
  held.release();
  expect((await client.read()).status).toBe(200);
  await becomes(sluice, "app", "b/1", { active: 0 });
});

test("an endpoint in maintenance is not checked; a drained one is", async () => {
  const probes = (): number => b.stats().byPath["/probe"] ?? 0;
  await patch(sluice, "app", "b/1", { admin: "drain" });
  const drained = probes();
  await waitFor(() => probes() > drained + 2, { what: "checks of the drained endpoint" });
  await patch(sluice, "app", "b/1", { admin: "maint" });
  const before = probes();
  const others = a.stats().byPath["/probe"]!;
  await waitFor(() => a.stats().byPath["/probe"]! > others + 5, { what: "checks of the other endpoint" });
  expect(probes() - before).toBeLessThanOrEqual(1); // one may have been on its way
});

test("PATCH weight: shares follow at once; weight 0 takes nothing", async () => {
  await patch(sluice, "app", "b/1", { weight: 3 });
  expect(await shareOfB()).toBeGreaterThanOrEqual(28);
  await patch(sluice, "app", "b/1", { weight: 0 });
  expect(await shareOfB()).toBe(0);
  expect((await endpoint(sluice, "app", "b/1")).reason).toBe("weight 0");
  expect((await sluice.metrics()).sum("sluice_endpoint_weight", { pool: "app", endpoint: "b/1" })).toBe(0);
});

test("a PATCH that makes no sense changes nothing and says why", async () => {
  const bad: readonly (readonly [unknown, number, string])[] = [
    [{ weight: 1001 }, 400, "0 to 1000"],
    [{ weight: 1.5 }, 400, "whole number"],
    [{ admin: "off" }, 400, "ready, drain or maint"],
    [{ wieght: 1 }, 400, "did you mean weight"],
    [{}, 400, "nothing to change"],
    [[1], 400, "not a JSON object"],
  ];
  for (const [body, status, words] of bad) {
    const answer = await patch(sluice, "app", "b/1", body);
    expect([body, answer.status]).toEqual([body, status]);
    expect(answer.text).toContain(words);
  }
  expect((await patch(sluice, "app", "b", { weight: 2 })).status).toBe(404);
  expect((await patch(sluice, "ap", "a", { weight: 2 })).text).toContain("did you mean app");
  expect(await endpoint(sluice, "app", "b/1")).toMatchObject({ weight: 1, admin: "ready" });
});

test("the words of the file: drain and maint from the start", async () => {
  const [first, second] = [await endpoint(sluice, "file", "a"), await endpoint(sluice, "file", "b")];
  expect([first.admin, second.admin]).toEqual(["drain", "maint"]);
  expect((await request(sluice.address("file"))).status).toBe(503);
});

test("what was set stays in force through a reload, unless the file itself changes that value", async () => {
  await patch(sluice, "app", "b/1", { admin: "drain", weight: 5 });
  expect((await sluice.reload(yaml("", "another comment"))).status).toBe(200);
  expect(await endpoint(sluice, "app", "b/1")).toMatchObject({ admin: "drain", weight: 5 });
  expect(await shareOfB()).toBe(0);
  expect((await sluice.reload(yaml(", weight: 2"))).status).toBe(200);
  expect(await endpoint(sluice, "app", "b/1")).toMatchObject({ admin: "drain", weight: 2 });
  expect((await sluice.reload(yaml(", weight: 2, admin: maint"))).status).toBe(200);
  expect(await endpoint(sluice, "app", "b/1")).toMatchObject({ admin: "maint", weight: 2 });
  expect((await sluice.reload(yaml())).status).toBe(200);
});

test("sluice drain and sluice ready do the same", async () => {
  const drained = await command("drain", "app/b/1");
  expect([drained.code, drained.stdout]).toEqual([0, "app/b/1 is draining: 0 requests in progress\n"]);
  expect(await shareOfB()).toBe(0);
  const ready = await command("ready", "app/b/1");
  expect([ready.code, ready.stdout]).toEqual([0, "app/b/1 is ready\n"]);
  expect(await shareOfB()).toBeGreaterThan(10);
  const wrong = await command("drain", "app/c");
  expect([wrong.code, wrong.stdout]).toEqual([1, ""]);
  expect(wrong.stderr).toContain('there is no endpoint "c"');
  expect((await command("ready", "app")).code).toBe(2);
});
