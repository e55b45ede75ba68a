// Who may: lists of addresses for connections and for requests, and names with passwords, as curl and others send them.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { lacks } from "../support/needs.ts";
import { logged } from "./lib/access-log.ts";
import { connect, request, requestBytes, type RequestOptions } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { headerOf } from "./lib/request-reader.ts";
import type { RawResponse } from "./lib/response-reader.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { runTool } from "./lib/tool.ts";

const origin = startOrigin({ name: "a" });
let sluice: Sluice;
let web: string;

const bcrypt = (password: string): string => Bun.password.hashSync(password, { algorithm: "bcrypt", cost: 4 });
const argon2 = (password: string): string =>
  Bun.password.hashSync(password, { algorithm: "argon2id", memoryCost: 8, timeCost: 1 });

function yaml(anna = bcrypt("opensesame")): string {
  return `
workers: 2
listeners:
  web:
    bind: "127.0.0.1:0"
    trustedProxies: [127.0.0.250]
    routes:
      - match: { prefix: /admin }
        forward: app
        access: { allow: [127.0.1.0/24, 127.0.2.2], deny: [127.0.1.64/26] }
      - match: { prefix: /open }
        forward: app
        access: { deny: [127.0.3.0/24] }
      - match: { prefix: /staff }
        forward: app
        basicAuth:
          realm: Staff
          users: { anna: "${anna}", "björn": "${argon2("päss wörd:")}" }
          userHeader: X-User
      - match: { prefix: /pass }
        forward: app
        basicAuth: { users: { anna: "${anna}" }, passAuthorization: true }
      - match: { prefix: /guess }
        forward: app
        basicAuth: { users: { anna: "${anna}" } }
        rateLimit: { requests: 3, per: 1h }
      - forward: app
  door:
    bind: "127.0.0.1:0"
    access: { allow: [127.0.0.0/16], deny: [127.0.1.0/24] }
    forward: app
pools: { app: { endpoints: ["${origin.address}"] } }
`;
}

beforeAll(async () => {
  for (const path of ["/admin", "/open", "/staff", "/pass", "/guess"]) {
    origin.on(path, (exchange) => {
      exchange.onEnd = () => {
        exchange.send("HTTP/1.1 200 x\r\nContent-Length: 3\r\n\r\nok\n");
        exchange.done();
      };
    });
  }
  sluice = await startSluice(yaml());
  web = sluice.address("web");
});
afterAll(async () => {
  await sluice.kill();
  await origin.close();
});

const statusOf = async (path: string, options: RequestOptions = {}): Promise<number> =>
  (await request(web, { ...options, path })).status;

test("a route's list: deny before allow, others are out; behind a trusted proxy by the forwarded address", async () => {
  const cases = { "127.0.1.1": 200, "127.0.1.64": 403, "127.0.1.128": 200, "127.0.2.2": 200, "127.0.2.3": 403 };
  for (const [client, status] of Object.entries(cases)) {
    expect([client, await statusOf("/admin", { from: client })]).toEqual([client, status]);
    const proxied = { from: "127.0.0.250", headers: [`X-Forwarded-For: ${client}`] };
    expect([client, await statusOf("/admin", proxied)]).toEqual([client, status]);
    // Whoever is not trusted may write what it likes.
    const forged = { from: "127.0.9.9", headers: [`X-Forwarded-For: ${client}`] };
    expect(await statusOf("/admin", forged)).toBe(403);
  }
  expect([await statusOf("/open", { from: "127.0.3.3" }), await statusOf("/open")]).toEqual([403, 200]);
  const entry = await logged(sluice, ({ status }) => status === 403);
  expect([entry.termination, entry.cause, entry.attempts]).toEqual(["PR", "denied", 0]);
  expect((await sluice.metrics()).sum("sluice_denied_total", { listener: "web" })).toBeGreaterThan(5);
});

test("a request that is refused may have a body, and the connection goes on", async () => {
  using client = await connect(web, { from: "127.0.9.1" });
  await client.send(requestBytes("x", { method: "POST", path: "/admin", body: "x".repeat(10_000) }));
  await client.send(requestBytes("x", { path: "/ok" }));
  expect([(await client.read()).status, (await client.read()).status]).toEqual([403, 200]);
});

test("a listener's list: the connection is closed before anything is said", async () => {
  const door = sluice.address("door");
  const isRefused = (from: string): Promise<boolean> =>
    request(door, { from }).then(
      () => false,
      () => true,
    );
  expect([await isRefused("127.0.0.9"), await isRefused("127.0.1.9"), await isRefused("127.1.0.9")]).toEqual([
    false,
    true,
    true,
  ]);
  expect((await sluice.metrics()).sum("sluice_connections_refused_total", { listener: "door" })).toBe(2);
});

const basic = (login: string): RequestOptions => ({
  headers: [`Authorization: Basic ${Buffer.from(login).toString("base64")}`],
});

test("passwords: who has none is asked, who has the right one passes, in either worker, and often", async () => {
  const asked = await request(web, { path: "/staff" });
  expect([asked.status, asked.header("www-authenticate")]).toEqual([401, 'Basic realm="Staff", charset="UTF-8"']);
  for (let i = 0; i < 12; i++) expect(await statusOf("/staff", basic("anna:opensesame"))).toBe(200);
  expect(await statusOf("/staff", basic("björn:päss wörd:"))).toBe(200);
  expect(headerOf(origin.last("/staff"), "x-user")).toBe(Buffer.from("björn").toString("latin1"));
  const near = ["anna:", "anna:opensesam", "anna:opensesame ", "Anna:opensesame", "björn:opensesame"];
  const wrong = [...near, ":", "nobody:x", "anna"];
  for (const login of wrong) expect([login, await statusOf("/staff", basic(login))]).toEqual([login, 401]);
  for (const value of ["Basic", "Basic !!!", "Bearer x", `Basic ${"A".repeat(3000)}`, "basic=", ""]) {
    expect([value, await statusOf("/staff", { headers: [`Authorization: ${value}`] })]).toEqual([value, 401]);
  }
  const twice = basic("anna:opensesame").headers![0]!;
  expect(await statusOf("/staff", { headers: [twice, twice] })).toBe(401);
});

test("the endpoint is told who it is, not the password, and nobody can pretend", async () => {
  const { headers } = basic("anna:opensesame");
  expect(await statusOf("/staff", { headers: [...headers!, "X-User: root", "x-user: root"] })).toBe(200);
  const seen = origin.last("/staff").headers.filter(([name]) => /^(x-user|authorization)$/i.test(name));
  expect(seen).toEqual([["X-User", "anna"]]);
  expect(await statusOf("/pass", { headers: headers! })).toBe(200);
  expect(headerOf(origin.last("/pass"), "authorization")).toBe(headers![0]!.slice("Authorization: ".length));
});

test("a body waits until the password has been compared, and arrives whole", async () => {
  const body = "x".repeat(60_000);
  const passwords = ["opensesame", "wrong1", "opensesame", "wrong2", "opensesame", "wrong3"];
  const post = (password: string): Promise<RawResponse> =>
    request(web, { ...basic(`anna:${password}`), method: "POST", path: "/staff", body });
  const answers = await Promise.all(passwords.map(post));
  expect(answers.map(({ status }) => status)).toEqual([200, 401, 200, 401, 200, 401]);
  expect(origin.last("/staff").bodyLength).toBe(60_000);
  // Whoever leaves in between harms nobody.
  for (let i = 0; i < 4; i++) {
    using client = await connect(web);
    await client.send(requestBytes("x", { ...basic(`anna:leaves${i}`), method: "POST", path: "/staff", body }));
    client.reset();
  }
  expect(await statusOf("/staff", basic("anna:opensesame"))).toBe(200);
  expect((await sluice.metrics()).sum("sluice_worker_exceptions_total")).toBe(0);
});

test("a rate limit is asked before the password: guessing is bounded", async () => {
  const from = "127.0.5.1";
  const statuses: number[] = [];
  for (let i = 0; i < 5; i++) statuses.push(await statusOf("/guess", { from, ...basic(`anna:guess${i}`) }));
  expect(statuses).toEqual([401, 401, 401, 429, 429]);
});

test.skipIf(lacks("curl"))("curl -u", async () => {
  const url = `http://${web}/staff`;
  const curl = async (...more: string[]): Promise<string> =>
    (await runTool(["curl", "-s", "-w", "%{http_code}", ...more, url])).stdout;
  expect(await curl("-u", "anna:opensesame")).toBe("ok\n200");
  expect(await curl("-u", "anna:wrong", "-o", "/dev/null")).toBe("401");
  expect(await curl("--anyauth", "-u", "anna:opensesame")).toBe("ok\n200");
});

test("another password is in force with the reload, and the old one no more", async () => {
  expect(await statusOf("/staff", basic("anna:opensesame"))).toBe(200);
  expect((await sluice.reload(yaml(bcrypt("changed")))).status).toBe(200);
  expect(await statusOf("/staff", basic("anna:opensesame"))).toBe(401);
  expect(await statusOf("/staff", basic("anna:changed"))).toBe(200);
});
