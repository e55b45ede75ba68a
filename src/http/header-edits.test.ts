// What a route may do to the fields of a message, and that it can never touch what frames it.

import { describe, expect, test } from "bun:test";
import { Scratch } from "../base/bytes.ts";
import type { Rng } from "../base/ports.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { fixedFields } from "../model/fixed-fields.ts";
import type { HeaderEdits } from "../model/route-config.ts";
import { seeRequest, seeResponse } from "../wire/h1/test-kit.ts";
import { compileEdits } from "./header-edits.ts";
import { factsOf, wildText, wildValue } from "./test-facts.ts";
import { requestHead, responseHead, sentHead, sentResponse } from "./test-kit.ts";

const lines = (map: Readonly<Record<string, string>>): { name: string; value: string }[] =>
  Object.entries(map).map(([name, value]) => ({ name, value }));

function edits(
  remove: readonly string[],
  set: Readonly<Record<string, string>> = {},
  add: Readonly<Record<string, string>> = {},
): HeaderEdits {
  return { remove, set: lines(set), add: lines(add) };
}

function scratch(text: string): Scratch {
  const out = new Scratch(1);
  out.putText(text);
  return out;
}

/** The request as the endpoint gets it; ours = lines of the proxy before the edits. */
function edited(text: string, config: HeaderEdits, ours = ""): string {
  const head = requestHead(text);
  const added = scratch(ours);
  compileEdits(config, "request")?.apply(head, added, factsOf(head, { source: "192.0.2.1" }));
  return sentHead(head, added);
}

function editedResponse(text: string, config: HeaderEdits, ours = ""): string {
  const head = responseHead(text);
  const added = scratch(ours);
  const compiled = compileEdits(config, "response")!;
  expect(compiled.needsFacts).toBe(false);
  compiled.apply(head, added, null);
  return sentResponse(head, added);
}

describe("requests", () => {
  const text = "GET /p HTTP/1.1\nX-A: 1\nHost: h\nx-a: 2\nX-B: 3\nX-Abc: 4";

  test("remove takes all fields of a name in any case, and no others", () => {
    expect(edited(text, edits(["X-a"]))).toBe("GET /p HTTP/1.1\nHost: h\nX-B: 3\nX-Abc: 4\n\n");
  });
  test("set replaces, add adds", () => {
    expect(edited(text, edits([], { "x-a": "new" }, { "x-b": "too" }))).toBe(
      "GET /p HTTP/1.1\nHost: h\nX-B: 3\nX-Abc: 4\nx-a: new\nx-b: too\n\n",
    );
  });
  test("removing comes first: what is set or added under the same name stays", () => {
    expect(edited(text, edits(["x-a", "x-b", "x-abc"], { "X-A": "s" }, { "X-B": "t" }))).toBe(
      "GET /p HTTP/1.1\nHost: h\nX-A: s\nX-B: t\n\n",
    );
  });
  test("values are of the request as it came, also of what is removed", () => {
    const config = edits(["x-b"], { "x-a": "{header.x-a}; {header.x-b}", "x-from": "{source} on {path}" });
    expect(edited(text, config)).toBe("GET /p HTTP/1.1\nHost: h\nX-Abc: 4\nx-a: 1, 2; 3\nx-from: 192.0.2.1 on /p\n\n");
  });
  test("a line with nothing in its holes is not sent, but what it replaces is gone", () => {
    expect(edited(text, edits([], { "x-a": "{tls.sni}", "x-b": "sni={tls.sni}", "x-c": "" }))).toBe(
      "GET /p HTTP/1.1\nHost: h\nX-Abc: 4\nx-b: sni=\nx-c: \n\n",
    );
  });
  test("the proxy's own lines can be replaced and removed", () => {
    const ours = "X-Forwarded-For: 1\r\nX-Real-IP: 2\r\nX-Forwarded-Proto: http\r\nVia: x\r\n";
    const config = edits(["x-real-ip", "via"], { "x-forwarded-proto": "https" });
    expect(edited("GET / HTTP/1.1\nHost: h", config, ours)).toBe(
      "GET / HTTP/1.1\nHost: h\nX-Forwarded-For: 1\nx-forwarded-proto: https\n\n",
    );
  });
  test("a name with dashes stands for its spellings with underscores, not the other way round", () => {
    const sneaky = "GET / HTTP/1.1\nHost: h\nX_User: root\nx-USER: root\nX_user_: a";
    expect(edited(sneaky, edits([], { "x-user": "anna" }))).toBe(
      "GET / HTTP/1.1\nHost: h\nX_user_: a\nx-user: anna\n\n",
    );
    expect(edited(sneaky, edits(["x_user"]))).toBe("GET / HTTP/1.1\nHost: h\nx-USER: root\nX_user_: a\n\n");
  });
  test("names whose lengths differ by a multiple of 32 are not taken for each other", () => {
    const long = `x-${"a".repeat(33)}`;
    expect(edited(`GET / HTTP/1.1\nHost: h\n${long}: 1\nX-A: 2`, edits(["x-a"]))).toContain(long);
    expect(edited(`GET / HTTP/1.1\nHost: h\n${long}: 1\nX-A: 2`, edits([long]))).not.toContain(long);
  });
});

describe("responses", () => {
  test("all edits, without facts if there are no holes", () => {
    const config = edits(["Server"], { "strict-transport-security": "max-age=1" }, { "set-cookie": "b=2" });
    const text = "HTTP/1.1 200 OK\nSERVER: x\nSet-Cookie: a=1\nStrict-Transport-Security: 0\nX_Server: s";
    expect(editedResponse(`${text}\nContent-Length: 0`, config, "Via: x\r\n")).toBe(
      "HTTP/1.1 200 OK\nSet-Cookie: a=1\nX_Server: s\nContent-Length: 0\nVia: x\n" +
        "strict-transport-security: max-age=1\nset-cookie: b=2\n\n",
    );
  });
  test("the proxy's own lines can be removed", () => {
    expect(editedResponse("HTTP/1.1 204 x\nA: 1", edits(["via"]), "Via: x\r\nB: 2\r\n")).toBe(
      "HTTP/1.1 204 x\nA: 1\nB: 2\n\n",
    );
  });
});

test("nothing to do is null", () => {
  expect(compileEdits(edits([]), "request")).toBeNull();
  expect(compileEdits(edits(["host", "Connection"], { "content-length": "1" }, { TE: "x" }), "request")).toBeNull();
});

const edible = [...fixedFields, "x-a", "x-b", "cookie", "accept", "x-forwarded-for"];
const holes = [
  "{source}",
  "{header.x-a}",
  "{path}",
  "{cookie.a}",
  "{query.a}",
  "{tls.sni}",
  " ",
  "text",
  "\r\nInjected: x",
];

function randomEdits(rng: Rng): HeaderEdits {
  const name = (): string => {
    const each = edible[rng.below(edible.length)]!;
    return rng.below(2) === 0 ? each : each.toUpperCase();
  };
  const value = (): string => Array.from({ length: rng.below(4) }, () => holes[rng.below(holes.length)]!).join("");
  const some = <T>(make: () => T): T[] => Array.from({ length: rng.below(5) }, make);
  const line = (): { name: string; value: string } => ({ name: name(), value: value() });
  return { remove: some(name), set: some(line), add: some(line) };
}

test("no edit and no value changes what frames a message, or adds a line of its own", () => {
  const seed = 31;
  const rng = seededRng(seed);
  const framings = ["Content-Length: 5", "Transfer-Encoding: chunked", "Connection: close, x-a", "X-Q: 1"];
  const wanted = (name: string): boolean => fixedFields.has(name.toLowerCase());
  for (let round = 0; round < 1500; round++) {
    const fields = [
      `X-A: ${wildValue(rng, 9)}`,
      `Cookie: a=${wildValue(rng, 9)}`,
      "Expect: 100-continue",
      "TE: trailers",
    ]
      .concat(framings[rng.below(framings.length)]!)
      .filter(() => rng.below(4) > 0);
    const config = randomEdits(rng);
    const where = `seed ${seed}, round ${round}: ${JSON.stringify([config, fields])}`;
    const text = `PUT /p?a=b HTTP/1.1\n${["Host: h", ...fields].join("\n")}`;
    const head = requestHead(text);
    const facts = factsOf(head, { source: wildText(rng, 12), "tls.sni": wildText(rng, 12) });
    const plain = seeRequest(sentHead(requestHead(text), scratch("")).replaceAll("\n", "\r\n"));
    const added = scratch("X-Forwarded-For: 1\r\nX-B: 1\r\n");
    const compiled = compileEdits(config, "request");
    compiled?.apply(head, added, facts);
    const after = seeRequest(sentHead(head, added).replaceAll("\n", "\r\n"));
    const frame = (seen: typeof after): string =>
      JSON.stringify([seen.verdict, seen.host, seen.target, seen.bodyLength, seen.flags]) +
      seen.fields.filter((f) => wanted(f.name)).map((f) => `${f.name}:${f.value}`);
    if (after.verdict !== "ok" || frame(plain) !== frame(after)) throw new Error(where);
    if (after.fields.some((field) => field.name === "Injected" || field.name.startsWith("Set-")))
      throw new Error(where);
    const other = ["HTTP/1.1 200 OK", ...fields].join("\n");
    const answer = responseHead(other);
    const more = scratch("");
    compileEdits(config, "response")?.apply(answer, more, facts);
    const seen = seeResponse(sentResponse(answer, more).replaceAll("\n", "\r\n"));
    if (seen.verdict !== "ok" || (answer.bodyLength >= 0 && seen.bodyLength !== answer.bodyLength))
      throw new Error(where);
    if (seen.fields.some((field) => field.name === "Injected")) throw new Error(where);
  }
});
