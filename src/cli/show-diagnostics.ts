// Diagnostics for people: place, message, the line with a caret under the mistake, and the hint.

import pc from "picocolors";
import type { Diagnostic } from "../model/diagnostic.ts";

/** Columns of a source line that are shown; a longer line is cut around the mistake. */
const EXCERPT_COLUMNS = 100;

/** All diagnostics as text. `text` is the file's content, "" if there is none to show. */
export function showDiagnostics(diagnostics: readonly Diagnostic[], text: string, color: boolean): string {
  const colors = pc.createColors(color);
  const lines = text.split("\n");
  return diagnostics
    .map((d) => {
      const place = d.at.line > 0 ? `${d.at.file}:${d.at.line}:${d.at.column}` : d.at.file;
      const paint = d.severity === "error" ? colors.red : colors.yellow;
      const subject = d.path === "" ? "" : `${colors.bold(d.path)}: `;
      const head = `${colors.bold(place)}: ${paint(d.severity)}: ${subject}${d.message}\n`;
      const hint = d.hint === "" ? "" : `    ${colors.cyan("hint:")} ${d.hint}\n`;
      return head + excerpt(d, lines, colors) + hint;
    })
    .join("");
}

function excerpt(d: Diagnostic, lines: readonly string[], colors: ReturnType<typeof pc.createColors>): string {
  const line = d.at.line > 0 ? lines[d.at.line - 1] : undefined;
  if (line === undefined || line.trim() === "") return "";
  // A byte order mark takes no column, a carriage return ends the line, and control bytes could harm the terminal.
  const shown = line
    .replace(/^\uFEFF/, "")
    .replace(/\r$/, "")
    .replace(/[\u0000-\u001f\u007f-\u009f]/g, " ");
  const start = Math.max(0, Math.min(d.at.column - 1 - EXCERPT_COLUMNS / 2, shown.length - EXCERPT_COLUMNS));
  const number = String(d.at.line).padStart(5);
  const piece = shown.slice(start, start + EXCERPT_COLUMNS);
  const caret = " ".repeat(Math.max(0, d.at.column - 1 - start)) + "^";
  return `${colors.dim(`${number} |`)} ${piece}\n${colors.dim("      |")} ${colors.red(caret)}\n`;
}

/** "2 errors, 1 warning" */
export function countDiagnostics(diagnostics: readonly Diagnostic[]): string {
  const errors = diagnostics.filter((d) => d.severity === "error").length;
  const warnings = diagnostics.length - errors;
  const parts = [plural(errors, "error"), plural(warnings, "warning")].filter((part) => !part.startsWith("0 "));
  return parts.length === 0 ? "no mistakes" : parts.join(", ");
}

/** "1 pool", "2 pools" */
export function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}
