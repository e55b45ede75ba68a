// From cells to rows, verdicts, exit codes and tables, on made-up figures.

import { describe, expect, test } from "bun:test";
import type { CellFigures } from "./cell.ts";
import { selectScenarios } from "./scenarios.ts";
import { type Cell, exitCode, median, scalingNotes, summarize } from "./summary.ts";
import { markdownTable, textTable } from "./table.ts";

const NAMES = ["nginx", "haproxy", "sluice"];

function figures(change: Partial<CellFigures>): CellFigures {
  return {
    cpuUsPerRequest: null,
    requestsPerSecond: null,
    p99Ms: null,
    rssBytes: 20e6,
    pssBytes: 10e6,
    bytesPerConnection: null,
    requests: 100,
    upstreamOpened: 0,
    interruptUsPerRequest: null,
    foreignShare: null,
    ...change,
  };
}

function cpu(scenario: string, contender: string, values: readonly number[]): Cell[] {
  return values.map((value, round) => ({
    scenario,
    contender,
    round,
    figures: figures({ cpuUsPerRequest: value, requestsPerSecond: 1e6 / value }),
    error: null,
  }));
}

function smallCells(sluice: readonly number[]): Cell[] {
  return [...cpu("small", "nginx", [20, 22, 90]), ...cpu("small", "haproxy", [25]), ...cpu("small", "sluice", sluice)];
}

describe("median", () => {
  test("odd, even, unsorted; numbers are not compared as text", () => {
    expect(median([10, 9, 100])).toBe(10);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([7])).toBe(7);
  });

  test("of nothing is an error", () => {
    expect(() => median([])).toThrow();
  });
});

describe("summarize", () => {
  const small = selectScenarios(["small"]);

  test("the subject is compared with the better peer's median", () => {
    const rows = summarize(small, NAMES, "sluice", smallCells([11, 11, 50]));
    expect(rows.map((row) => row.contender)).toEqual(NAMES);
    expect(rows[0]).toMatchObject({ ratio: null, target: "", verdict: "not judged" });
    expect(rows[0]?.figures?.cpuUsPerRequest).toBe(22);
    expect(rows[2]).toMatchObject({ ratio: 0.5, target: "≤ 0.95 ×", verdict: "pass" });
    expect(exitCode(rows, false)).toBe(0);
  });

  test("exactly the target passes, more does not", () => {
    expect(summarize(small, NAMES, "sluice", smallCells([20.9]))[2]?.verdict).toBe("pass");
    const missed = summarize(small, NAMES, "sluice", smallCells([20.91]));
    expect(missed[2]?.verdict).toBe("missed");
    expect(exitCode(missed, false)).toBe(1);
    expect(exitCode(missed, true)).toBe(0);
  });

  test("without a peer nothing is judged", () => {
    const rows = summarize(small, ["sluice"], "sluice", cpu("small", "sluice", [10]));
    expect(rows[0]).toMatchObject({ ratio: null, verdict: "not judged" });
  });

  test("one failed round fails the row and the run, and its reason is kept", () => {
    const broken: Cell = { scenario: "small", contender: "nginx", round: 3, figures: null, error: "3 requests failed" };
    const rows = summarize(small, NAMES, "sluice", [...smallCells([10]), broken]);
    expect(rows[0]).toMatchObject({ verdict: "failed", error: "3 requests failed" });
    expect(rows[0]?.figures?.cpuUsPerRequest).toBe(22);
    expect(exitCode(rows, true)).toBe(2);
  });

  test("idle memory has an absolute target", () => {
    const idle = selectScenarios(["idle"]);
    const cell = (bytes: number): Cell[] => [
      { scenario: "idle", contender: "sluice", round: 0, figures: figures({ bytesPerConnection: bytes }), error: null },
    ];
    expect(summarize(idle, ["sluice"], "sluice", cell(3072))[0]).toMatchObject({ verdict: "pass", target: "≤ 3 KB" });
    expect(summarize(idle, ["sluice"], "sluice", cell(3073))[0]?.verdict).toBe("missed");
  });
});

test("scaling notes compare two workers with one", () => {
  const scenarios = selectScenarios(["two-workers"]);
  const cells = [...cpu("one-worker", "nginx", [20]), ...cpu("two-workers", "nginx", [10])];
  expect(scalingNotes(summarize(scenarios, ["nginx", "sluice"], "sluice", cells))).toEqual([
    "nginx: two workers carry 2.00 times the requests of one.",
  ]);
});

describe("tables", () => {
  const rows = summarize(selectScenarios(["small"]), NAMES, "sluice", smallCells([15]));

  test("text columns line up", () => {
    const lines = textTable(rows).split("\n");
    expect(lines.length).toBe(5);
    expect(lines[1]).toBe("");
    const end = lines[0]!.indexOf("CPU µs/req") + "CPU µs/req".length;
    expect(lines[2]!.slice(0, end)).toEndWith("22.0");
    expect(lines[4]!.slice(0, end)).toEndWith("15.0");
    expect(lines[4]).toEndWith("pass");
  });

  test("every Markdown line has the same number of columns", () => {
    const lines = markdownTable(rows).split("\n");
    expect(lines.length).toBe(5);
    expect(new Set(lines.map((line) => line.split("|").length)).size).toBe(1);
    expect(lines[4]).toBe(
      "| 128 B answers, keep-alive | sluice | 15.0 | 66667 |  | 20.0 | 10.0 |  | 0.68 | ≤ 0.95 × | pass |",
    );
  });
});
