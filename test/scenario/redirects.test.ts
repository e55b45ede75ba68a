// The action redirect: its statuses, where it leads by which placeholder, what becomes of queries, and values that try
// to lead somewhere else.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { placeholders } from "../../src/model/placeholders.ts";
import { logged } from "./lib/access-log.ts";
import { connect, type RequestOptions, request } from "./lib/client.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";

let sluice: Sluice;

const statuses = [301, 302, 303, 307, 308] as const;
const routeOf = (status: number): string =>
  `      - { match: { path: /s${status} }, redirect: { to: /there, status: ${status} } }`;
/** Every placeholder that a redirect may have, as an argument behind the question mark. */
const names = placeholders
  .filter(({ known }) => known === "request")
  .map(({ name, argument }) => (argument === null ? name : `${name}.x-${argument}`));
const everything = [...names, "1", "2"].map((name) => `${name}={${name}}`).join("&");

beforeAll(async () => {
  sluice = await startSluice(`
workers: 1
listeners:
  web:
    bind: "127.0.0.1:0"
    trustedProxies: [127.0.0.2]
    routes:
${statuses.map(routeOf).join("\n")}
      - { match: { path: /short }, redirect: "/sso?return={uri}" }
      - { match: { path: "/secure/*" }, redirect: { to: "https://{hostname}{uri}", status: 308 } }
      - { match: { path: "/old/*" }, redirect: { to: "https://{host}/new{path}?{query}", status: 301 } }
      - { match: { path: "/lost/*" }, redirect: "https://{host}/new{path}" }
      - { match: { path: /more }, redirect: "/with?fixed=1&{query}" }
      - { match: { path: /one }, redirect: "/page?id={query.id}&then={query.then}" }
      - { match: { regex: "^/u/([0-9]+)(?:/(.+))?$" }, redirect: "/users/{1}/{2}" }
      - { name: all, match: { regex: "^/all/(\\\\w+)/(.*)$" }, redirect: "/a?${everything}" }
      - { match: { path: /to }, redirect: "/{query.to}" }
      - { match: { path: /away }, redirect: "{query.to}" }
      - { match: { path: /protocol-relative }, redirect: "//cdn.example{path}" }
      - { match: { path: /field }, redirect: "/p/{header.x-v}?q={header.x-v}" }
      - { match: { path: /braces }, redirect: "/{{path}" }
      - { match: { path: "/umlaut/*" }, redirect: "/gr%C3%BCn{path}" }
      - { match: { host: nobody }, respond: { body: no } }
  keep: { bind: "127.0.0.1:0", paths: { slashes: keep }, routes: [ { match: { prefix: / }, redirect: "{path}" } ] }
  raw: { bind: "127.0.0.1:0", routes: [ { redirect: "{uri}" } ] }
`);
});
afterAll(async () => {
  await sluice.kill();
});

async function locationOf(path: string, options: RequestOptions = {}, name = "web"): Promise<string | null> {
  const headers = options.headers ?? ["Host: Shop.Example:81"];
  return (await request(sluice.address(name), { path, ...options, headers })).header("location");
}

test("statuses, with a short body for people; HEAD gets the head of it", async () => {
  const reasons: Record<number, string> = {
    301: "Moved Permanently",
    302: "Found",
    303: "See Other",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
  };
  for (const status of statuses) {
    const text = `${status} ${reasons[status]}\n`;
    const get = await request(sluice.address("web"), { path: `/s${status}` });
    expect([get.status, get.reason, get.header("location"), get.text()]).toEqual([
      status,
      reasons[status]!,
      "/there",
      text,
    ]);
    expect(get.header("content-type")).toBe("text/plain");
    expect(Math.abs(Date.parse(get.header("date")!) - Date.now())).toBeLessThan(60_000);
    const head = await request(sluice.address("web"), { path: `/s${status}`, method: "HEAD" });
    expect([head.status, head.header("content-length"), head.body.length]).toEqual([status, String(text.length), 0]);
  }
});

test("the default is 302; what it cost is in the log", async () => {
  const { status, header } = await request(sluice.address("web"), { path: "/short?a=1" });
  expect([status, header("location")]).toEqual([302, "/sso?return=/short?a=1"]);
  const entry = await logged(sluice, ({ target }) => target === "/short?a=1");
  expect([entry.status, entry.termination, entry.pool, entry.attempts]).toEqual([302, "--", "", 0]);
});

test("hosts in small letters, with or without port; the query where the template says so", async () => {
  expect(await locationOf("/secure/a/b?c=d&e")).toBe("https://shop.example/secure/a/b?c=d&e");
  expect(await locationOf("/secure/a", { headers: ["Host: [2001:DB8::1]:81"] })).toBe("https://[2001:db8::1]/secure/a");
  expect(await locationOf("/old/x?c=d")).toBe("https://shop.example:81/new/old/x?c=d");
  expect(await locationOf("/old/x")).toBe("https://shop.example:81/new/old/x");
  expect(await locationOf("/old/x?")).toBe("https://shop.example:81/new/old/x");
  expect(await locationOf("/lost/x?c=d")).toBe("https://shop.example:81/new/lost/x");
  expect(await locationOf("/more?c=d&e=%26")).toBe("/with?fixed=1&c=d&e=%26");
  expect(await locationOf("/one?then=%2Fa%3Fb&id=5&id=6")).toBe("/page?id=5&then=%2Fa%3Fb");
  expect(await locationOf("http://Other.example/old/x?y", { headers: ["Host: shop.example"] })).toBe(
    "https://other.example/new/old/x?y",
  );
});

test("the path is that which was matched", async () => {
  expect(await locationOf("/x/../old//%7Ex/./y?z=/../")).toBe("https://shop.example:81/new/old/~x/y?z=/../");
});

test("captures of match.regex; those that took no part are empty", async () => {
  expect(await locationOf("/u/17")).toBe("/users/17/");
  expect(await locationOf("/u/17/posts/3?x")).toBe("/users/17/posts/3");
});

describe("every placeholder", () => {
  test("of a request from a trusted proxy", async () => {
    const headers = [
      "Host: Shop.Example:81",
      "X-Forwarded-For: 192.0.2.7",
      "X-Forwarded-Proto: https",
      "X-Request-Id: id-1",
      "X-Header: h/1",
      "Cookie: a=b; x-cookie=c",
    ];
    const path = "/all/first/second?x-query=q&y";
    const location = await locationOf(path, { from: "127.0.0.2", headers, method: "PATCH" });
    const given = new Map(new URL(location!, "http://x").search.slice(1).split("&").map(splitOnce));
    const { time, sourcePort, ...rest } = Object.fromEntries(given);
    expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(Number(sourcePort)).toBeGreaterThan(0);
    expect(rest).toEqual({
      source: "192.0.2.7",
      client: "192.0.2.7",
      requestId: "id-1",
      method: "PATCH",
      scheme: "https",
      host: "shop.example:81",
      hostname: "shop.example",
      port: sluice.address("web").split(":")[1]!,
      uri: "/all/first/second?x-query=q%26y", // its & is no separator here
      path: "/all/first/second",
      query: "x-query=q", // its & is one: as it came
      y: "",
      listener: "web",
      route: "all",
      "tls.sni": "",
      "tls.version": "",
      "tls.cipher": "",
      "query.x-query": "q",
      "header.x-header": "h/1",
      "cookie.x-cookie": "c",
      "1": "first",
      "2": "second",
    });
  });

  test("of one that brings nothing, and whose claims are not believed", async () => {
    const headers = ["Host: h", "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https"];
    const location = await locationOf("/all/a/", { headers });
    expect(location).toContain("source=127.0.0.1&client=127.0.0.1&");
    expect(location).toContain("&scheme=http&host=h&hostname=h&");
    expect(location).toContain("&query.x-query=&header.x-header=&cookie.x-cookie=&1=a&2=");
    expect(location).toMatch(/&requestId=[0-9a-f]{32}&/);
  });
});

function splitOnce(text: string): [string, string] {
  const at = text.indexOf("=");
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

describe("no value leaves its place", () => {
  test("what is no character of a URI is escaped, in arguments & # + as well", async () => {
    const value = 'a b"<>\\^`{|}\t&x=y#f+g\xe9%41';
    expect(await locationOf("/field", { headers: ["Host: h", `X-V: ${value}`] })).toBe(
      "/p/a%20b%22%3C%3E%5C%5E%60%7B%7C%7D%09&x=y#f+g%E9%41?q=a%20b%22%3C%3E%5C%5E%60%7B%7C%7D%09%26x=y%23f%2Bg%E9%41",
    );
  });

  test("no path of this host becomes the name of another", async () => {
    const evil = ["/evil.example", "//evil.example", "///evil.example", "/%2Fevil.example", "\\evil.example"];
    for (const to of evil) {
      for (const path of [`/to?to=${to}`, `/away?to=/${to}`]) {
        const location = await locationOf(path);
        expect([path, new URL(location!, "http://home.example/").host]).toEqual([path, "home.example"]);
      }
    }
    for (const path of ["//evil.example/x", "///evil.example", "//evil.example//y"]) {
      const location = await locationOf(path, {}, "keep");
      expect([path, new URL(location!, "http://home.example/").host]).toEqual([path, "home.example"]);
      expect(await locationOf(path, {}, "raw")).toStartWith("/evil.example");
    }
    expect(await locationOf("/protocol-relative")).toBe("//cdn.example/protocol-relative");
  });

  test("line ends stay escapes, and raw ones never get so far", async () => {
    const path = "/x%0d%0aSet-Cookie:%20a=b?c=%0D%0Ad";
    expect(await locationOf(path, {}, "raw")).toBe(path);
    using client = await connect(sluice.address("raw"));
    await client.send("GET /x\rLocation: y HTTP/1.1\r\nHost: h\r\n\r\n");
    expect((await client.read()).status).toBe(400);
  });

  test("bytes above ASCII are escaped, one by one", async () => {
    expect(await locationOf("/umlaut/\xfc")).toBe("/gr%C3%BCn/umlaut/%FC");
    expect(await locationOf("/\xfc?\xfc", {}, "raw")).toBe("/%FC?%FC");
    expect(await locationOf("/braces")).toBe("/%7Bpath%7D");
  });
});

test("without a Host there is no place to lead to: 400, unless none is wanted", async () => {
  for (const [path, expected] of [
    ["/secure/x", "400 null"],
    ["/old/x", "400 null"],
    ["/short", "302 /sso?return=/short"],
  ]) {
    using client = await connect(sluice.address("web"));
    await client.send(`GET ${path} HTTP/1.0\r\n\r\n`);
    const { status, header } = await client.read();
    expect(`${status} ${header("location")}`).toBe(expected!);
  }
  // Nor does a value that is empty lead anywhere.
  expect((await request(sluice.address("web"), { path: "/away" })).status).toBe(400);
});

test("a connection goes on behind a redirect, also behind a body that nobody read", async () => {
  using client = await connect(sluice.address("web"));
  const body = "x".repeat(10_000);
  for (let i = 0; i < 3; i++) {
    await client.send(`POST /s307 HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    expect((await client.read()).status).toBe(307);
    await client.send("POST /s308 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    expect((await client.read()).status).toBe(308);
  }
});
