// The command explain: what it prints for people and for programs, its exit codes, and mistakes on its command line.
// Asking a running instance: test/scenario/explain.test.ts.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Explanation } from "../explain/explanation.ts";
import { command } from "./explain.ts";

let dir = "";
let file = "";

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "sluice-explain-"));
  file = join(dir, "my.yaml");
  writeFileSync(
    file,
    `listeners:
  web:
    bind: 0.0.0.0:80
    routes:
      - { name: api, match: { host: api.test, method: GET }, forward: app, access: { deny: 10.0.0.0/8 },
          requestHeaders: { set: { x-a: "{source}" }, remove: [cookie] },
          responseHeaders: { set: { x-b: "1" }, remove: [server] } }
      - { match: { path: /old }, redirect: /new }
      - { match: { path: /gone }, respond: { status: 410, body: "it is gone" } }
      - { match: { path: /split }, forward: [{ pool: app, weight: 3 }, { pool: canary }],
          requestHeaders: { set: { x-pool: "{pool}" } } }
pools:
  app: { endpoints: ["10.0.0.1:80", { address: "10.0.0.2:80", id: b }, { address: "10.0.0.3:80", admin: drain }] }
  canary: { endpoints: [{ address: "10.0.1.1:80", admin: maint }] }
`,
  );
});

afterAll(() => rmSync(dir, { recursive: true }));

async function run(
  args: readonly string[],
  color = false,
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let out = "";
  let err = "";
  const io = { out: (text: string) => void (out += text), err: (text: string) => void (err += text) };
  const code = await command.run(args, { ...io, color, env: {}, cwd: dir });
  return { code, out, err };
}

describe("text", () => {
  test("a request that is forwarded", async () => {
    const args = [
      "GET",
      "http://api.test/x/../y?z",
      "-H",
      "Cookie: a=1",
      "-HAccept: */*",
      "--source",
      "192.0.2.7",
      file,
    ];
    const { code, out, err } = await run(args);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toBe(`request    GET http://api.test/x/../y?z, from 192.0.2.7
listener   web
path       /y?z (in its normal form)
route      api  takes it
           3 routes behind it not looked at
access     192.0.2.7 is let in
forward    to pool app
endpoint   one of 10.0.0.1:80, b (10.0.0.2:80): least-connections
           not 10.0.0.3:80: operator: drain
sends      GET /y?z
           Host: api.test
           Accept: */*
         + X-Forwarded-For: 192.0.2.7
         + X-Real-IP: 192.0.2.7
         + X-Forwarded-Proto: http
         + X-Forwarded-Port: 80
         + X-Forwarded-Host: api.test
         + traceparent: (new)
         + X-Request-Id: (new)
         + x-a: 192.0.2.7
         - Cookie: a=1
answer   - server
         - x-b
         + x-b: 1
`);
  });

  test("a redirect, a fixed answer, a refusal", async () => {
    expect((await run(["/old", file])).out).toContain("\nredirect   302 to /new\n");
    const gone = await run(["http://h/gone", file]);
    expect(gone.code).toBe(0);
    expect(gone.out).toContain("\nanswer     410\n");
    expect(gone.out).toEndWith("\nbody       it is gone\n");
    const refused = await run(["http://api.test/", "--source=10.0.0.1", file]);
    expect(refused.code).toBe(1);
    expect(refused.out).toContain("\naccess     10.0.0.1 is not let in\nanswer     403: its address is not let in\n");
    const lost = await run(["POST", "http://api.test/", file]);
    expect(lost.code).toBe(1);
    expect(lost.out).toContain(
      '\nroute      api  method is "POST", not "GET"\n           1    path is "/", not "/old"\n',
    );
    expect(lost.out).toEndWith("\nanswer     404: no route takes it\n");
  });

  test("a weighted forward with a pool that nobody serves", async () => {
    const { code, out } = await run(["http://h/split", file]);
    expect(code).toBe(0);
    const words = out.replaceAll(/ +/g, " ");
    expect(words).toContain("\nforward 75% to pool app\n");
    expect(words).toContain("\nforward 25% to pool canary\n 503: no endpoint of pool canary takes requests\n");
    expect(words).toContain("\nendpoint not 10.0.1.1:80: operator: maint\n");
    expect(words).toContain("\n + x-pool: app\n");
  });

  test("colours only where they are wanted, and no control bytes", async () => {
    const escape = String.fromCodePoint(27);
    const plain = await run(["http://h/x", "-H", `x-a: ${escape}[31m`, file]);
    expect([plain.code, plain.out]).toEqual([2, ""]);
    expect((await run(["http://api.test/", file], true)).out).toContain(`${escape}[32m`);
    expect((await run(["http://api.test/", file])).out).not.toContain(escape);
  });
});

test("--json", async () => {
  const { code, out } = await run(["--json", "http://api.test/", file]);
  expect(code).toBe(0);
  const explanation = JSON.parse(out) as Explanation;
  expect(explanation).toMatchObject({ listener: "web", route: "api", outcome: { kind: "forward" } });
});

describe("mistakes", () => {
  test.each<[readonly string[], string]>([
    [[], "name a URL, or a path"],
    [["GET"], "name a URL, or a path"],
    [["GET", "api.test"], "expected a URL such as"],
    [["/a", "/b"], "unexpected argument /b"],
    [["/a", "-H", "nothing"], "--header must be 'NAME: VALUE', not \"nothing\""],
    [["/a", "--source", "x"], '"x" is not an IP address'],
    [["/a", "--listener", "wbe"], 'there is no listener called "wbe"; did you mean web?; name one with --listener'],
    [["/a", "--running"], "either a file or a running instance"],
  ])("%p", async (args, problem) => {
    const words = args.slice(0, 2).some((word) => word.startsWith("/")) ? [args[0]!, file, ...args.slice(1)] : args;
    const { code, out, err } = await run(words);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain(problem);
    expect(err).toContain("usage: sluice explain");
  });

  test("files that cannot be read, or have mistakes", async () => {
    const none = await run(["/a", join(dir, "none.yaml")]);
    expect([none.code, none.err]).toEqual([1, expect.stringContaining("none.yaml")]);
    const wrong = join(dir, "wrong.yaml");
    writeFileSync(wrong, "listeners: 1\n");
    expect((await run(["/a", wrong])).err).toContain("wrong.yaml: 1 error");
  });
});
