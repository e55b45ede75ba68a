// Tells the code of a TypeScript file from its comments and literals, for tidy's rules. A scanner, not a parser: it
// knows comments, strings, template literals with nested ${}, and regular expressions, and nothing of grammar beyond
// that.

export interface Masked {
  /** The source with comments and the insides of literals blanked; same length, same line breaks. */
  readonly code: string;
  /** The source with everything but comments blanked. */
  readonly comments: string;
}

/** After these a slash begins a regular expression; after a name, a number or a closing bracket it divides. */
const regexAfter = "(,=:[!&|?{};+-*%~^<>";
const regexAfterWords = /(?:^|[^\w$.])(?:return|typeof|case|in|of|void|delete|await|yield|do|else)$/;

function blank(text: string): string {
  return text.replace(/[^\n]/g, " ");
}

/** The index after the string that opens at `at`; an unclosed one ends with its line. */
function endOfString(text: string, at: number): number {
  const quote = text[at];
  for (let i = at + 1; i < text.length; i++) {
    const c = text[i];
    if (c === "\\") i++;
    else if (c === quote) return i + 1;
    else if (c === "\n") return i;
  }
  return text.length;
}

/** The index after the regular expression that opens at `at`, or `at` when no such thing closes on its line. */
function endOfRegex(text: string, at: number): number {
  let inClass = false;
  for (let i = at + 1; i < text.length; i++) {
    const c = text[i];
    if (c === "\n") return at;
    if (c === "\\") i++;
    else if (c === "[") inClass = true;
    else if (c === "]") inClass = false;
    else if (c === "/" && !inClass) return i + 1;
  }
  return at;
}

/** From `at`, inside a template: the index of the next `${` or of the closing backquote, or the end. */
function endOfTemplatePart(text: string, at: number): number {
  for (let i = at; i < text.length; i++) {
    const c = text[i];
    if (c === "\\") i++;
    else if (c === "`" || (c === "$" && text[i + 1] === "{")) return i;
  }
  return text.length;
}

function beginsRegex(code: string): boolean {
  const before = code.trimEnd();
  if (before === "") return true;
  return regexAfter.includes(before.at(-1) ?? "") || regexAfterWords.test(before.slice(-12));
}

/** Splits a source text into code and comments. */
export function mask(text: string): Masked {
  const code: string[] = [];
  const comments: string[] = [];
  let tail = ""; // the last code seen, for telling a regular expression from a division
  const templateDepths: number[] = []; // brace depth at which each open ${ closes
  let depth = 0;
  let at = 0;

  const take = (end: number, kind: "code" | "comment" | "literal"): void => {
    const piece = text.slice(at, end);
    const blanked = blank(piece);
    // A literal keeps its delimiters, so that `foo("x")` still reads as a call with something in it.
    const literal =
      kind === "literal" && piece.length >= 2 ? (piece[0] ?? "") + blanked.slice(1, -1) + piece.at(-1) : blanked;
    code.push(kind === "code" ? piece : literal);
    comments.push(kind === "comment" ? piece : blanked);
    if (kind !== "comment") tail = (tail + (kind === "code" ? piece : literal)).slice(-64);
    at = end;
  };
  const takeTemplatePart = (start: number): void => {
    const end = endOfTemplatePart(text, start);
    if (text[end] === "$") {
      templateDepths.push(depth);
      depth++;
      take(end + 2, "literal");
    } else take(Math.min(end + 1, text.length), "literal");
  };

  while (at < text.length) {
    const c = text[at];
    const next = text[at + 1];
    if (c === "/" && next === "/") {
      const end = text.indexOf("\n", at);
      take(end < 0 ? text.length : end, "comment");
    } else if (c === "/" && next === "*") {
      const end = text.indexOf("*/", at + 2);
      take(end < 0 ? text.length : end + 2, "comment");
    } else if (c === '"' || c === "'") {
      take(endOfString(text, at), "literal");
    } else if (c === "`") {
      takeTemplatePart(at + 1);
    } else if (c === "/" && beginsRegex(tail)) {
      const end = endOfRegex(text, at);
      take(end > at ? end : at + 1, end > at ? "literal" : "code");
    } else if (c === "}" && templateDepths.at(-1) === depth - 1) {
      templateDepths.pop();
      depth--;
      takeTemplatePart(at + 1);
    } else {
      if (c === "{") depth++;
      else if (c === "}") depth--;
      let end = at + 1;
      if (c !== "{" && c !== "}" && c !== "/") {
        while (end < text.length && !"/\"'`{}".includes(text[end] ?? "")) end++;
      }
      take(end, "code");
    }
  }
  return { code: code.join(""), comments: comments.join("") };
}
