// Sticky sessions by a cookie of the balancer's: what the client gets, what becomes of it when its endpoint is drained,
// full, down or removed, and that neither forgery nor a reload, a crash or a restart changes the matter.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { becomes, patch } from "./lib/admin.ts";
import { connect, type RequestOptions, request, requestBytes } from "./lib/client.ts";
import { hold } from "./lib/held.ts";
import { type Origin, startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { waitFor } from "./lib/wait.ts";

const state = mkdtempSync(join(tmpdir(), "sluice-sticky-"));
const origins = ["a", "b", "c"].map((name) => startOrigin({ name }));
const [a, b] = origins as [Origin, Origin, Origin];
const held = hold(a);
let sluice: Sluice;
let web: string;
beforeAll(async () => {
  sluice = await startSluice(yaml());
  web = sluice.address("web");
});
afterAll(async () => {
  await sluice.kill();
  for (const origin of origins) await origin.close();
  rmSync(state, { recursive: true, force: true });
});

const endpoints = (of: readonly Origin[]): string =>
  of.map(({ name, address }) => `{ id: ${name}, address: "${address}" }`).join(", ");

/** Pool shop over some endpoints with more keys, and two others that are sticky by the same cookie's name. */
function yaml(of: readonly Origin[] = origins, more = "slowStart: off", place = "one"): string {
  return `
workers: 2
accessLog: off
state: ${state}/${place}
listeners:
  web: { bind: "127.0.0.1:0", forward: shop, trustedProxies: [127.0.0.250] }
  other: { bind: "127.0.0.1:0", forward: other }
  full: { bind: "127.0.0.1:0", forward: full }
pools:
  shop: { balance: round-robin, endpoints: [${endpoints(of)}], sticky: { by: cookie, name: SHOP, ttl: 12h }, ${more} }
  other: { endpoints: [${endpoints(of)}], sticky: { by: cookie, name: SHOP } }
  full:
    endpoints: [ { id: a, address: "${a.address}", maxConnections: 1 }, ${endpoints([b])} ]
    sticky: { by: cookie, name: SHOP }
`;
}

interface Visit {
  /** The endpoint, or the status in brackets where it was the balancer. */
  readonly who: string;
  /** The Set-Cookie line; null without one. */
  readonly line: string | null;
  /** Its value. */
  readonly value: string;
}

async function visit(address: string, cookie: string | null, options: RequestOptions = {}): Promise<Visit> {
  const headers = [...(options.headers ?? []), ...(cookie === null ? [] : [`Cookie: x=1; SHOP=${cookie}; y=2`])];
  const response = await request(address, { ...options, headers });
  const line = response.header("set-cookie");
  const who = response.status === 200 ? response.header("x-origin")! : `(${response.status})`;
  return { who, line, value: /^SHOP=([^;]*)/.exec(line ?? "")?.[1] ?? "" };
}

/** Who answers a client so many times, each on a connection of its own, which goes to either worker; ! = new cookie. */
async function visits(address: string, cookie: string | null, count = 10): Promise<string> {
  let names = "";
  for (let i = 0; i < count; i++) {
    const { who, line } = await visit(address, cookie);
    names += line === null ? who : `${who}!`;
  }
  return names;
}

/** The cookie of a new client that was given this endpoint. */
function clientOf(address: string, name: string): Promise<string> {
  const come = async (): Promise<string | null> => {
    const { who, value } = await visit(address, null);
    return who === name ? value : null;
  };
  return waitFor(come, { what: `a client of ${name}`, everyMs: 0 });
}

const issued = /^[A-Za-z0-9_-]{68}$/;

test("the cookie: attributes, opaque, the same endpoint from every worker, issued once", async () => {
  const first = await visit(web, null);
  expect(first.line).toMatch(/^SHOP=[A-Za-z0-9_-]{68}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Lax$/);
  const proxied = { from: "127.0.0.250", headers: ["X-Forwarded-Proto: https"] };
  expect((await visit(web, null, proxied)).line).toContain("; Secure");
  expect(await visits(web, first.value, 12)).toBe(first.who.repeat(12));
  expect(new Set((await visits(web, null, 12)).replaceAll("!", "")).size).toBe(3);
  // Two clients of one endpoint have nothing in common.
  const [one, two] = [await clientOf(web, "a"), await clientOf(web, "a")];
  const [bytes, others] = [Buffer.from(one, "base64url"), Buffer.from(two, "base64url")];
  expect([...bytes].filter((byte, i) => byte === others[i]).length).toBeLessThan(8);
  // An upgrade is a request like any other.
  const upgrade = { path: "/upgrade", headers: ["Connection: Upgrade", "Upgrade: echo"] };
  const switched = await request(web, upgrade);
  expect([switched.status, switched.header("set-cookie")]).toEqual([101, expect.stringContaining("SHOP=")]);
  const again = await request(web, { ...upgrade, headers: [...upgrade.headers, `Cookie: SHOP=${one}`] });
  expect([again.header("x-origin"), again.header("set-cookie")]).toEqual(["a", null]);
  // The endpoint gets the cookie as it came.
  expect((await visit(web, one)).who).toBe("a");
  expect(a.last("/ok").head).toContain(`Cookie: x=1; SHOP=${one}; y=2\r\n`);
});

test("forged, cut, foreign and nonsense cookies are ignored, and the client is a new one", async () => {
  const good = await clientOf(web, "b");
  const foreign = await visit(sluice.address("other"), null);
  const flipped = (at: number): string => good.slice(0, at) + (good[at] === "A" ? "B" : "A") + good.slice(at + 1);
  const bad = [
    ...[0, 1, 20, 43, 66].map(flipped),
    ...[0, 1, 30, 67].map((length) => good.slice(0, length)),
    `${good}A`,
    "b",
    b.address,
    "\xff\xfe\x80",
    "A".repeat(68),
    "-".repeat(8000),
    foreign.value,
  ];
  for (const value of bad) {
    const now = await visit(web, value);
    expect([value, now.who]).toEqual([value, expect.stringMatching(/^[abc]$/)]);
    expect([value, now.value]).toEqual([value, expect.stringMatching(issued)]);
  }
  // One that is ours among others of the same name still counts.
  const headers = [`Cookie: SHOP=zzz; SHOP=${good}`, "Cookie: SHOP="];
  for (let i = 0; i < 6; i++) expect(await visit(web, null, { headers })).toMatchObject({ who: "b", line: null });
  expect((await sluice.metrics()).sum("sluice_worker_exceptions_total")).toBe(0);
});

async function sparesB(): Promise<boolean> {
  return !(await visits(web, null, 12)).includes("b");
}

test("drained, or of weight 0: clients stay, new ones go elsewhere; in maintenance: they move for good", async () => {
  const cookie = await clientOf(web, "b");
  for (const change of [{ admin: "drain" }, { admin: "ready", weight: 0 }]) {
    expect((await patch(sluice, "shop", "b", change)).status).toBe(200);
    await waitFor(sparesB, { what: "b to get no new clients" }); // workers learn of it a moment later
    expect(await visits(web, cookie)).toBe("b".repeat(10));
  }
  expect((await patch(sluice, "shop", "b", { weight: 1, admin: "maint" })).status).toBe(200);
  const move = async (): Promise<Visit | null> => {
    const next = await visit(web, cookie);
    return next.who === "b" ? null : next;
  };
  const moved = await waitFor(move, { what: "the client to be moved" });
  expect(moved.value).toMatch(issued);
  expect((await patch(sluice, "shop", "b", { admin: "ready" })).status).toBe(200);
  expect(await visits(web, moved.value)).toBe(moved.who.repeat(10));
});

test("a full endpoint: elsewhere for this request, without another cookie", async () => {
  const full = sluice.address("full");
  const cookie = await clientOf(full, "a");
  await becomes(sluice, "full", "a", { active: 0 }); // the answer is there a moment before the place is free
  using client = await connect(full);
  await client.send(requestBytes("x", { path: "/hold", headers: [`Cookie: SHOP=${cookie}`] }));
  await waitFor(() => held.count === 1, { what: "a to be full" });
  expect(await visits(full, cookie, 4)).toBe("bbbb");
  held.release();
  expect((await client.read()).header("x-origin")).toBe("a");
  await waitFor(async () => (await visits(full, cookie, 4)) === "aaaa", { what: "the client to be back" });
});

test("an endpoint that dies: the same request is served elsewhere, with a new cookie; so is a POST", async () => {
  const mortal = startOrigin({ name: "m" });
  const reloaded = await sluice.reload(yaml([a, b, mortal], "passive: off"));
  expect(reloaded.status).toBe(200);
  const cookie = await clientOf(web, "m");
  expect(await visits(web, cookie, 4)).toBe("mmmm");
  await mortal.close();
  for (const options of [{}, { method: "POST", path: "/echo", body: "hello" }, { method: "PUT", body: "x" }]) {
    const next = await visit(web, cookie, options);
    expect(next.who).toMatch(/^[ab]$/);
    expect(next.value).toMatch(issued);
    expect(await visits(web, next.value, 6)).toBe(next.who.repeat(6));
  }
  // Nobody else is there: 502 and no cookie, for the endpoint may still come back.
  expect((await sluice.reload(yaml([mortal], "passive: off"))).status).toBe(200);
  expect(await visit(web, cookie)).toEqual({ who: "(502)", line: null, value: "" });
});

test("it outlives a reload, a worker's crash and a restart with the same state, but not the state's loss", async () => {
  const text = yaml(origins, "slowStart: off", "two");
  let cookie: string;
  {
    await using before = await startSluice(text);
    const at = before.address("web");
    cookie = await clientOf(at, "c");
    // Endpoints in another order, and another key of the pool.
    expect((await before.reload(yaml(origins.toReversed(), "slowStart: 1s", "two"))).status).toBe(200);
    expect(await visits(at, cookie, 6)).toBe("cccccc");
    const [victim] = before.workerPids();
    process.kill(victim!, "SIGKILL");
    await waitFor(() => before.workerPids().length === 2 && !before.workerPids().includes(victim!), {
      what: "another worker",
    });
    expect(await visits(at, cookie, 8)).toBe("cccccccc");
    // Removed from the pool; below it is back.
    expect((await before.reload(yaml([a, b], "slowStart: 1s", "two"))).status).toBe(200);
    expect((await visit(at, cookie)).value).toMatch(issued);
    expect(await before.stop()).toBe(0);
  }
  {
    await using after = await startSluice(text);
    expect(await visits(after.address("web"), cookie, 6)).toBe("cccccc");
  }
  rmSync(join(state, "two", "cookie-keys"));
  await using anew = await startSluice(text);
  expect((await visit(anew.address("web"), cookie)).value).toMatch(issued);
}, 20_000);
