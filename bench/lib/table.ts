// Prints the rows, as aligned text for the terminal and as a Markdown table. Pure.

import type { Row } from "./summary.ts";

const HEADINGS = [
  "scenario",
  "proxy",
  "CPU µs/req",
  "req/s",
  "p99 ms",
  "RSS MB",
  "PSS MB",
  "KB/conn",
  "ratio",
  "target",
  "result",
] as const;
/** Columns from this one on are numbers, except the last. */
const FIRST_NUMBER = 2;

function fixed(value: number | null | undefined, digits: number): string {
  return value === null || value === undefined ? "" : value.toFixed(digits);
}

/** A row as text cells, in the order of the headings. */
export function rowCells(row: Row): string[] {
  const f = row.figures;
  const cpu = f?.cpuUsPerRequest ?? null;
  const perConnection = f?.bytesPerConnection ?? null;
  return [
    row.title,
    row.contender,
    fixed(cpu, cpu !== null && cpu >= 100 ? 0 : 1),
    fixed(f?.requestsPerSecond, 0),
    fixed(f?.p99Ms, 2),
    f === null ? "" : fixed(f.rssBytes / 1e6, 1),
    f === null ? "" : fixed(f.pssBytes / 1e6, 1),
    perConnection === null ? "" : fixed(perConnection / 1024, 2),
    fixed(row.ratio, 2),
    row.target,
    row.verdict === "not judged" ? "" : row.verdict,
  ];
}

function isNumberColumn(index: number): boolean {
  return index >= FIRST_NUMBER && index < HEADINGS.length - 1;
}

/** Aligned columns for a terminal; a blank line between scenarios. */
export function textTable(rows: readonly Row[]): string {
  const lines = [[...HEADINGS], ...rows.map(rowCells)];
  const widths = HEADINGS.map((_, column) => Math.max(...lines.map((cells) => cells[column]!.length)));
  const out: string[] = [];
  lines.forEach((cells, index) => {
    const row = rows[index - 1];
    if (row !== undefined && row.scenario !== rows[index - 2]?.scenario) out.push("");
    const padded = cells.map((cell, column) =>
      isNumberColumn(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
    );
    out.push(padded.join("  ").trimEnd());
  });
  return out.join("\n");
}

/** The same as a Markdown table. */
export function markdownTable(rows: readonly Row[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const rule = HEADINGS.map((_, column) => (isNumberColumn(column) ? "---:" : "---"));
  return [line(HEADINGS), line(rule), ...rows.map((row) => line(rowCells(row)))].join("\n");
}
