// The YAML front end's first half: text to plain values that know their places. YAML 1.2 core schema, one document,
// text keys. What the values mean is no business of this file.

import { parseDocument, type Document, type YAMLError } from "yaml";
import type { Diagnostic, Position } from "../../model/diagnostic.ts";
import type { Locate, Path } from "../problem.ts";
import { createLineTable, type LineTable } from "./line-table.ts";
import { toPlain, type Place } from "./plain.ts";

/** A read text. With diagnostics, the value (null if there is nothing to look at) serves only to find more mistakes. */
export interface ParsedYaml {
  readonly value: unknown;
  readonly diagnostics: readonly Diagnostic[];
  readonly locate: Locate;
}

/** One mistake often brings others with it; beyond this many only noise remains. */
const SYNTAX_MISTAKES_MAX = 20;

// YAML 1.2 5.1: what may stand in a stream at all. A byte order mark is taken off before.
const forbidden = /[^\t\n\r\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u;

export function parseYaml(source: string, file: string): ParsedYaml {
  const text = source.startsWith("\uFEFF") ? source.slice(1) : source;
  const lines = createLineTable(text);
  const fail = (at: number, path: string, message: string, hint: string): Diagnostic => {
    return { severity: "error", at: { file, ...lines.placeOf(at) }, path, message, hint };
  };
  const nothing = (diagnostics: readonly Diagnostic[]): ParsedYaml => {
    return { value: null, diagnostics, locate: () => ({ file, line: 1, column: 1 }) };
  };

  const bad = forbidden.exec(text);
  if (bad !== null) {
    const code = bad[0].codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
    const hint = "control characters are not allowed in YAML; is this a text file?";
    return nothing([fail(bad.index, "", `the character U+${code} cannot stand in a configuration`, hint)]);
  }
  const document = compose(text);
  if (document === null) return nothing([fail(0, "", tooDeep, "")]);
  const syntax = syntaxMistakes(document, lines, fail);
  if (syntax.length > 0) return nothing(syntax);
  const plain = toPlain(document);
  const mistakes = plain.mistakes.map((m) => {
    const first = m.otherAt < 0 ? "" : `, first in line ${lines.placeOf(m.otherAt).line}`;
    return fail(m.at, m.path, m.message + first, m.hint);
  });
  if (plain.value === null && mistakes.length === 0) {
    return nothing([fail(0, "", "the configuration is empty", "it needs listeners: and pools:")]);
  }
  return {
    value: plain.whole ? plain.value : null,
    diagnostics: mistakes,
    locate: (path, atKey) => locate(plain.place, path, atKey, file, lines),
  };
}

const tooDeep = "the text is nested too deeply to be read";

function compose(text: string): Document.Parsed | null {
  try {
    return parseDocument(text, {
      version: "1.2",
      schema: "core",
      merge: false,
      resolveKnownTags: false,
      stringKeys: true,
      strict: true,
      uniqueKeys: false, // the library compares each key with each; plain.ts finds doubles in linear time
      prettyErrors: false,
      logLevel: "error",
    });
  } catch (error) {
    if (error instanceof RangeError) return null; // the stack's end: the library's reader is recursive
    throw error;
  }
}

/** What the library has to say, in this program's words; one mistake a line. */
function syntaxMistakes(
  document: Document.Parsed,
  lines: LineTable,
  fail: (at: number, path: string, message: string, hint: string) => Diagnostic,
): Diagnostic[] {
  const found: YAMLError[] = [...document.errors, ...document.warnings];
  const exhausted = found.find((e) => e.code === "RESOURCE_EXHAUSTION");
  if (exhausted !== undefined) return [fail(exhausted.pos[0], "", tooDeep, "")];
  found.sort((a, b) => a.pos[0] - b.pos[0]);
  const out: Diagnostic[] = [];
  const seen = new Set<number>();
  for (const e of found) {
    const { line } = lines.placeOf(e.pos[0]);
    if (seen.has(line)) continue;
    seen.add(line);
    const [message, hint] = reword(e);
    out.push(fail(e.pos[0], "", message, hint));
    if (out.length === SYNTAX_MISTAKES_MAX) break;
  }
  return out;
}

const words: { readonly [code in YAMLError["code"]]?: readonly [message: string, hint: string] } = {
  BAD_INDENT: ["this line is not indented as its neighbours are", "keys of one map begin in the same column"],
  TAB_AS_INDENT: ["a tab is used for indentation", "YAML is indented with spaces"],
  BLOCK_AS_IMPLICIT_KEY: ["a key and a value do not fit here", "is a line break or a quote missing?"],
  BLOCK_IN_FLOW: ["a block of lines cannot stand inside brackets or braces", "is a bracket not closed?"],
  MULTILINE_IMPLICIT_KEY: ["a key goes over more than one line", "is the colon missing?"],
  KEY_OVER_1024_CHARS: ["a key is longer than 1024 characters", ""],
  NON_STRING_KEY: ["expected a word as key", "write the key out as plain text"],
  MULTIPLE_DOCS: ["there is more than one document", "remove what follows the line with ---"],
  TAG_RESOLVE_FAILED: ["this tag has no meaning here", "remove the word that begins with !"],
  BAD_COLLECTION_TYPE: ["this tag has no meaning here", "remove the word that begins with !"],
  BAD_SCALAR_START: ["a text cannot begin with this character", "put the text in quotes"],
  BAD_ALIAS: ["an alias needs a name", "put the text in quotes if it is meant to begin with *"],
  MULTIPLE_ANCHORS: ["a value has more than one anchor", ""],
  MULTIPLE_TAGS: ["a value has more than one tag", ""],
};

function reword(e: YAMLError): readonly [message: string, hint: string] {
  const end = /end with a (.)$/.exec(e.message);
  if (end !== null) return [`expected ${end[1]} here: a bracket or brace before it is not closed`, ""];
  const own = words[e.code];
  if (own !== undefined) return own;
  const message = e.message.slice(0, 1).toLowerCase() + e.message.slice(1, 200).replace(/[.\s]+$/, "");
  return [`not valid YAML: ${message.replace("quote", " quote").replaceAll("  ", " ")}`, ""];
}

/** The place of the deepest part of the path that is in the text; the key's if that part is not the whole path. */
function locate(root: Place, path: Path, atKey: boolean, file: string, lines: LineTable): Position {
  let place = root;
  let whole = true;
  for (const part of path) {
    const next = place.children?.get(part);
    if (next === undefined) {
      whole = false;
      break;
    }
    place = next;
  }
  return { file, ...lines.placeOf(whole && !atKey ? place.valueAt : place.keyAt) };
}
