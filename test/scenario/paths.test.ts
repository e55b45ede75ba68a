// Paths as endpoints really see them: the tables of docs/guide/routing.md in every mode, the other forms of a target,
// and spellings that are to get around a route that refuses.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { seededRng } from "../../src/base/seeded-rng.ts";
import { lacks } from "../support/needs.ts";
import { connect, request } from "./lib/client.ts";
import { startOrigin } from "./lib/origin.ts";
import { type Sluice, startSluice } from "./lib/sluice.ts";
import { runTool } from "./lib/tool.ts";

const origin = startOrigin({ name: "a" });
let sluice: Sluice;

const listener = (name: string, options: string, routes = `[ { match: { prefix: / }, forward: app } ]`): string =>
  `  ${name}: { bind: "127.0.0.1:0", paths: { ${options} }, routes: ${routes} }`;
const guarded = `[ { match: { prefix: /admin }, respond: { status: 403 } }, { forward: app } ]`;

beforeAll(async () => {
  sluice = await startSluice(`
workers: 1
accessLog: off
listeners:
${listener("normalize", "mode: normalize")}
${listener("strict", "mode: strict")}
${listener("raw", "mode: raw, slashes: keep, encodedSlashes: keep")}
${listener("keep", "slashes: keep")}
${listener("refuse", "slashes: refuse")}
${listener("encodedKeep", "encodedSlashes: keep")}
${listener("guarded", "mode: normalize", guarded)}
${listener("guardedStrictly", "mode: strict", guarded)}
  everything: { bind: "127.0.0.1:0", forward: app }
  hosts: { bind: "127.0.0.1:0", routes: [ { match: { host: a, query: { x: true } }, forward: app } ] }
  rewritten: { bind: "127.0.0.1:0", routes: [ { forward: app, rewrite: { path: "^/never", to: / } } ] }
pools: { app: { endpoints: ["${origin.address}"] } }
`);
});
afterAll(async () => {
  await sluice.kill();
  await origin.close();
});

let count = 0;

/** The target that the endpoint gets for this one, or the status of our refusal. */
async function seen(name: string, target: string, method = "GET"): Promise<string> {
  const number = String(++count);
  const headers = ["Host: a", `X-Number: ${number}`];
  const { status, header } = await request(sluice.address(name), { method, path: target, headers });
  const record = origin.requests().findLast(({ headers: fields }) => fields.some(([, value]) => value === number));
  expect(record === undefined).toBe(header("x-origin") === null);
  return record === undefined ? String(status) : record.target;
}

/** Header and rows of a table of the guide, the first cell of whose header is this. */
function tableOf(firstCells: string): string[][] {
  const text = readFileSync(new URL("../../docs/guide/routing.md", import.meta.url), "utf8");
  const lines = text.split("\n");
  const cellsOf = (line: string): string[] => line.split(" | ").map((cell) => cell.replace(/^[| `]+|[| `]+$/g, ""));
  const start = lines.findIndex((line) => line.startsWith("|") && cellsOf(line).join(" ").startsWith(firstCells));
  const end = lines.findIndex((line, i) => i > start && line === "");
  return lines
    .slice(start, end)
    .filter((line) => !line.startsWith("| --"))
    .map(cellsOf);
}

describe("the guide's tables", () => {
  const tables: readonly (readonly [string, readonly string[]])[] = [
    ["path normalize strict raw", ["normalize", "strict", "raw"]],
    ["path slashes: merge", ["normalize", "keep", "refuse", "encodedKeep"]],
  ];
  for (const [first, listeners] of tables) {
    test(first, async () => {
      const [, ...rows] = tableOf(first);
      expect(rows.length).toBeGreaterThan(4);
      for (const [path = "", ...wanted] of rows) {
        const found = await Promise.all(listeners.map((name) => seen(name, path)));
        expect([path, ...found]).toEqual([path, ...wanted]);
      }
    });
  }
});

test("the query goes on as it came, whatever happens to the path", async () => {
  const query = "?q=/../%2e%2E//%7e%zz\\;?&x=%2f";
  expect(await seen("normalize", `/a/../%62${query}`)).toBe(`/b${query}`);
  expect(await seen("strict", `/b${query}`)).toBe(`/b${query}`);
  expect(await seen("normalize", "/?")).toBe("/?");
});

test("bytes that may not stand in a path become escapes", async () => {
  expect(await seen("normalize", '/a|b"c<d>e^f`g{h}i[j]')).toBe("/a%7Cb%22c%3Cd%3Ee%5Ef%60g%7Bh%7Di%5Bj%5D");
  expect(await seen("normalize", "/gr\xc3\xbc\xc3\x9fe")).toBe("/gr%C3%BC%C3%9Fe");
});

test("a # is in no target: 400 in every mode, in paths and queries", async () => {
  for (const name of ["normalize", "raw", "everything"]) {
    for (const target of ["/a#b", "/a?b#c", "/#"]) expect([target, await seen(name, target)]).toEqual([target, "400"]);
  }
});

test("absolute form: the path of it, in the same form", async () => {
  expect(await seen("normalize", "http://a/x/../%79?z=..")).toBe("/y?z=..");
  expect(await seen("normalize", "http://a")).toBe("/");
  expect(await seen("normalize", "http://a?x=/..")).toBe("/?x=/..");
  expect(await seen("strict", "http://a/x/../y")).toBe("400");
  expect(await seen("raw", "http://a/x/../y")).toBe("/x/../y");
  expect(await seen("guarded", "http://a/x/../admin")).toBe("403");
  expect(await seen("guarded", "http://a/%61dmin")).toBe("403");
});

test("OPTIONS * is about no path: it takes routes without conditions on paths", async () => {
  expect(await seen("normalize", "*", "OPTIONS")).toBe("404");
  expect(await seen("guarded", "*", "OPTIONS")).toBe("*");
  expect(await seen("guarded", "http://a", "OPTIONS")).toBe("*");
});

test("where nothing depends on the path, paths are not looked at; a rewrite looks", async () => {
  const path = "/public/..;/%61//..%2fadmin%00";
  expect(await seen("everything", path)).toBe(path);
  expect(await seen("hosts", `${path}?x`)).toBe(`${path}?x`);
  expect(await seen("rewritten", path)).toBe("400");
  expect(await seen("rewritten", "/x/../y")).toBe("/y");
});

test("a refused path costs the connection, and the next request on it is not answered", async () => {
  using client = await connect(sluice.address("normalize"));
  await client.send("GET /a%2fb HTTP/1.1\r\nHost: x\r\n\r\nGET /ok HTTP/1.1\r\nHost: x\r\n\r\n");
  const response = await client.read();
  expect([response.status, response.header("connection")]).toEqual([400, "close"]);
  expect((await client.readToEnd()).bytes.length).toBe(0);
});

test.skipIf(lacks("curl"))("curl, as it is and with --path-as-is", async () => {
  const curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}"];
  const url = `http://${sluice.address("guarded")}`;
  expect((await runTool([...curl, "--path-as-is", `${url}/x/../admin/y`])).stdout).toBe("403");
  expect((await runTool([...curl, `${url}/x/../admin/y`])).stdout).toBe("403");
  expect((await runTool([...curl, "--path-as-is", `${url}/x/..%2fadmin`])).stdout).toBe("400");
  expect((await runTool([...curl, "--path-as-is", `${url}/admin/../ok`])).stdout).toBe("200");
});

/**
 * The path as a program may read it that decodes twice, takes backslashes for slashes, ends segments at a NUL, and
 * resolves dots with parameters. Other segments keep theirs: of those the guide says that no normal form settles them.
 */
function carelessly(target: string): string {
  let path = target.split("?", 1)[0]!;
  for (let i = 0; i < 2; i++)
    path = path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  const kept: string[] = [];
  for (const segment of path.replaceAll("\\", "/").split("/")) {
    const name = segment.split(";", 1)[0]!.split("\0", 1)[0]!;
    if (name === "..") kept.pop();
    else if (segment !== "" && name !== ".") kept.push(segment);
  }
  return `/${kept.join("/")}`;
}

describe("no spelling gets past a route that refuses /admin", () => {
  const pieces = [
    "/",
    "/",
    "..",
    ".",
    "%2e",
    "%2E",
    "%2f",
    "%5C",
    "\\",
    ";",
    ";x",
    "%3b",
    "x",
    "%00",
    "%61dmin",
    "admin",
  ];
  const seed = 20_260_731;
  const rng = seededRng(seed);
  const targets = Array.from({ length: 300 }, () => {
    const middle = Array.from({ length: 1 + rng.below(7) }, () => pieces[rng.below(pieces.length)]!).join("");
    return `/${middle}${rng.below(3) === 0 ? "" : "/admin"}`;
  });
  const known = tableOf("path normalize strict raw")
    .slice(1)
    .map(([path = ""]) => path);

  for (const name of ["guarded", "guardedStrictly"]) {
    test(`${name}, seed ${seed}`, async () => {
      const all = [...known, ...targets].filter((target) => !target.includes("%25"));
      const found = await Promise.all(
        all.map(async (target): Promise<[string, string]> => [target, await seen(name, target)]),
      );
      const passed = found.filter(([, result]) => result.startsWith("/"));
      expect(passed.filter(([, result]) => /^\/admin(?:\/|$)/.test(carelessly(result)))).toEqual([]);
      expect(passed.length).toBeGreaterThan(10);
      for (const status of ["400", "403"]) expect(found.map(([, result]) => result)).toContain(status);
    });
  }
});
