// Lists of endpoints outside the configuration: shapes, mistakes with their place, bounds.

import { describe, expect, test } from "bun:test";
import { poolEndpointsMax } from "../base/limits.ts";
import { formatDiagnostic } from "../model/diagnostic.ts";
import { checkEndpointList, readEndpointList } from "./endpoint-list.ts";
import { formatPath } from "./problem.ts";

function ids(text: string): readonly string[] | null {
  return readEndpointList(text, "list.yaml").endpoints?.map(({ id }) => id) ?? null;
}

/** The first line of each mistake. */
function mistakes(text: string): readonly string[] {
  const { endpoints, diagnostics } = readEndpointList(text, "list.yaml");
  expect(endpoints).toBeNull();
  return diagnostics.map((diagnostic) => formatDiagnostic(diagnostic).split("\n")[0]!);
}

describe("a list", () => {
  test("has the shapes of endpoints: in a pool, with the same defaults", () => {
    const yaml = "- 10.0.0.1:80\n- { address: app.internal:81, id: b, weight: 3, backup: true }\n- unix:/run/c.sock\n";
    const { endpoints, diagnostics } = readEndpointList(yaml, "list.yaml");
    expect(diagnostics).toEqual([]);
    const common = { maxConnections: 0, admin: "ready" } as const;
    expect(endpoints).toEqual([
      { id: "10.0.0.1:80", host: "10.0.0.1", port: 80, unixPath: null, weight: 1, backup: false, ...common },
      { id: "b", host: "app.internal", port: 81, unixPath: null, weight: 3, backup: true, ...common },
      { id: "unix:/run/c.sock", host: "", port: 0, unixPath: "/run/c.sock", weight: 1, backup: false, ...common },
    ]);
  });

  test("may be JSON, and may be empty", () => {
    expect(ids('["10.0.0.1:80", {"address": "10.0.0.2:80", "id": "b"}]')).toEqual(["10.0.0.1:80", "b"]);
    expect(ids("[]")).toEqual([]);
    expect(ids("\uFEFF# none\n[]\n")).toEqual([]);
  });
});

describe("mistakes", () => {
  test("have a place and the words of the configuration", () => {
    expect(mistakes("- 10.0.0.1:80\n- { address: 10.0.0.2, weigth: 3 }\n")).toEqual([
      'list.yaml:2:14: error: [1].address: "10.0.0.2" has no port',
      'list.yaml:2:24: error: [1].weigth: unknown key "weigth"',
    ]);
    expect(mistakes("- { id: a }\n")).toEqual([
      expect.stringContaining("list.yaml:1:3: error: [0].address: missing: expected an address"),
    ]);
    expect(mistakes("- 10.0.0.1:80\n- 10.0.0.2:80\n- 10.0.0.1:80\n")).toEqual([
      'list.yaml:3:3: error: [2]: [0] has the same id "10.0.0.1:80"',
    ]);
  });

  test("what is no list, or nothing, or no YAML is refused", () => {
    for (const text of ["", "  \n", "# only a comment\n", "endpoints: []\n", "10.0.0.1:80\n", "~\n", "- [\n", "[1"]) {
      expect([text, mistakes(text).length]).toEqual([text, 1]);
    }
    expect(mistakes("")).toEqual(["list.yaml:1:1: error: the file is empty"]);
    expect(mistakes("endpoints: []\n")).toEqual(["list.yaml:1:1: error: expected a list of endpoints, found a map"]);
  });

  test("a list longer than a pool may be is refused", () => {
    const list = Array.from({ length: poolEndpointsMax }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:80`);
    expect(checkEndpointList(list).endpoints?.length).toBe(poolEndpointsMax);
    expect(checkEndpointList([...list, "10.99.0.1:80"]).problems[0]!.message).toContain("at most");
  });

  test("values that are no plain data are refused", () => {
    const { endpoints, problems } = checkEndpointList([JSON.parse('{"address": "10.0.0.1:80", "__proto__": 1}')]);
    expect(endpoints).toBeNull();
    expect(formatPath(problems[0]!.path)).toBe("[0].__proto__");
  });
});
