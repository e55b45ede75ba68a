// Where clients are sent, and where values cannot send them.

import { describe, expect, test } from "bun:test";
import { Scratch } from "../base/bytes.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { Method } from "../wire/head.ts";
import { sendOwn } from "./own-answer.ts";
import { Redirect } from "./redirect.ts";
import { type AskedFact } from "./template.ts";
import { factsOf, wildTarget, wildText, wildValue } from "./test-facts.ts";
import { RecordingStream, requestHead } from "./test-kit.ts";

const wallMs = Date.UTC(2026, 10, 22, 12, 0, 0);

/** The whole answer as text, or null if there is none. */
function answerOf(
  to: string,
  request = "GET /a/b?x=1 HTTP/1.1\nHost: Shop.example:81",
  asked: Partial<Record<AskedFact, string>> = {},
  status: 301 | 308 = 301,
  method: Method = Method.Get,
): string | null {
  const redirect = new Redirect({ kind: "redirect", to, status });
  const head = redirect.assemble(method, factsOf(requestHead(request), asked), wallMs);
  if (head === null) return null;
  const client = new RecordingStream("192.0.2.1");
  sendOwn(client, new Scratch(8));
  expect(client.ended).toBe(true);
  return client.text;
}

function locationOf(...args: Parameters<typeof answerOf>): string | null {
  return /^Location: (.*)\r$/m.exec(answerOf(...args) ?? "")?.[1] ?? null;
}

test("the whole answer", () => {
  expect(answerOf("https://{host}/new{path}", undefined, {}, 308)).toBe(
    "HTTP/1.1 308 Permanent Redirect\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\n" +
      "Location: https://shop.example:81/new/a/b\r\nContent-Type: text/plain\r\nContent-Length: 23\r\n\r\n" +
      "308 Permanent Redirect\n",
  );
});

test("HEAD gets the head alone", () => {
  const text = answerOf("/x", "HEAD / HTTP/1.1\nHost: h", {}, 301, Method.Head);
  expect(text).toEndWith("\r\nContent-Length: 22\r\n\r\n");
});

test.each([
  ["https://{hostname}:8443{uri}", "https://shop.example:8443/a/b?x=1"],
  ["https://{host}{path}?{query}", "https://shop.example:81/a/b?x=1"],
  ["https://{host}{path}", "https://shop.example:81/a/b"],
  ["/new?from={uri}", "/new?from=/a/b?x=1"],
  ["//cdn.example{path}", "//cdn.example/a/b"],
  ["https://www.example/ö b", "https://www.example/%C3%B6%20b"],
  ["?", "?"],
])("%s leads to %s", (to, location) => expect(locationOf(to)).toBe(location));

test("an empty query leaves no question mark behind, unless it was written so", () => {
  const request = "GET /a HTTP/1.1\nHost: h";
  expect(locationOf("https://{host}{path}?{query}", request)).toBe("https://h/a");
  expect(locationOf("https://{host}{path}?", request)).toBe("https://h/a?");
});

describe("no value", () => {
  test("turns a path into a host", () => {
    const request = "GET //evil.example/%2e HTTP/1.1\nHost: h";
    expect(locationOf("{path}", request)).toBe("/evil.example/%2e");
    expect(locationOf("{uri}", request)).toBe("/evil.example/%2e");
    expect(locationOf("/{query.to}", "GET /?to=/evil.example HTTP/1.1\nHost: h")).toBe("/evil.example");
    expect(locationOf("/{query.to}", "GET /?to=\\evil.example HTTP/1.1\nHost: h")).toBe("/%5Cevil.example");
  });
  test("is missing where a host is wanted", () => {
    for (const to of ["https://{host}{path}", "https://{hostname}:8443/", "https://{host}?x", "{scheme}://{host}"]) {
      expect([to, answerOf(to, "GET /evil.example HTTP/1.0", { scheme: "http" })]).toEqual([to, null]);
    }
    expect(answerOf("{cookie.none}")).toBeNull();
  });
  test("ends the line or leaves the characters of a URI", () => {
    const seed = 8;
    const rng = seededRng(seed);
    const holes = [
      "{uri}",
      "{path}",
      "{query}",
      "{query.q}",
      "{header.q}",
      "{cookie.q}",
      "{tls.sni}",
      "{host}",
      "/",
      "?",
    ];
    for (let round = 0; round < 1000; round++) {
      const some = Array.from({ length: 3 }, () => holes[rng.below(holes.length)]!).join("");
      const to = some.startsWith("//") ? some.slice(1) : some;
      const request =
        `GET /${wildTarget(rng, rng.below(9))}?q=${wildTarget(rng, rng.below(9))} HTTP/1.1\nHost: h\n` +
        `Q: ${wildValue(rng, 9)}\nCookie: q=${wildValue(rng, 9)}`;
      const text = answerOf(to, request, { "tls.sni": wildText(rng, 9) });
      const fine =
        text === null || /^HTTP\/1.1 301 .*\r\nDate: .*\r\nLocation: [!#-;=?-[\]_a-z~]+\r\nContent-Type/.test(text);
      if (!fine) throw new Error(`seed ${seed}, round ${round}: ${JSON.stringify([to, request, text])}`);
      if (text !== null && /^Location: \/\//m.test(text))
        throw new Error(`seed ${seed}, round ${round}: ${to}: a host`);
    }
  });
});
