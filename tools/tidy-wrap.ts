// Rewraps comments that are wider than a line may be: what the formatter leaves alone. Code is never touched, except
// that a comment behind code moves above it when the two do not fit on one line.

import { mask } from "./tidy-mask.ts";

/** Comment lines that begin something of their own, and are not joined to the text before them. */
const ownLine = /^(?:[-*•|>#]|\d+[.)]\s|@\w|tidy:|oxlint-|eslint-|```|\s)/;

function fill(text: string, prefix: string, columns: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && prefix.length + line.length + 1 + word.length > columns) {
      lines.push(prefix + line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  if (line !== "") lines.push(prefix + line);
  return lines;
}

/** Puts a comment line that is too wide, with what follows of its paragraph, into lines that fit. */
function wrapParagraph(lines: string[], at: number, prefix: string, columns: number): string[] {
  let text = (lines[at] ?? "").slice(prefix.length);
  while (at + 1 < lines.length) {
    const next = lines[at + 1] ?? "";
    const rest = next.slice(prefix.length);
    if (!next.startsWith(prefix) || rest === "" || rest === "/" || ownLine.test(rest)) break;
    text += ` ${rest}`;
    lines.splice(at + 1, 1);
  }
  return fill(text, prefix, columns);
}

/** The replacement for the line at `at`, or null when it holds no comment that could be wrapped. */
function rewrap(lines: string[], comments: readonly string[], at: number, columns: number): string[] | null {
  const line = lines[at] ?? "";
  const whole = /^(\s*(?:\/\/|\*) )\S/.exec(line);
  if (whole !== null) return wrapParagraph(lines, at, whole[1] ?? "", columns);
  const indent = /^\s*/.exec(line)?.[0] ?? "";
  const oneLine = /^\s*\/\*\* (.*) \*\/$/.exec(line);
  if (oneLine !== null) return [`${indent}/**`, ...fill(oneLine[1] ?? "", `${indent} * `, columns), `${indent} */`];
  const begin = (comments[at] ?? "").search(/\/\/ /);
  if (begin > indent.length) {
    return [...fill(line.slice(begin + 3), `${indent}// `, columns), line.slice(0, begin).trimEnd()];
  }
  return null;
}

/** The text with its comments wrapped to `columns`; lines with a URL stay as they are. */
export function wrapComments(text: string, columns: number): string {
  const lines = text.split("\n");
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    if (line.length <= columns || /https?:\/\//.test(line)) continue;
    const comments = mask(lines.join("\n")).comments.split("\n");
    if ((comments[at] ?? "").trim() === "") continue;
    const wrapped = rewrap(lines, comments, at, columns);
    if (wrapped === null) continue;
    lines.splice(at, 1, ...wrapped);
    at += wrapped.length - 1;
  }
  return lines.join("\n");
}
