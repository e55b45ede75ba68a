// The explanation of a request for people: what it comes to, from the listener to the endpoint, line by line.

import type pc from "picocolors";
import { formatShare } from "../explain/compare.ts";
import type { ArmWord, EndpointWord, Explanation, ForwardOutcome, SentWord } from "../explain/explanation.ts";
import type { Field } from "../explain/message-text.ts";
import { plural } from "./show-diagnostics.ts";

type Colors = ReturnType<typeof pc.createColors>;

/** Of a long answer's body. */
const bodyShown = 200;

type Paint = (text: string) => string;
const plain: Paint = (text) => text;

interface Row {
  readonly label: string;
  readonly text: string;
  readonly paint: Paint;
  /** "+", "-" or nothing, in front of the text. */
  readonly mark: string;
}

/** Lines under labels; a label stands before its first line only. */
class Page {
  private readonly rows: Row[] = [];

  line(label: string, text: string, paint: Paint = plain, mark = ""): void {
    this.rows.push({ label, text: safe(text), paint, mark });
  }

  format(paintLabel: Paint): string {
    const width = Math.max(...this.rows.map(({ label }) => label.length));
    let last = "";
    return this.rows
      .map(({ label, text, paint, mark }) => {
        const shown = label === last ? "" : label;
        last = label;
        return `${paintLabel(shown.padEnd(width))} ${mark.padStart(1)} ${paint(text)}`.trimEnd();
      })
      .map((row) => `${row}\n`)
      .join("");
  }
}

/** Control bytes could harm the terminal. */
function safe(text: string): string {
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, " ");
}

/** The whole text of the command. */
export function formatExplanation(explanation: Explanation, colors: Colors): string {
  const page = new Page();
  const { request, client, listener, notes, path, outcome } = explanation;
  page.line("request", `${request.method} ${request.url}${client === "" ? "" : `, from ${client}`}`);
  page.line("listener", listener);
  for (const note of notes) page.line("", note, colors.yellow);
  if (path !== null) {
    const shown = path.query === "" ? path.path : `${path.path}?${path.query}`;
    const normal = path.verdict === "rewritten" ? " (in its normal form)" : "";
    if (path.verdict === "refused") page.line("path", `${shown}: ${path.reason}`, colors.red);
    else page.line("path", `${shown}${normal}`);
  }
  routes(page, explanation, colors);
  for (const { check, verdict, detail } of explanation.checks) {
    const text = verdict === "assumed" ? `${detail} (taken to pass)` : detail;
    if (verdict === "refuses") page.line(check, text, colors.red);
    else page.line(check, text);
  }
  switch (outcome.kind) {
    case "redirect":
      page.line("redirect", `${outcome.status} to ${outcome.location}`, colors.green);
      break;
    case "respond":
    case "preflight":
      page.line("answer", String(outcome.status), colors.green);
      for (const { name, value } of outcome.fields) page.line("answer", `${name}: ${value}`);
      if (outcome.body !== "") page.line("body", outcome.body.slice(0, bodyShown).replaceAll("\n", " "));
      break;
    case "refused":
      page.line("answer", outcome.status === 0 ? outcome.reason : `${outcome.status}: ${outcome.reason}`, colors.red);
      break;
    case "forward":
      forward(page, outcome, colors);
  }
  return page.format(colors.bold);
}

function routes(page: Page, { routes: words, routesBehind }: Explanation, colors: Colors): void {
  const width = Math.max(...words.map(({ name }) => name.length));
  for (const { name, takes, reason } of words) {
    const text = `${name.padEnd(width)}  ${takes ? "takes it" : reason}`;
    page.line("route", text, takes ? colors.green : colors.dim);
  }
  if (routesBehind > 0) page.line("route", `${plural(routesBehind, "route")} behind it not looked at`, colors.dim);
}

function forward(page: Page, { arms, keptBy }: ForwardOutcome, colors: Colors): void {
  if (keptBy !== "") page.line("forward", `kept on this side by ${keptBy}`);
  for (const arm of arms) {
    const share = arms.length > 1 ? `${formatShare(arm.percent)} ` : "";
    page.line("forward", `${share}to pool ${arm.pool}`, arm.refused === null ? colors.green : colors.red);
    if (arm.refused !== null) {
      const { status, reason } = arm.refused;
      page.line("forward", status === 0 ? reason : `${status}: ${reason}`, colors.red);
    }
    endpoint(page, arm.endpoint, arm.refused === null, colors);
  }
  for (const { label, arm } of groups(arms)) {
    if (arm.sent !== null) sent(page, `sends${label}`, arm.sent, colors);
    changes(page, `answer${label}`, arm.answer.added, arm.answer.removed, colors);
  }
}

function endpoint(
  page: Page,
  { id, now, by, candidates, others }: EndpointWord,
  isServing: boolean,
  colors: Colors,
): void {
  const named = (one: { readonly id: string; readonly address: string }): string =>
    one.id === one.address ? one.id : `${one.id} (${one.address})`;
  const certain = candidates.concat(others).find((one) => one.id === id);
  if (certain !== undefined) page.line("endpoint", `${named(certain)}: ${by}`);
  else if (isServing) {
    const all = candidates.length === 0 ? "not known" : `one of ${candidates.map(named).join(", ")}`;
    page.line("endpoint", `${all}: ${by}${now === null ? "" : `; right now ${now}`}`);
  }
  for (const other of others)
    if (other.id !== id) page.line("endpoint", `not ${named(other)}: ${other.reason}`, colors.dim);
}

/** Arms that differ in nothing but their pool are shown once. */
function groups(arms: readonly ArmWord[]): { readonly label: string; readonly arm: ArmWord }[] {
  const seen = new Map<string, ArmWord>();
  for (const arm of arms) {
    const key = JSON.stringify([arm.sent, arm.answer]);
    if (!seen.has(key)) seen.set(key, arm);
  }
  const different = [...seen.values()];
  return different.map((arm) => ({ label: different.length === 1 ? "" : ` ${arm.pool}`, arm }));
}

function sent(page: Page, label: string, { method, target, fields, added, removed }: SentWord, colors: Colors): void {
  page.line(label, `${method} ${target}`);
  const isAdded = new Set(added);
  const keys = new Set(added.map(keyOf));
  for (const field of fields) {
    if (isAdded.has(field) || keys.has(keyOf(field))) page.line(label, textOf(field), colors.green, "+");
    else page.line(label, textOf(field));
  }
  for (const field of removed) page.line(label, textOf(field), colors.red, "-");
}

function changes(page: Page, label: string, added: readonly Field[], removed: readonly Field[], colors: Colors): void {
  for (const field of removed) page.line(label, field.name, colors.red, "-");
  for (const field of added) page.line(label, textOf(field), colors.green, "+");
}

function textOf({ name, value }: Field): string {
  return `${name}: ${value}`;
}

function keyOf({ name, value }: Field): string {
  return `${name}\n${value}`;
}
