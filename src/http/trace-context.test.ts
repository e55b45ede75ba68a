// A trace that came goes on as it came if it is one; what is none is replaced, with its state.

import { describe, expect, test } from "bun:test";
import { Scratch } from "../base/bytes.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { requestHead, sentHead } from "./test-kit.ts";
import { addTraceContext } from "./trace-context.ts";

const id = Uint32Array.of(0x01234567, 0x89abcdef, 0, 0xffffffff);
const traceId = "0123456789abcdef00000000ffffffff";
const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

function sent(fields: string, words = id): string {
  const head = requestHead(`GET / HTTP/1.1\nHost: h${fields === "" ? "" : `\n${fields}`}\nA: 1`);
  const added = new Scratch(1);
  addTraceContext(added, head, words);
  return sentHead(head, added).replace("GET / HTTP/1.1\nHost: h\n", "").trimEnd();
}

describe("a well-formed traceparent goes on, with its state", () => {
  test.each([
    good,
    good.replace(/01$/, "00"),
    good.replace(/01$/, "ff"),
    good.replace(/^00/, "01"),
    good.replace(/^00/, "cc"),
    `${good.replace(/^00/, "01")}-what-comes-in-later-versions`,
  ])("%s", (value) => {
    const fields = `TraceParent: ${value}\nTraceState: a=b\ntracestate: c=d`;
    expect(sent(fields)).toBe(`${fields}\nA: 1`);
  });
});

describe("another is replaced, and the state goes", () => {
  test.each([
    "",
    "nonsense",
    good.slice(0, -1),
    `${good}0`,
    `${good}-more`,
    good.toUpperCase(),
    good.replace(/^00/, "ff"),
    good.replace(/^00/, "0g"),
    `${good.replace(/^00/, "01")}.more`,
    good.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0".repeat(32)),
    good.replace("00f067aa0ba902b7", "0".repeat(16)),
    good.replace("00f067aa0ba902b7", "00f067aa0ba902bG"),
    good.replace(/01$/, "0A"),
    good.replaceAll("-", "_"),
    `${good}\ntraceparent: ${good}`,
  ])("%j", (value) => {
    expect(sent(`traceparent: ${value}\ntracestate: a=b`)).toMatch(
      new RegExp(`^A: 1\\ntraceparent: 00-${traceId}-[0-9a-f]{16}-01$`),
    );
  });
  test("one that Connection names is not the client's to pass on", () => {
    const begun = sent(`Connection: traceparent\ntraceparent: ${good}\ntracestate: a=b`);
    expect(begun).not.toContain(good);
    expect(begun).not.toContain("tracestate");
    expect(begun).toContain(traceId);
  });
});

test("whatever is begun is well-formed, and its parts are never all zero", () => {
  const rng = seededRng(3);
  const words = [
    id,
    new Uint32Array(4),
    ...Array.from({ length: 200 }, () => Uint32Array.from({ length: 4 }, rng.u32)),
  ];
  const parents = new Set<string>();
  for (const each of words) {
    const text = /traceparent: (.*)/.exec(sent("", each))![1]!;
    parents.add(text.slice(36, 52));
    if (each.some((word) => word !== 0)) expect(sent(`traceparent: ${text}`)).toBe(`traceparent: ${text}\nA: 1`);
    expect(text).toMatch(/^00-[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01$/);
  }
  expect(parents.size).toBe(words.length);
});
