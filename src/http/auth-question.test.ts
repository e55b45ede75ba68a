// What an authentication service is told: our own word about the client, never the client's; and where answers are
// remembered nothing but what they are remembered by.

import { describe, expect, test } from "bun:test";
import { latin1Text, Scratch } from "../base/bytes.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { defaultForwardAuth } from "../model/policy-defaults.ts";
import type { ForwardAuthConfig } from "../model/route-config.ts";
import { compilePathRules } from "../route/path.ts";
import { parseRequest } from "../wire/h1/parse.ts";
import { FIELD_DROPPED, FIELD_ID, Head } from "../wire/head.ts";
import { AuthQuestion } from "./auth-question.ts";
import { factsOf, wildTarget, wildValue } from "./test-facts.ts";
import { requestHead } from "./test-kit.ts";

const asked = { source: "192.0.2.7", scheme: "https", port: "443", requestId: "id1" } as const;
const out = new Scratch(64);

function ask(change: Partial<ForwardAuthConfig>, text: string, known: object = asked): [string, string] {
  const config = { pool: "auth", path: "/verify", ...defaultForwardAuth, ...change };
  const keyed = new AuthQuestion(config, "auth").put(out, factsOf(requestHead(text), known));
  const whole = latin1Text(out.bytes, 0, out.length).replaceAll("\r\n", "\n");
  return [whole, latin1Text(out.bytes, 0, keyed).replaceAll("\r\n", "\n")];
}

describe("the facts", () => {
  test("in the words of others, and the client's fields behind them", () => {
    const [text] = ask({}, "POST /a/b?c=d HTTP/1.1\nHost: App.example:8443\nCookie: x=1\nUser-Agent: curl");
    expect(text).toBe(
      "GET /verify HTTP/1.1\nHost: App.example:8443\nX-Forwarded-Method: POST\n" +
        "X-Forwarded-Proto: https\nX-Forwarded-For: 192.0.2.7\nX-Forwarded-Port: 443\n" +
        "X-Forwarded-Host: App.example:8443\nX-Forwarded-Uri: /a/b?c=d\nCookie: x=1\nUser-Agent: curl\n" +
        "X-Original-Method: POST\nX-Real-IP: 192.0.2.7\nX-Original-URI: /a/b?c=d\n" +
        "X-Original-URL: https://App.example:8443/a/b?c=d\nX-Request-Id: id1\n\n",
    );
  });

  test("that are not known are left out; a client without Host is asked about under the pool's name", () => {
    const [text] = ask({}, "GET / HTTP/1.0\nX-A: 1", {});
    expect(text).toBe(
      "GET /verify HTTP/1.1\nHost: auth\nX-Forwarded-Method: GET\nX-Forwarded-Uri: /\nX-A: 1\n" +
        "X-Original-Method: GET\nX-Original-URI: /\nX-Original-URL: ://auth/\n\n",
    );
  });

  test("are of the path as it is matched and forwarded, not as it was disguised", () => {
    const rules = compilePathRules({ mode: "normalize", slashes: "merge", encodedSlashes: "refuse" });
    const facts = factsOf(requestHead("GET /public/..//%61dmin?x HTTP/1.1\nHost: a"), asked, null, rules);
    new AuthQuestion({ pool: "auth", path: "/verify?u={uri}", ...defaultForwardAuth }, "auth").put(out, facts);
    const text = latin1Text(out.bytes, 0, out.length);
    expect(text).toContain("GET /verify?u=/admin?x HTTP/1.1\r\n");
    expect(text).toContain("X-Forwarded-Uri: /admin?x\r\n");
    expect(text).not.toContain("public");
  });

  test("a question is always about a path", () => {
    for (const path of ["{path}", "{uri}"])
      expect(ask({ path }, "OPTIONS * HTTP/1.1\nHost: a")[0]).toStartWith("GET /* ");
    expect(ask({ path: "{uri}" }, "GET /a?b HTTP/1.1\nHost: a")[0]).toStartWith("GET /a?b HTTP/1.1\n");
  });
});

describe("the client's fields", () => {
  const spoofed = [
    "X-Forwarded-For: 10.0.0.1",
    "x-forwarded_uri: /open",
    "X_Forwarded_Method: GET",
    "X-Original-URL: https://a/open",
    "X-Original-Uri: /open",
    "X-Original-Method: GET",
    "X-Forwarded-Host: other",
    "X-Forwarded-Proto: gopher",
    "X-Forwarded-Port: 1",
    "X-Real-Ip: 10.0.0.1",
    "X-Request-Id: theirs",
    "Forwarded: for=10.0.0.1",
  ];
  const framing = [
    "Content-Length: 5",
    "Expect: 100-continue",
    "Trailer: x",
    "Connection: x-hop",
    "X-Hop: 1",
    "TE: trailers",
  ];
  const ofBody = ["Content-Type: text/plain", "Content-Encoding: gzip", "If-None-Match: *", "Range: bytes=0-1"];
  const names = (lines: readonly string[]): string[] => lines.map((line) => line.split(":")[0]!.toLowerCase());

  test("that say what only we may say, frame, or describe a body are not sent", () => {
    const [text] = ask({}, ["POST /a HTTP/1.1\nHost: a", ...spoofed, ...framing, ...ofBody, "X-Kept: 1"].join("\n"));
    for (const line of [...spoofed, ...framing, ...ofBody])
      expect(text.toLowerCase()).not.toContain(line.toLowerCase());
    expect(text).toContain("\nX-Kept: 1\nX-Original-Method: POST\n");
  });

  test("of a list alone, and what only we may say not even then", () => {
    const listed = names([...spoofed, ...framing]);
    const others = ["Content-Type: x", "X-Other: 1", "Cookie: c"];
    const [text] = ask(
      { requestHeaders: [...listed, "content-type", "cookie"] },
      ["POST /a HTTP/1.1\nHost: a", ...spoofed, ...framing, ...others].join("\n"),
    );
    const said = text.toLowerCase();
    for (const line of [...spoofed, ...framing]) expect(said).not.toContain(line.toLowerCase());
    expect(text).toContain("\nContent-Type: x\nCookie: c\nX-Original-Method: POST\n");
    expect(text).not.toContain("X-Other");
  });

  test("that were dropped before are not sent", () => {
    const facts = factsOf(requestHead("GET / HTTP/1.1\nAuthorization: Basic x\nHost: a"), asked);
    facts.head.fields[FIELD_ID]! |= FIELD_DROPPED;
    new AuthQuestion({ pool: "auth", path: "/", ...defaultForwardAuth }, "auth").put(out, facts);
    expect(latin1Text(out.bytes, 0, out.length)).not.toContain("Authorization");
  });
});

describe("with a cache", () => {
  const cached = { cacheMs: 1000 };
  const head = (uri: string, more = ""): string => `GET ${uri} HTTP/1.1\nHost: a\nCookie: c=1\nX-Key: k${more}`;

  test("nothing is told that is not part of the key", () => {
    const [text, key] = ask(cached, head("/a"));
    expect(text).toBe(`${key}X-Original-Method: GET\nX-Real-IP: 192.0.2.7\nX-Request-Id: id1\n\n`);
    expect(key).toContain("\nCookie: c=1\n");
    for (const untold of ["/a", "X-Key", "Uri", "URI", "URL"]) expect(text).not.toContain(untold);
    const [, named] = ask({ ...cached, requestHeaders: ["x-key"] }, head("/a"));
    expect(named).toEndWith("\nCookie: c=1\nX-Key: k\n");
  });

  test("the request's URI is told if the path of the question has it", () => {
    const [text, key] = ask({ ...cached, path: "/verify?u={uri}" }, head("/a"));
    expect(text).toContain("X-Forwarded-Uri: /a\n");
    expect(key).toContain("GET /verify?u=/a HTTP/1.1\n");
    expect(ask({ ...cached, path: "/verify{path}" }, head("/a"))[0]).not.toContain("Uri");
  });

  test("requests that differ in what is told have other keys, all others the same", () => {
    const keyOf = (text: string, known: object = asked): string => ask(cached, text, known)[1];
    const key = keyOf(head("/a"));
    expect(keyOf(head("/b", "1\nX-More: 1"), { ...asked, requestId: "id2" })).toBe(key);
    for (const other of [
      head("/a").replace("c=1", "c=2"),
      head("/a").replace("GET", "POST"),
      head("/a").replace(": a", ": b"),
    ]) {
      expect(keyOf(other)).not.toBe(key);
    }
    for (const [fact, value] of [
      ["source", "192.0.2.8"],
      ["scheme", "http"],
      ["port", "80"],
    ] as const) {
      expect(keyOf(head("/a"), { ...asked, [fact]: value })).not.toBe(key);
    }
  });
});

test("the key tells apart what the path of the question cannot", () => {
  const keys = ["/a?x&y", "/a?x%26y", "/a%3Fx&y"].map((target) =>
    ask({ cacheMs: 1, path: "/v?u={uri}" }, `GET ${target} HTTP/1.1\nHost: a`),
  );
  expect(keys[0]![0]).toContain("GET /v?u=/a?x%26y ");
  expect(keys[1]![0]).toContain("GET /v?u=/a?x%26y ");
  expect(new Set(keys.map(([, key]) => key)).size).toBe(3);
});

test("whatever the client sends, it is one question with one of each of our fields", () => {
  const rng = seededRng(Number(process.env["SLUICE_SEED"] ?? 1));
  const again = new Head(200);
  const ownNames = ["host", "x-forwarded-method", "x-forwarded-uri", "x-original-url", "x-real-ip", "x-request-id"];
  for (let k = 0; k < 2000; k++) {
    const target = `/${wildTarget(rng, rng.below(40))}`;
    const value = wildValue(rng, rng.below(40));
    const head = requestHead(
      `GET ${target} HTTP/1.1\nHost: a\nX-Any: ${value}\nX-Forwarded-Uri: ${value}\nCookie: ${value}`,
    );
    const path = ["/v?u={uri}", "{uri}", "/v/{header.x-any}?{query}&c={cookie.a}", "/v{path}"][k % 4]!;
    const config = { pool: "auth", path, ...defaultForwardAuth, cacheMs: k & 4 };
    new AuthQuestion(config, "auth").put(out, factsOf(head, { ...asked, requestId: wildValue(rng, 9) }));
    const after = parseRequest(out.bytes, 0, out.length, again, out.length, 200);
    expect([target, value, path, after]).toEqual([target, value, path, out.length]);
    expect([again.method, again.bodyLength]).toEqual([1, 0]);
    const lines = latin1Text(out.bytes, 0, out.length).toLowerCase().split("\r\n");
    for (const name of ownNames) {
      const count = lines.filter((line) => line.startsWith(`${name}:`)).length;
      expect(count).toBeLessThanOrEqual(1);
    }
  }
});
