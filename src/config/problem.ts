// A mistake in a configuration before it has a place: the path of keys that leads to it, what is wrong and what helps.
// Front ends know where paths stand in the text and turn problems into diagnostics.

import { diagnosticsMax } from "../base/limits.ts";
import type { Diagnostic, Position } from "../model/diagnostic.ts";

/** Keys and list indices from the top. */
export type Path = readonly (string | number)[];

export interface Problem {
  readonly severity: "error" | "warning";
  readonly path: Path;
  /** The mistake is the key itself (an unknown one, a name) rather than its value. */
  readonly atKey: boolean;
  readonly message: string;
  readonly hint: string;
}

/** Where a path stands in the text; a path that is not there is placed at the nearest part of it that is. */
export type Locate = (path: Path, atKey: boolean) => Position;

export function error(path: Path, message: string, hint = ""): Problem {
  return { severity: "error", path, atKey: false, message, hint };
}

export function errorAtKey(path: Path, message: string, hint = ""): Problem {
  return { severity: "error", path, atKey: true, message, hint };
}

export function warning(path: Path, message: string, hint = ""): Problem {
  return { severity: "warning", path, atKey: false, message, hint };
}

/** How the message about a required key that is not there begins. */
export const MISSING = "missing: ";

/** A required key that is not there. */
export function missing(path: Path, expects: string): Problem {
  return error(path, `${MISSING}expected ${expects}`);
}

/** A key that does nothing beside another one. */
export function noMeaning(path: Path, beside: string, fitting: string): Problem {
  return errorAtKey(path, `${String(path.at(-1))} has no meaning with ${beside}`, `it goes with ${fitting}`);
}

/** "pools.users.endpoints[0].weight"; keys that are not plain words are quoted. */
export function formatPath(path: Path): string {
  let out = "";
  for (const part of path) {
    if (typeof part === "number") out += `[${part}]`;
    else if (/^[A-Za-z0-9_-]+$/.test(part)) out += out === "" ? part : `.${part}`;
    else out += `[${JSON.stringify(cut(part))}]`;
  }
  return out;
}

/** Is what stands there never to be shown? */
export function isSecret(path: Path): boolean {
  const last = path.at(-1);
  return (
    last === "token" ||
    (last === "secret" && path.length === 1) ||
    (path.at(-2) === "users" && path.at(-3) === "basicAuth")
  );
}

const SHOWN_MAX = 60;

function cut(text: string): string {
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}

/** A found value in the words of a message. */
export function show(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (typeof value === "string") return value === "" ? "an empty text" : JSON.stringify(cut(value));
  if (typeof value === "number") return `the number ${value}`;
  if (typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object") return "a map";
  return `a ${typeof value}`;
}

/** Problems with their places. */
export function placeProblems(problems: readonly Problem[], locate: Locate): Diagnostic[] {
  return problems.map((p) => ({
    severity: p.severity,
    at: locate(p.path, p.atKey),
    path: formatPath(p.path),
    message: p.message,
    hint: p.hint,
  }));
}

/** In the order of the text, errors first where they share a place, bounded in number; no error is lost to warnings. */
export function sortDiagnostics(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const rank = (d: Diagnostic): number => (d.severity === "error" ? 0 : 1);
  const all = diagnostics.toSorted((a, b) => a.at.line - b.at.line || a.at.column - b.at.column || rank(a) - rank(b));
  if (all.length <= diagnosticsMax) return all;
  const errors = all.filter((d) => d.severity === "error");
  const shown = (errors.length > 0 ? errors : all).slice(0, diagnosticsMax - 1);
  const message = `${all.length - shown.length} further mistakes are not shown`;
  return [...shown, { ...shown.at(-1)!, path: "", message, hint: "" }];
}
