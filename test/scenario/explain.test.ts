// Explanations against traffic: for a table of requests, what the running instance and the file say of each is what a
// real client and a real endpoint get. And what only a running instance can tell: endpoints as they are now, cookies,
// limits that are spent.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { loadText } from "../../src/config/load.ts";
import { describeRequest } from "../../src/explain/described-request.ts";
import { atRest, explainRequest } from "../../src/explain/explain-request.ts";
import type { ArmWord, Explanation, ForwardOutcome } from "../../src/explain/explanation.ts";
import type { Field } from "../../src/explain/message-text.ts";
import { patch } from "./lib/admin.ts";
import { request, splitAddress } from "./lib/client.ts";
import { runSluice } from "./lib/command.ts";
import { startOrigin } from "./lib/origin.ts";
import type { RawResponse } from "./lib/response-reader.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";

const origins = ["a", "b", "c"].map((name) => startOrigin({ name }));
const [a, b, c] = origins.map(({ name, address }) => `{ id: ${name}, address: "${address}" }`) as [
  string,
  string,
  string,
];

function yaml(hash: string): string {
  return `
workers: 2
accessLog: off
secret: a secret of more than thirty-two characters
admin: { bind: "127.0.0.1:0" }
listeners:
  web:
    bind: "127.0.0.1:0"
    trustedProxies: [127.0.0.9]
    routes:
      - { match: { host: api.test, prefix: /api }, forward: hashed, rewrite: { path: "^/api/(.*)$", to: "/x/$1" },
          requestHeaders: { set: { x-who: "{source} {route} {endpoint}" }, add: { x-list: b }, remove: [cookie] },
          responseHeaders: { set: { x-by: "{pool}", x-origin: hidden }, remove: [content-type] } }
      - { match: { prefix: /old }, redirect: { to: "https://{host}{path}?{query}", status: 308 } }
      - { name: gone, match: { path: /gone },
          respond: { status: 410, body: "{path} is gone", headers: { x-r: "{route}" } },
          responseHeaders: { set: { x-y: "{source}" } } }
      - { match: { path: /in }, forward: turns, access: { deny: 127.0.0.2 } }
      - { match: { path: /secret }, forward: turns, basicAuth: { users: { alice: "${hash}" }, userHeader: x-user } }
      - { match: { path: /cors }, forward: turns, cors: { origins: ["https://*.test"], credentials: true } }
      - { match: { path: /limited }, forward: turns, rateLimit: { requests: 1, per: 1h, burst: 2 } }
      - { match: { path: /key }, forward: keyed, rewrite: { host: "in.{listener}.test" } }
      - { match: { path: /dead }, forward: dead }
      - { match: { path: /split }, forward: [{ pool: one, weight: 3 }, { pool: two }], sticky: {} }
      - { match: { path: /sticky }, forward: sticky }
      - { match: { headers: { x-go: "*yes*" }, query: { "é": "1" }, cookies: { c: "2" }, method: PUT }, forward: one }
      - { match: { source: 127.0.0.3 }, forward: two }
      - { match: { host: "*.rest.test" }, forward: turns }
pools:
  hashed: { endpoints: [${a}, ${b}, ${c}], balance: ip-hash }
  keyed: { endpoints: [${a}, ${b}, ${c}], balance: { by: consistent-hash, key: "header:x-key", load: unlimited } }
  turns: { endpoints: [${a}, ${b}], balance: round-robin }
  one: { endpoints: [${a}] }
  two: { endpoints: [${b}] }
  dead: { endpoints: [${a.replace("}", ", admin: maint }")}] }
  sticky: { endpoints: [${a}, ${b}, ${c}], sticky: { by: cookie } }
`;
}

let sluice: Sluice;
let text = "";

beforeAll(async () => {
  text = yaml(await Bun.password.hash("right", { algorithm: "bcrypt", cost: 4 }));
  sluice = await startSluice(text);
  // With the real port the file says the same as the instance.
  text = text.replace('bind: "127.0.0.1:0"\n    trusted', `bind: "${sluice.address("web")}"\n    trusted`);
});

afterAll(async () => {
  await sluice.kill();
  for (const origin of origins) await origin.close();
});

interface Case {
  readonly method?: string;
  readonly path: string;
  readonly headers?: readonly string[];
  readonly from?: string;
}

const alice = `Authorization: Basic ${btoa("alice:right")}`;
const cases: readonly Case[] = [
  { path: "/api/./a/../b?x=1&y=/../", headers: ["Host: API.test", "Cookie: a=1", "X-Who: me", "X-List: a"] },
  { path: "/api/b", headers: ["Host: api.test:80"], from: "127.0.0.4" },
  { path: "/api/b", headers: ["Host: api.test"], from: "127.0.0.5" },
  { path: "/api/b", headers: ["Host: api.test", "X-Forwarded-For: 10.1.1.1", "X-Request-Id: mine"], from: "127.0.0.9" },
  { path: "/api/b", headers: ["Host: api.test", "X-Forwarded-For: 10.1.1.1", "X_Forwarded_For: 1"], from: "127.0.0.8" },
  { path: "/api", headers: ["Host: api.test"] },
  { path: "/api/%2e%2e%2fb", headers: ["Host: api.test"] },
  { path: "/old/x?a=b" },
  { path: "//old//x" },
  { path: "/gone", method: "HEAD" },
  { path: "/gone", method: "POST", from: "127.0.0.7" },
  { path: "/in" },
  { path: "/in", from: "127.0.0.2" },
  { path: "/secret" },
  { path: "/secret", headers: [alice] },
  { path: "/secret", headers: [`Authorization: Basic ${btoa("bob:right")}`] },
  { path: "/cors", headers: ["Origin: https://a.test"] },
  { path: "/cors", headers: ["Origin: https://a.other"] },
  { path: "/cors", method: "OPTIONS", headers: ["Origin: https://a.test", "Access-Control-Request-Method: PUT"] },
  { path: "/key", headers: ["X-Key: 1"] },
  { path: "/key", headers: ["X-Key: 2"] },
  { path: "/key", headers: ["X-Key: 3"] },
  { path: "/key" },
  { path: "/dead" },
  { path: "/split" },
  { path: "/sticky" },
  { path: "/x?%C3%A9=%31", method: "PUT", headers: ["X-Go: oh yes", "Cookie: a=1; c=2"] },
  { path: "/x?%C3%A9=%31", method: "PUT", headers: ["X-Go: oh yes", "Cookie: a=1; c=3"] },
  { path: "/x", from: "127.0.0.3", headers: ["Connection: close, x-drop", "X-Drop: 1", "Te: trailers"] },
  {
    path: "/x",
    headers: ["Host: a.rest.test", "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
  },
  { path: "/x", headers: ["Host: rest.test"] },
  { path: "/x;y/..;/z", headers: ["Host: a.rest.test"] },
  { path: "/x%", headers: ["Host: a.rest.test"] },
  { path: "/x", headers: ["Host: a.rest.test", "Content-Length: 0", "Content-Length: 1"] },
  { path: "/x", headers: ["Host: a.rest.test", "Expect: miracles"] },
  { path: "/x", headers: ["Host: a.rest.test", "Transfer-Encoding: gzip"] },
  { path: `/${"x".repeat(40_000)}`, headers: ["Host: a.rest.test"] },
];

/** What the client got, and which endpoint got what. */
interface Traffic {
  readonly response: RawResponse;
  readonly origin: string | null;
  readonly first: string;
  readonly fields: readonly (readonly [string, string])[];
}

async function send({ method = "GET", path, headers = [], from = "127.0.0.1" }: Case): Promise<Traffic> {
  const before = origins.map((origin) => origin.stats().requests);
  const response = await request(sluice.address("web"), { method, path, headers, from });
  const reached = origins.filter((origin, i) => origin.stats().requests > before[i]!);
  expect(reached.length).toBeLessThan(2);
  const recorded = reached[0]?.requests().at(-1);
  const first = recorded === undefined ? "" : `${recorded.method} ${recorded.target}`;
  return { response, origin: reached[0]?.name ?? null, first, fields: recorded?.headers ?? [] };
}

function fieldsOf(headers: readonly string[]): Field[] {
  return headers.map((line) => {
    const colon = line.indexOf(":");
    return { name: line.slice(0, colon), value: line.slice(colon + 1).trim() };
  });
}

function urlOf(path: string): string {
  return `http://${sluice.address("web")}${path}`;
}

async function askInstance({ method = "GET", path, headers = [], from = "127.0.0.1" }: Case): Promise<Explanation> {
  const lists: Record<string, string[]> = {};
  for (const { name, value } of fieldsOf(headers)) (lists[name] ??= []).push(value);
  const body = JSON.stringify({ method, url: urlOf(path), headers: lists, source: from });
  const answer = await sluice.admin("/api/v1/explain", { method: "POST", body });
  expect([answer.status, answer.text]).toEqual([200, expect.any(String)]);
  return answer.json<Explanation>();
}

function askFile({ method = "GET", path, headers = [], from = "127.0.0.1" }: Case): Explanation {
  const { config } = loadText(text, "sluice.yaml");
  const described = { ...describeRequest(urlOf(path)), method, headers: fieldsOf(headers), source: from };
  const explained = explainRequest(atRest(config!), described, null);
  if ("problem" in explained) throw new Error(explained.problem);
  return explained;
}

function armsOf({ outcome }: Explanation): readonly ArmWord[] {
  return (outcome as ForwardOutcome).arms;
}

const masked = new Set(["x-request-id", "traceparent"]);

/** The fields as they are explained, where ours are "(new)". */
function masking(fields: Traffic["fields"], explained: readonly Field[]): readonly Field[] {
  const isNew = (name: string): boolean =>
    masked.has(name.toLowerCase()) && explained.some((field) => field.name === name && field.value === "(new)");
  return fields.map(([name, value]) => ({ name, value: isNew(name) ? "(new)" : value }));
}

/** Everything that is said has to be so. */
function expectSame(explained: Explanation, traffic: Traffic): void {
  const { outcome } = explained;
  const { response, origin } = traffic;
  if (outcome.kind !== "forward") {
    expect([origin, response.status]).toEqual([null, outcome.status]);
    if (outcome.kind === "redirect") expect(response.header("location")).toBe(outcome.location);
    if (outcome.kind === "respond") expect(response.text()).toBe(outcome.body);
    const fields = "fields" in outcome ? outcome.fields.filter(({ name }) => name !== "Date") : [];
    for (const { name, value } of fields) expect([name, response.header(name)]).toEqual([name, value]);
    return;
  }
  const possible = outcome.arms.filter(({ endpoint, refused }) => {
    if (refused !== null) return origin === null;
    return endpoint.id === null ? endpoint.candidates.some(({ id }) => id === origin) : endpoint.id === origin;
  });
  expect(possible.length).toBe(1);
  const [arm] = possible as [ArmWord];
  if (arm.sent === null) {
    expect(response.status).toBe(arm.refused!.status);
    return;
  }
  expect(traffic.first).toBe(`${arm.sent.method} ${arm.sent.target}`);
  // {endpoint} is only certain where the endpoint is.
  const said = arm.sent.fields.filter(({ name }) => arm.endpoint.id !== null || name !== "x-who");
  const got = masking(traffic.fields, arm.sent.fields).filter(
    ({ name }) => arm.endpoint.id !== null || name !== "x-who",
  );
  expect(got).toEqual(said);
  for (const { name, value } of arm.answer.added) {
    const found = response.header(name);
    if (name === "Set-Cookie") expect(found?.replace(/=[^;]*/, "=…")).toBe(value);
    else expect([name, found]).toEqual([name, value]);
  }
  for (const { name } of arm.answer.removed) {
    if (!arm.answer.added.some((field) => field.name === name))
      expect([name, response.header(name)]).toEqual([name, null]);
  }
}

describe("the instance, the file and the traffic say the same of", () => {
  test.each(cases.map((one) => [`${one.method ?? "GET"} ${one.path.slice(0, 40)}`, one] as const))(
    "%s %#",
    async (_, one) => {
      const [instance, file] = [await askInstance(one), askFile(one)];
      const traffic = await send(one);
      expectSame(instance, traffic);
      expectSame(file, traffic);
      expect(instance.routes).toEqual(file.routes);
    },
  );
});

describe("the running instance knows", () => {
  test("which endpoints take requests, and why the others do not", async () => {
    const before = armsOf(await askInstance({ path: "/key", headers: ["X-Key: 1"] }))[0]!;
    const id = before.endpoint.id!;
    await patch(sluice, "keyed", id, { admin: "drain" });
    try {
      const [arm] = armsOf(await askInstance({ path: "/key", headers: ["X-Key: 1"] })) as [ArmWord];
      expect(arm.endpoint.others).toMatchObject([{ id, reason: "operator: drain" }]);
      expect(arm.endpoint.id).not.toBe(id);
      expect((await send({ path: "/key", headers: ["X-Key: 1"] })).origin).toBe(arm.endpoint.id);
      // The file says what it said.
      expect(armsOf(askFile({ path: "/key", headers: ["X-Key: 1"] }))[0]?.endpoint.id).toBe(id);
    } finally {
      await patch(sluice, "keyed", id, { admin: "ready" });
    }
  });

  test("which endpoint and which side a cookie keeps its client at", async () => {
    const { response, origin } = await send({ path: "/sticky" });
    const cookie = `Cookie: ${response.header("set-cookie")!.split(";")[0]}`;
    const [arm] = armsOf(await askInstance({ path: "/sticky", headers: [cookie] })) as [ArmWord];
    expect(arm.endpoint).toMatchObject({ id: origin, by: "kept there by the cookie SLUICE" });
    expect(arm.answer.added).toEqual([]);
    const forged = `${cookie.slice(0, -2)}xx`;
    expect(armsOf(await askInstance({ path: "/sticky", headers: [forged] }))[0]?.endpoint.id).toBeNull();

    const split = await send({ path: "/split" });
    const side = `Cookie: ${split.response.header("set-cookie")!.split(";")[0]}`;
    const kept = await askInstance({ path: "/split", headers: [side] });
    expect(kept.outcome).toMatchObject({ keptBy: "the cookie SLUICE_POOL" });
    expect(armsOf(kept)).toMatchObject([{ percent: 100, endpoint: { id: split.origin } }]);
  });

  test("which limits are spent", async () => {
    const spent = { path: "/limited", from: "127.0.0.6" };
    expect((await askInstance(spent)).checks).toMatchObject([{ check: "rateLimit", verdict: "passes" }]);
    // Asking takes nothing: two requests pass, as many as before.
    expect((await send(spent)).response.header("ratelimit-remaining")).toBe("1");
    expect((await send(spent)).response.header("ratelimit-remaining")).toBe("0");
    const explained = await askInstance(spent);
    expect(explained).toMatchObject({ checks: [{ verdict: "refuses" }], outcome: { kind: "refused", status: 429 } });
    expect((await send(spent)).response.status).toBe(429);
    expect(armsOf(await askInstance({ path: "/limited", from: "127.0.0.7" }))).toMatchObject([{ refused: null }]);
  });
});

describe("the call and the command", () => {
  test.each<[unknown, string]>([
    ["[]", "the body is not a JSON object"],
    [{ ulr: "/" }, 'unknown key "ulr"'],
    [{}, "url is missing, or not a text"],
    [{ url: "/", method: 1 }, "method and source are texts"],
    [{ url: "/", listener: 1 }, "listener is the name of a listener"],
    [{ url: "/", headers: [] }, "headers are a map of names to values"],
    [{ url: "/", headers: { a: 1 } }, "the value of a header is a text, or a list of texts"],
    [{ url: "nowhere" }, "expected a URL"],
    [{ url: "/", source: "nowhere" }, "is not an IP address"],
    [{ url: "/", listener: "wbe" }, 'there is no listener called "wbe"'],
  ])("%j is refused", async (body, problem) => {
    const sent = typeof body === "string" ? body : JSON.stringify(body);
    const answer = await sluice.admin("/api/v1/explain", { method: "POST", body: sent });
    expect(answer.status).toBe(400);
    expect(answer.json<{ error: string }>().error).toContain(problem);
  });

  test("sluice explain --running, with its exit codes", async () => {
    const ready = (await Bun.file(`${sluice.dir}/ready.json`).json()) as { admin: string };
    const explain = (...args: readonly string[]): ReturnType<typeof runSluice> =>
      runSluice(["explain", ...args, "--admin", ready.admin], { env: { NO_COLOR: "1" } });
    const { port } = splitAddress(sluice.address("web"));
    const found = await explain("http://api.test/api/x", "-H", "X-Forwarded-Host: y", "--source", "127.0.0.4");
    expect([found.code, found.stderr]).toEqual([0, ""]);
    expect(found.stdout).toContain(`no listener is bound to port 80; web is the only one there is`);
    expect(found.stdout).toMatch(/endpoint +[abc] \(127\.0\.0\.1:\d+\): ip-hash of the address 127\.0\.0\.4\n/);
    expect(found.stdout).toContain(`+ X-Forwarded-Port: ${port}\n`);
    const turns = await explain(urlOf("/in"));
    expect(turns.stdout).toMatch(/endpoint +one of a \(.*\), b \(.*\): round-robin; right now [ab]\n/);
    expect((await explain("POST", urlOf("/nowhere"))).code).toBe(1);
    const unknown = await explain("/", "--listener", "wbe");
    expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining("did you mean web?")]);
    const nobody = await runSluice(["explain", "/", "--admin", "127.0.0.1:1"]);
    expect([nobody.code, nobody.stderr]).toEqual([1, expect.stringContaining("Is Sluice running?")]);
  });
});
