// Requests about which another service is asked first: what it is told, and what its answer comes to. What becomes of a
// request while it waits: forward-auth-waiting.test.ts. What is remembered: forward-auth-cache.test.ts.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { logged } from "./lib/access-log.ts";
import { connect, request, requestBytes, type RequestOptions } from "./lib/client.ts";
import { type Origin, startOrigin } from "./lib/origin.ts";
import { whenWhole } from "./lib/origin-behaviours.ts";
import { headerOf, type RecordedRequest } from "./lib/request-reader.ts";
import type { RawResponse } from "./lib/response-reader.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { openWebSocket } from "./lib/websocket-client.ts";
import { waitFor } from "./lib/wait.ts";

const [app, other, auth, nobody] = ["app", "other", "auth", "nobody"].map((name) => startOrigin({ name })) as [
  Origin,
  Origin,
  Origin,
  Origin,
];
let sluice: Sluice;
let web: string;
// bcrypt of "secret"
const password = await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 });

/** The answer that each path gives; those that are none are failures. */
const answers: Readonly<Record<string, readonly string[]>> = {
  yes: [
    "200",
    "X-User: joe",
    "x-roles: a",
    "X-Roles: b, c",
    "X-Other: 1",
    "Set-Cookie: a=1",
    "Content-Length: 2",
    "",
    "hi",
  ],
  "just-yes": ["204", "X-Other: 1", "", ""],
  chunked: ["202", "X-User: joe", "Transfer-Encoding: chunked", "", "2", "hi", "0", "", ""],
  401: ["401", 'WWW-Authenticate: Basic realm="x"', "www-authenticate: Bearer", "Content-Length: 5", "", "who?\n"],
  302: [
    "302",
    "Location: https://a.example/?b=%2F&c",
    "Set-Cookie: a=1",
    "Set-Cookie: b=2",
    "Content-Length: 0",
    "",
    "",
  ],
  403: [
    "403",
    "Transfer-Encoding: chunked",
    "Connection: X-Hop",
    "X-Hop: 1",
    "",
    "2",
    "no",
    "3",
    "!!\n",
    "0",
    "X-T: 1",
    "",
    "",
  ],
  304: ["304", 'ETag: "a"', "", ""],
  404: ["404", "Connection: close", "", "none\n"],
  429: ["429", "Retry-After: 3", "Content-Type: text/html", "Content-Length: 70000", "", "x".repeat(70_000)],
  500: ["500", "Content-Length: 5", "", "sorry"],
  503: ["503", "X-User: eve", "Content-Length: 0", "", ""],
};
const broken: Readonly<Record<string, string>> = { nonsense: "what?\r\n\r\n", cut: "HTTP/1.1 200 x\r\nContent-Le" };
const failures = ["500", "503", "nonsense", "cut", "silent", "reset"];

for (const [name, [status, ...lines]] of Object.entries(answers)) {
  auth.on(`/verify/${name}`, (exchange) => {
    exchange.send([`HTTP/1.1 ${status} x`, ...lines].join("\r\n"));
    if (lines.includes("Connection: close")) exchange.close();
    else exchange.done();
  });
}
for (const [name, text] of Object.entries(broken)) {
  auth.on(`/verify/${name}`, (exchange) => {
    exchange.send(text);
    exchange.close();
  });
}
auth.on("/verify/silent", () => {});
auth.on("/verify/reset", (exchange) => exchange.reset());

const ask = (path: string, more = ""): string =>
  `forwardAuth: { pool: auth, path: "/verify/${path}", copyHeaders: [x-user, X-Roles], timeout: 200ms${more} }`;
const ends = (...origins: readonly Origin[]): string => origins.map(({ address }) => `"${address}"`).join(", ");

beforeAll(async () => {
  await nobody.close();
  const cors = 'cors: { origins: ["https://app.example"], credentials: true }';
  const down = "forwardAuth: { pool: down, path: /verify, copyHeaders: [x-user] }";
  const say = ask("{query.say}");
  const routes: Readonly<Record<string, string>> = {
    lax: `forward: app, ${ask("{query.say}", ", onError: allow")}`,
    down: `forward: app, ${down}`,
    "down-lax": `forward: app, ${down.replace(" }", ", onError: allow }")}`,
    chosen: `forward: app, ${ask("yes?{method}{path}?{query.q}", ", requestHeaders: [cookie, x-a]")}`,
    uri: 'forward: app, forwardAuth: { pool: auth, path: "{uri}" }',
    moved: `redirect: { to: "https://x.example{uri}" }, ${say}`,
    fixed: `respond: { status: 418, body: "{path} {header.x-user}" }, ${say}`,
    cors: `forward: app, ${cors}, responseHeaders: { set: { X-Edit: "1" } }, ${say}`,
    password: `forward: app, basicAuth: { users: { joe: '${password}' }, userHeader: x-name }, ${say}`,
    limited: `forward: app, rateLimit: { requests: 1, per: 1h }, ${say}`,
    edited: `forward: app, requestHeaders: { set: { X-Roles: "{header.x-user}" } }, ${ask("yes")}`,
    again: `forward: two, retry: { attempts: 1, on: [503], budgetMin: 1000 }, ${ask("yes")}`,
    copied: `forward: app, mirror: copies, ${say}`,
    shift: "forward: app, forwardAuth: { pool: half, path: /verify/yes }",
  };
  sluice = await startSluice(`
workers: 2
listeners:
  web:
    bind: "127.0.0.1:0"
    trustedProxies: [127.0.0.9]
    routes:
${Object.entries(routes)
  .map(([host, route]) => `      - { match: { host: ${host} }, ${route} }\n`)
  .join("")}
      - { forward: app, ${say} }
pools:
  app: { endpoints: [${ends(app)}] }
  two: { balance: round-robin, passive: off, endpoints: [${ends(other, app)}] }
  copies: { endpoints: [${ends(other)}], passive: off }
  auth: { endpoints: [${ends(auth)}], passive: off }
  half: { balance: round-robin, passive: off, endpoints: [${ends(nobody, auth)}] }
  down: { endpoints: [${ends(nobody)}], passive: off }
`);
  web = sluice.address("web");
});
afterAll(async () => {
  await sluice.kill();
  for (const origin of [app, other, auth]) await origin.close();
});

let numbers = 0;

interface Seen {
  readonly response: RawResponse;
  readonly number: string;
  /** What the service was asked, and what the endpoint got; null = nothing. */
  readonly question: RecordedRequest | null;
  readonly forwarded: RecordedRequest | null;
}

function find(origin: Origin, number: string): RecordedRequest | null {
  return origin.requests().findLast((each) => headerOf(each, "x-request-id") === number) ?? null;
}

async function send(host: string, options: RequestOptions = {}): Promise<Seen> {
  const number = `request-${++numbers}`;
  const headers = [...(host === "" ? [] : [`Host: ${host}`]), `X-Request-Id: ${number}`, ...(options.headers ?? [])];
  const response = await request(web, { ...options, from: options.from ?? "127.0.0.9", headers });
  return { response, number, question: find(auth, number), forwarded: find(app, number) };
}

/** The fields of a name in any case and spelling. */
const values = (recorded: RecordedRequest | null, name: string): string[] =>
  recorded!.headers.filter(([each]) => each.toLowerCase().replaceAll("_", "-") === name).map(([, value]) => value);

const say = (what: string, more: Partial<RequestOptions> = {}): RequestOptions => ({
  path: `/echo?say=${what}`,
  ...more,
});

describe("the question", () => {
  test("is a GET that describes the request, without its body and conditions", async () => {
    const { question, forwarded } = await send("a.example:81", {
      method: "POST",
      path: "/x/../echo?say=yes&b=%2f",
      body: "hello",
      from: "127.0.0.9",
      headers: [
        "X-Forwarded-For: 192.0.2.7",
        "X-Forwarded-Uri: /public",
        "X_Original_URL: /public",
        "Forwarded: for=x",
        "Content-Type: text/plain",
        "If-None-Match: *",
        "Range: bytes=0-1",
        "Cookie: a=1",
        "Cookie: b=2",
        "Authorization: Bearer x",
        "Connection: X-Mine",
        "X-Mine: 1",
        "Accept: text/html",
      ],
    });
    const [first, ...lines] = question!.head.slice(0, -4).split("\r\n");
    expect(first).toBe("GET /verify/yes HTTP/1.1");
    expect(lines.filter((line) => !line.startsWith("X-Request-Id") && !line.startsWith("X-Forwarded-Port"))).toEqual([
      "Host: a.example:81",
      "X-Forwarded-Method: POST",
      "X-Forwarded-Proto: http",
      "X-Forwarded-For: 192.0.2.7",
      "X-Forwarded-Host: a.example:81",
      "X-Forwarded-Uri: /echo?say=yes&b=%2f",
      "Cookie: a=1",
      "Cookie: b=2",
      "Authorization: Bearer x",
      "Accept: text/html",
      "X-Original-Method: POST",
      "X-Real-IP: 192.0.2.7",
      "X-Original-URI: /echo?say=yes&b=%2f",
      "X-Original-URL: http://a.example:81/echo?say=yes&b=%2f",
    ]);
    expect(question!.bodyLength).toBe(0);
    expect(Buffer.from(forwarded!.body).toString()).toBe("hello");
  });

  test("placeholders in its path, and only the fields that are named", async () => {
    const fields = ["Cookie: a=1", "X-A: 2", "X-B: 3", "Authorization: x"];
    const { question } = await send("chosen", { path: "/echo/a%20b?q=1%262&r", headers: fields });
    expect(question!.target).toBe("/verify/yes?GET/echo/a%20b?1%262");
    expect(fields.map((line) => headerOf(question!, line.split(":")[0]!))).toEqual(["a=1", "2", undefined, undefined]);
    expect((await send("uri", { path: "/verify/yes?a=b" })).question!.target).toBe("/verify/yes?a=b");
  });

  test("an address that a stranger claims is not believed", async () => {
    const { question } = await send("a", say("yes", { from: "127.0.0.1", headers: ["X-Forwarded-For: 192.0.2.7"] }));
    expect(values(question, "x-forwarded-for")).toEqual(["127.0.0.1"]);
  });

  test("of a request of HTTP/1.0 without Host", async () => {
    using client = await connect(web);
    await client.send("GET /echo?say=yes HTTP/1.0\r\nX-Request-Id: old\r\n\r\n");
    expect((await client.read()).status).toBe(200);
    expect(values(find(auth, "old"), "host")).toEqual(["auth"]);
    expect(values(find(auth, "old"), "x-forwarded-host")).toEqual([]);
  });

  test("goes to another endpoint if one cannot be connected to", async () => {
    for (let i = 0; i < 4; i++) expect((await send("shift")).response.status).toBe(200);
  });
});

const spoofed = ["X-User: eve", "x_user: eve", "X-ROLES: admin", "X-Roles: root"];

describe("2xx: the request goes on", () => {
  test("with the fields of the answer, none of the client's of those names, and the rest of its own", async () => {
    for (const name of ["yes", "chunked"]) {
      const { forwarded, response } = await send("a", say(name, { headers: [...spoofed, "X-Users: 1"] }));
      expect(response.status).toBe(200);
      expect(values(forwarded, "x-user")).toEqual(["joe"]);
      expect(values(forwarded, "x-roles")).toEqual(name === "yes" ? ["a", "b, c"] : []);
      expect(values(forwarded, "x-users")).toEqual(["1"]);
      expect([values(forwarded, "x-other"), values(forwarded, "set-cookie"), response.header("set-cookie")]).toEqual([
        [],
        [],
        null,
      ]);
    }
  });

  test("without any of those fields, when the answer has none", async () => {
    const { forwarded } = await send("a", say("just-yes", { headers: spoofed }));
    expect([values(forwarded, "x-user"), values(forwarded, "x-roles")]).toEqual([[], []]);
  });

  test("edits of the route come afterwards, and speak of the request as it came", async () => {
    const { forwarded } = await send("edited", { path: "/echo", headers: ["X-User: eve"] });
    expect([values(forwarded, "x-user"), values(forwarded, "x-roles")]).toEqual([["joe"], ["eve"]]);
  });

  test("the same fields at the endpoint that a request is repeated at; nobody is asked again", async () => {
    other.on("/flaky", whenWhole(503));
    app.on("/flaky", whenWhole(204));
    const before = auth.stats().requests;
    for (let i = 0; i < 4; i++) {
      const { response, forwarded } = await send("again", { path: "/flaky", headers: spoofed });
      expect([response.status, values(forwarded, "x-user"), values(forwarded, "x-roles")]).toEqual([
        204,
        ["joe"],
        ["a", "b, c"],
      ]);
    }
    expect([auth.stats().requests - before, (other.stats().byPath["/flaky"] ?? 0) > 0]).toEqual([4, true]);
  });

  test("a mirror gets them, too", async () => {
    const { number, forwarded } = await send("copied", say("yes", { headers: spoofed }));
    const copy = await waitFor(() => find(other, number), { what: "the copy" });
    expect(copy.head).toBe(forwarded!.head);
    expect(values(copy, "x-user")).toEqual(["joe"]);
    await send("copied", say("401"));
    expect(other.requests().filter(({ target }) => target.includes("401"))).toEqual([]);
  });

  test("a WebSocket is opened, or refused", async () => {
    const before = auth.stats().requests;
    using socket = await openWebSocket(`ws://${web}/chat?say=yes`, { headers: { "X-User": "eve" } });
    expect(await socket.echo("hello")).toBe("hello");
    expect(values(app.last("/chat"), "x-user")).toEqual(["joe"]);
    expect(auth.requests().at(-1)!.head).not.toMatch(/^(upgrade|connection|sec-websocket-accept):/im);
    expect(openWebSocket(`ws://${web}/chat?say=401`)).rejects.toThrow("401");
    await waitFor(() => auth.stats().requests === before + 2, { what: "the second question" });
  });

  test("redirects and fixed answers come after it", async () => {
    const { response } = await send("moved", say("yes"));
    expect([response.status, response.header("location")]).toEqual([302, "https://x.example/echo?say=yes"]);
    const fixed = (await send("fixed", say("yes", { method: "POST", body: "x", headers: ["X-User: eve"] }))).response;
    expect([fixed.status, fixed.text()]).toEqual([418, "/echo eve"]);
    for (const host of ["moved", "fixed"]) expect((await send(host, say("401"))).response.status).toBe(401);
  });
});

describe("no: the client gets the service's answer", () => {
  /** Status, fields of the service's, and the body. */
  const wanted: Readonly<Record<string, readonly [fields: readonly string[], body: string]>> = {
    401: [['WWW-Authenticate: Basic realm="x"', "www-authenticate: Bearer", "Content-Length: 5"], "who?\n"],
    302: [["Location: https://a.example/?b=%2F&c", "Set-Cookie: a=1", "Set-Cookie: b=2", "Content-Length: 0"], ""],
    403: [["Content-Length: 5"], "no!!\n"],
    304: [['ETag: "a"'], ""],
    404: [["Content-Length: 5"], "none\n"],
    429: [["Retry-After: 3", "Content-Length: 0"], ""], // its body is too long
  };

  test.each(Object.entries(wanted))("%s", async (status, [fields, body]) => {
    const { response, forwarded } = await send("a", say(status));
    expect(response.status).toBe(Number(status));
    expect(response.headers.filter(([name]) => name !== "Date").map((line) => line.join(": "))).toEqual([...fields]);
    expect([response.text(), forwarded]).toEqual([body, null]);
    const head = await send("a", say(status, { method: "HEAD" }));
    expect([head.response.status, head.response.body.length]).toEqual([Number(status), 0]);
  });

  test("the connection goes on, also behind a request with a body", async () => {
    using client = await connect(web);
    for (const what of ["401", "302", "yes", "403", "404", "yes"]) {
      await client.send(requestBytes(web, say(what, { method: "POST", body: "some words" })));
      expect((await client.read()).status).toBe(what === "yes" ? 200 : Number(what));
    }
  });

  test("with the route's edits and CORS; preflights are answered without asking", async () => {
    const from = "Origin: https://app.example";
    const { response } = await send("cors", say("401", { headers: [from] }));
    expect([response.header("access-control-allow-origin"), response.header("x-edit")]).toEqual([
      "https://app.example",
      "1",
    ]);
    const preflight = await send("cors", {
      method: "OPTIONS",
      path: "/echo?say=401",
      headers: [from, "Access-Control-Request-Method: PUT"],
    });
    expect([preflight.response.status, preflight.question, preflight.forwarded]).toEqual([204, null, null]);
    expect((await send("cors", say("401", { method: "OPTIONS" }))).response.status).toBe(401);
    const failed = (await send("cors", say("500", { headers: [from] }))).response;
    expect([failed.status, failed.header("access-control-allow-origin")]).toEqual([503, "https://app.example"]);
  });

  test("in the log it is an answer like others", async () => {
    await send("a", say("401&log"));
    const entry = await logged(sluice, ({ target }) => target.endsWith("401&log"));
    expect([entry.status, entry.pool, entry.attempts, entry.termination]).toEqual([401, "", 0, "--"]);
  });
});

describe("the service fails", () => {
  test.each(failures)("%s: 503, or the request passes where that is wanted, without what it pretends", async (what) => {
    const { response, question, forwarded } = await send("a", say(what, { headers: spoofed }));
    expect([response.status, forwarded, question?.method]).toEqual([503, null, "GET"]);
    const lax = await send("lax", say(what, { headers: spoofed }));
    expect([lax.response.status, values(lax.forwarded, "x-user"), values(lax.forwarded, "x-roles")]).toEqual([
      200,
      [],
      [],
    ]);
  });

  test("nobody there", async () => {
    expect((await send("down", { headers: spoofed })).response.status).toBe(503);
    const lax = await send("down-lax", { headers: spoofed });
    expect([lax.response.status, values(lax.forwarded, "x-user")]).toEqual([200, []]);
  });

  test("what passes in that way does not change a No", async () => {
    for (const no of ["401", "302", "403", "429"])
      expect((await send("lax", say(no))).response.status).toBe(Number(no));
  });

  test("in the log", async () => {
    await send("a", say("500&log"));
    const entry = await logged(sluice, ({ target }) => target.endsWith("500&log"));
    expect([entry.status, entry.attempts]).toEqual([503, 0]);
  });
});

describe("who is refused before costs the service nothing", () => {
  test("a wrong password; the right one is not passed on", async () => {
    const basic = (user: string): string => `Authorization: Basic ${Buffer.from(user).toString("base64")}`;
    const wrong = await send("password", say("yes", { headers: [basic("joe:wrong")] }));
    expect([wrong.response.status, wrong.question]).toEqual([401, null]);
    // The first time it is compared, the second time it is known.
    for (let i = 0; i < 2; i++) {
      const right = await send("password", say("yes", { headers: [basic("joe:secret"), "X-Name: eve"] }));
      expect([right.response.status, values(right.question, "authorization")]).toEqual([200, []]);
      expect([values(right.question, "x-name"), values(right.forwarded, "x-name")]).toEqual([[], ["joe"]]);
      expect([values(right.forwarded, "authorization"), values(right.forwarded, "x-user")]).toEqual([[], ["joe"]]);
    }
  });

  test("a rate limit", async () => {
    expect((await send("limited", say("yes"))).response.status).toBe(200);
    const second = await send("limited", say("yes"));
    expect([second.response.status, second.question]).toEqual([429, null]);
  });

  test("nothing went wrong anywhere", async () => {
    const metrics = await sluice.metrics();
    expect(metrics.sum("sluice_worker_exceptions_total")).toBe(0);
    expect([app, other, auth].flatMap((origin) => origin.stats().errors)).toEqual([]);
    const idle = async (): Promise<boolean> => (await sluice.metrics()).sum("sluice_endpoint_active_requests") === 0;
    await waitFor(idle, { what: "nothing in progress" });
  });
});
