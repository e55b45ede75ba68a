// From the cells of all rounds to one row per scenario and proxy: medians, ratios and verdicts. Pure.

import type { CellFigures } from "./cell.ts";
import type { Scenario } from "./scenarios.ts";

/** One cell of one round: figures, or why there are none. */
export interface Cell {
  readonly scenario: string;
  readonly contender: string;
  readonly round: number;
  readonly figures: CellFigures | null;
  readonly error: string | null;
}

export type Verdict = "pass" | "missed" | "not judged" | "failed";

/** One row of the table. Figures are medians over the rounds; null when there are none. */
export interface Row {
  readonly scenario: string;
  readonly title: string;
  readonly contender: string;
  readonly figures: CellFigures | null;
  /** CPU per request over the better peer's; null for peers and without a peer. */
  readonly ratio: number | null;
  /** The target in words, "" when nothing is judged. */
  readonly target: string;
  readonly verdict: Verdict;
  /** The first error of a cell, if any. */
  readonly error: string | null;
}

/** The middle value; the mean of the two middle ones for an even count. Throws on an empty list. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  const upper = sorted[half];
  if (upper === undefined) throw new Error("median of nothing");
  return sorted.length % 2 === 1 ? upper : (sorted[half - 1]! + upper) / 2;
}

function medianOrNull(values: readonly (number | null)[]): number | null {
  const present = values.filter((value) => value !== null);
  return present.length === 0 ? null : median(present);
}

function medianFigures(list: readonly CellFigures[]): CellFigures | null {
  if (list.length === 0) return null;
  return {
    cpuUsPerRequest: medianOrNull(list.map((f) => f.cpuUsPerRequest)),
    requestsPerSecond: medianOrNull(list.map((f) => f.requestsPerSecond)),
    p99Ms: medianOrNull(list.map((f) => f.p99Ms)),
    rssBytes: median(list.map((f) => f.rssBytes)),
    pssBytes: median(list.map((f) => f.pssBytes)),
    bytesPerConnection: medianOrNull(list.map((f) => f.bytesPerConnection)),
    requests: median(list.map((f) => f.requests)),
    upstreamOpened: median(list.map((f) => f.upstreamOpened)),
    interruptUsPerRequest: medianOrNull(list.map((f) => f.interruptUsPerRequest)),
    foreignShare: medianOrNull(list.map((f) => f.foreignShare)),
  };
}

function targetWords(scenario: Scenario): string {
  switch (scenario.target.kind) {
    case "ratio":
      return `≤ ${scenario.target.atMost.toFixed(2)} ×`;
    case "bytes-per-connection":
      return `≤ ${scenario.target.atMost / 1024} KB`;
    case "none":
      return "";
  }
}

function judge(scenario: Scenario, figures: CellFigures, ratio: number | null): Verdict {
  const target = scenario.target;
  if (target.kind === "none") return "not judged";
  const value = target.kind === "ratio" ? ratio : figures.bytesPerConnection;
  if (value === null) return "not judged";
  return value <= target.atMost ? "pass" : "missed";
}

/** The rows of one scenario, in the order of the contenders' names. */
function summarizeScenario(
  scenario: Scenario,
  contenders: readonly string[],
  subject: string,
  cells: readonly Cell[],
): Row[] {
  const own = cells.filter((cell) => cell.scenario === scenario.name);
  const figuresOf = (name: string): CellFigures | null =>
    medianFigures(own.filter((cell) => cell.contender === name).flatMap((cell) => cell.figures ?? []));
  const peers = contenders.filter((name) => name !== subject);
  const peerCosts = peers.flatMap((name) => figuresOf(name)?.cpuUsPerRequest ?? []);
  return contenders.map((name): Row => {
    const figures = figuresOf(name);
    const error = own.find((cell) => cell.contender === name && cell.error !== null)?.error ?? null;
    const cost = figures?.cpuUsPerRequest ?? null;
    const isSubject = name === subject;
    const ratio = isSubject && cost !== null && peerCosts.length > 0 ? cost / Math.min(...peerCosts) : null;
    let verdict: Verdict = "not judged";
    if (error !== null || figures === null) verdict = "failed";
    else if (isSubject) verdict = judge(scenario, figures, ratio);
    const target = isSubject ? targetWords(scenario) : "";
    return { scenario: scenario.name, title: scenario.title, contender: name, figures, ratio, target, verdict, error };
  });
}

/** All rows, scenario by scenario. */
export function summarize(
  scenarios: readonly Scenario[],
  contenders: readonly string[],
  subject: string,
  cells: readonly Cell[],
): Row[] {
  return scenarios.flatMap((scenario) => summarizeScenario(scenario, contenders, subject, cells));
}

/** Sentences on what two workers carry compared with one, for each contender measured with both. */
export function scalingNotes(rows: readonly Row[]): string[] {
  const notes: string[] = [];
  for (const two of rows.filter((row) => row.scenario === "two-workers")) {
    const one = rows.find((row) => row.scenario === "one-worker" && row.contender === two.contender);
    const before = one?.figures?.requestsPerSecond ?? null;
    const after = two.figures?.requestsPerSecond ?? null;
    if (before === null || after === null) continue;
    notes.push(`${two.contender}: two workers carry ${(after / before).toFixed(2)} times the requests of one.`);
  }
  return notes;
}

/** Exit code of a run: 2 = something could not be measured, 1 = a target was missed, 0 = neither. */
export function exitCode(rows: readonly Row[], quick: boolean): number {
  if (rows.some((row) => row.verdict === "failed")) return 2;
  return !quick && rows.some((row) => row.verdict === "missed") ? 1 : 0;
}
