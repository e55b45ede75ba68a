// Values found by the user's names: which one of several, and what only looks like it.

import { expect, test } from "bun:test";
import { latin1Text } from "../base/bytes.ts";
import { Head } from "./head.ts";
import { bytesOf, fieldsMax, headBytesMax } from "./h1/test-kit.ts";
import { parseRequest } from "./h1/parse.ts";
import { findArgument, findCookie, findHeader, isNamed, pathEnd, Span } from "./lookup.ts";

const bytes = bytesOf(
  "GET /a?x=1&&y=&xx=2&x=3&z HTTP/1.1\r\nHost: h\r\nX-A: one\r\nCookie: a=1;  b=2=3; c\r\nx-a: two\r\nX-AB: 3\r\n" +
    'cookie: a=4; D="q"\r\n\r\n',
);
const head = new Head(fieldsMax);
parseRequest(bytes, 0, bytes.length, head, headBytesMax, fieldsMax);
const found = new Span();
const text = (isFound: boolean): string | null => (isFound ? latin1Text(bytes, found.start, found.end) : null);

test("fields in any case, in order, whole names only", () => {
  expect(findHeader(head, "x-a")).toBe(1);
  expect(findHeader(head, "x-a", 2)).toBe(3);
  expect(findHeader(head, "x-a", 4)).toBe(-1);
  expect(findHeader(head, "x-ab")).toBe(4);
  expect(findHeader(head, "x")).toBe(-1);
  expect(isNamed(bytesOf("X-Q"), 0, 3, "x-q")).toBe(true);
  expect(isNamed(bytesOf("X-Q"), 0, 3, "x-q2")).toBe(false);
});

test.each([
  ["a", "1"],
  ["b", "2=3"],
  ["c", null],
  ["D", '"q"'],
  ["d", null],
  ["e", null],
])("cookie %s is %p", (name, value) => expect(text(findCookie(head, name, found))).toBe(value));

test("further cookies of a name are found behind the one before, also in another field", () => {
  expect(text(findCookie(head, "a", found))).toBe("1");
  expect(text(findCookie(head, "a", found, found.end))).toBe("4");
  expect(text(findCookie(head, "a", found, found.end))).toBeNull();
});

test.each([
  ["x", "1"],
  ["y", ""],
  ["xx", "2"],
  ["z", null],
  ["X", null],
  ["a", null],
])("query argument %s is %p", (name, value) => {
  const start = pathEnd(bytes, head.targetStart, head.targetEnd) + 1;
  expect(text(findArgument(bytes, start, head.targetEnd, name, found))).toBe(value);
});

test("a target without a query ends its path at its end, and has no arguments", () => {
  const plain = bytesOf("/a=b");
  expect(pathEnd(plain, 0, 4)).toBe(4);
  expect(findArgument(plain, 5, 4, "b", found)).toBe(false);
});
