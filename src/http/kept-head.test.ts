// A kept head must not depend on memory that the network takes back after onData.

import { expect, test } from "bun:test";
import { latin1Text } from "../base/bytes.ts";
import { comesBack, lend } from "../base/lending.ts";
import { parseRequest } from "../wire/h1/parse.ts";
import { Head } from "../wire/head.ts";
import { KeptHead } from "./kept-head.ts";

test.each([
  ["alone in a small receive", 0, 0, 0],
  ["alone in a long receive", 20_000, 0, 0],
  ["before a long body", 0, 40_000, 0],
  ["behind the long body of another request", 0, 0, 40_000],
])("%s", (_, field, behind, before) => {
  const text = `GET /kept HTTP/1.1\r\nHost: h\r\n${field === 0 ? "" : `A: ${"a".repeat(field)}\r\n`}\r\n`;
  // As sys/ does it: a Buffer of its own, whose memory is gone after onData unless somebody has said keep().
  const received = Buffer.from(new ArrayBuffer(before + text.length + behind));
  received.write(text, before, "latin1");
  const head = new Head(10);
  const kept = new KeptHead();
  lend(received);
  expect(parseRequest(received, before, received.length, head, 65_536, 10)).toBe(before + text.length);
  kept.keep(head);
  if (comesBack()) received.buffer.transfer(0);
  const again = kept.again();
  expect(latin1Text(again.bytes, again.start, again.end)).toBe(text);
  expect(latin1Text(again.bytes, again.targetStart, again.targetEnd)).toBe("/kept");
});
