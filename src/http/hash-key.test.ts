// What is hashed for each kind of key, and that a request without the key has no hash.

import { expect, test } from "bun:test";
import { hashText } from "../base/hash.ts";
import { hashOf } from "./hash-key.ts";
import { requestHead } from "./test-kit.ts";

const head = requestHead(
  "GET /a/b?x=1&user=joe&y=2 HTTP/1.1\nHost: h\nX-User: Anna\nCookie: sid=first; other=2\nCookie: late=9",
);

test.each([
  ["source", "", "192.0.2.1"],
  ["path", "", "/a/b"],
  ["uri", "", "/a/b?x=1&user=joe&y=2"],
  ["header", "x-user", "Anna"],
  ["cookie", "sid", "first"],
  ["cookie", "other", "2"],
  ["cookie", "late", "9"],
  ["query", "user", "joe"],
  ["query", "x", "1"],
  ["query", "y", "2"],
] as const)("%s %s", (from, name, text) => {
  expect(hashOf({ from, name }, head, "192.0.2.1")).toBe(hashText(text));
});

// All on one endpoint would be a hot spot: 0 makes the balancers take turns.
test.each([
  ["header", "x-none"],
  ["cookie", "id"],
  ["query", "use"],
] as const)("a request without the %s %s has no hash", (from, name) => {
  expect(hashOf({ from, name }, head, "192.0.2.1")).toBe(0);
});

test("neither has a target without a query, or a client on a unix socket", () => {
  expect(hashOf({ from: "query", name: "a" }, requestHead("GET /a HTTP/1.1\nHost: h"), "")).toBe(0);
  expect(hashOf({ from: "source", name: "" }, head, "unix:")).toBe(0);
});
