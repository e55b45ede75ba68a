// The rules of tools/tidy.ts, each a function from one file to findings. They work on text, not on a syntax tree: fast,
// and enough for a tree that the formatter has been over. What a type checker or linter can find is left to those.

import { mask, type Masked } from "./tidy-mask.ts";

export interface SourceFile {
  /** From the root of the tree, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

/** What rules may ask about the rest of the tree. */
export interface Tree {
  exists(path: string): boolean;
  read(path: string): string;
  /** Names of the packages under "dependencies". */
  readonly dependencies: ReadonlySet<string>;
}

export interface Finding {
  readonly path: string;
  /** From 1. */
  readonly line: number;
  readonly rule: string;
  readonly message: string;
}

/** A file as the rules see it. */
interface Subject extends SourceFile, Masked {
  /** TypeScript. Of other files, code and comments are empty. */
  readonly isCode: boolean;
  /** The folder under src/, or "" elsewhere. */
  readonly room: string;
  /** Stands beside the source but is no part of the program: *.test.ts, *.fuzz.ts, *.bench.ts. */
  readonly isAside: boolean;
  readonly isTest: boolean;
}

type Report = (index: number, rule: string, message: string) => void;
type Rule = (file: Subject, report: Report, tree: Tree) => void;

/** A folder of src/ imports only folders of lower rank, and itself. The same table is in docs/ARCHITECTURE.md. */
const ranks: Readonly<Record<string, number>> = {
  base: 0,
  model: 0,
  wire: 1,
  balance: 1,
  config: 1,
  stats: 2,
  codec: 2,
  pool: 3,
  tls: 3,
  route: 3,
  limit: 3,
  cache: 3,
  site: 3,
  health: 4,
  http: 4,
  l4: 4,
  dns: 4,
  compile: 5,
  explain: 6,
  runtime: 6,
  admin: 7,
  cluster: 7,
  cli: 8,
};

/**
 * sys/ stands beside the ranks: it implements the ports of base/, and only those who assemble the program may see it.
 */
const sysImportersRank = 6;
const sysMayImport: ReadonlySet<string> = new Set(["base", "model", "sys"]);

const fileLinesMax = 600;
const functionLinesMax = 70;
export const lineColumnsMax = 120;

/** What reaches past the ports, and what stands for it. */
const hostCalls: readonly (readonly [RegExp, string])[] = [
  [/(?<![\w$.])Bun\b(?=\s*\.)/g, "Bun."],
  [/(?<![\w$.])process\b(?=\s*\.)/g, "process."],
  [/(?<![\w$.])performance\b(?=\s*\.)/g, "performance."],
  [/(?<![\w$.])Date\.now\b/g, "Date.now"],
  [/(?<![\w$.])new Date\(\s*\)/g, "new Date()"],
  [/(?<![\w$.])Math\.random\b/g, "Math.random"],
  [/(?<![\w$.])(?:globalThis\.)?set(?:Timeout|Interval|Immediate)\b(?=\s*\()/g, "a timer"],
  [/(?<![\w$.])import\.meta\.(?:dir|dirname|path|file|filename|env)\b/g, "import.meta of the host"],
];

const lineOf = (text: string, index: number): number => {
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0 && at < index; at = text.indexOf("\n", at + 1)) line++;
  return line;
};

function normalise(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  }
  return parts.join("/");
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** Every module a file names, with the place: static, dynamic and type imports, and re-exports. */
function importsOf(file: Subject): { readonly index: number; readonly target: string }[] {
  const found: { index: number; target: string }[] = [];
  for (const match of file.text.matchAll(/(?<![.\w])(?:from|import\s*\(|import)\s*(["'])([^"'\n]+)\1/g)) {
    // Comments and strings that speak of imports are blank in the code.
    if (file.code.startsWith(match[0].slice(0, 4), match.index))
      found.push({ index: match.index, target: match[2] ?? "" });
  }
  return found;
}

const rank: Rule = (file, report) => {
  if (file.room === "" || file.isAside) return;
  const own = file.room === "sys" ? -1 : ranks[file.room];
  if (own === undefined) {
    report(0, "rank", `folder src/${file.room} is not in the rank table of tools/tidy-rules.ts`);
    return;
  }
  for (const { index, target } of importsOf(file)) {
    if (!target.startsWith(".")) continue;
    const path = normalise(`${folderOf(file.path)}/${target}`);
    const room = /^src\/([^/]+)\//.exec(path)?.[1];
    if (room === undefined) report(index, "rank", `src imports ${path}, which is outside src`);
    else if (room === file.room) continue;
    else if (file.room === "sys") {
      if (!sysMayImport.has(room))
        report(index, "rank", `src/sys imports src/${room}; it may import only base and model`);
    } else if (room === "sys") {
      if (own < sysImportersRank)
        report(index, "rank", `src/${file.room} imports src/sys; take a port of base/ports.ts as an argument`);
    } else if ((ranks[room] ?? Number.POSITIVE_INFINITY) >= own) {
      report(
        index,
        "rank",
        `src/${file.room} (rank ${own}) imports src/${room} (rank ${ranks[room] ?? "none"}); only lower ranks`,
      );
    }
  }
};

const host: Rule = (file, report) => {
  if (file.room === "" || file.room === "sys" || file.isAside) return;
  for (const [pattern, name] of hostCalls) {
    for (const match of file.code.matchAll(pattern))
      report(match.index, "host", `${name} belongs into src/sys; use a port`);
  }
  for (const { index, target } of importsOf(file)) {
    if (/^(?:node:|bun(?::|$))/.test(target)) report(index, "host", `"${target}" belongs into src/sys; use a port`);
  }
};

const packages: Rule = (file, report, tree) => {
  for (const { index, target } of importsOf(file)) {
    if (target.startsWith(".")) {
      if (!/\.(?:ts|json|html|css|js|txt|svg|yaml)$/.test(target))
        report(index, "extension", `"${target}" wants its file extension`);
      continue;
    }
    if (file.room === "" || file.isAside || /^(?:node:|bun(?::|$))/.test(target)) continue;
    const name = target.startsWith("@") ? target.split("/", 2).join("/") : (target.split("/", 1)[0] ?? "");
    if (!tree.dependencies.has(name)) report(index, "package", `"${name}" is not under "dependencies" in package.json`);
  }
};

const style: Rule = (file, report) => {
  for (const match of file.code.matchAll(/^[ \t]*(?:export[ \t]+)?(?:declare[ \t]+)?(?:const[ \t]+)?enum[ \t]+\w/gm)) {
    report(match.index, "enum", "no enum: use a const object and a type of its values");
  }
  if (file.room === "") return;
  for (const match of file.code.matchAll(/^[ \t]*export[ \t]+default\b/gm)) {
    report(match.index, "default-export", "no default export: name it");
  }
  if (/(?:^|\/)index\.ts$/.test(file.path)) report(0, "barrel", "no index.ts: import the file that defines the name");
};

const size: Rule = (file, report) => {
  const lines = file.text.split("\n");
  const count = lines.at(-1) === "" ? lines.length - 1 : lines.length;
  if (file.room !== "" && !file.isTest && count > fileLinesMax) {
    report(0, "file-length", `${count} lines; at most ${fileLinesMax}`);
  }
  let index = 0;
  for (const line of lines) {
    if (line.length > lineColumnsMax && !/https?:\/\//.test(line)) {
      report(index, "line-length", `${line.length} columns; at most ${lineColumnsMax}`);
    }
    index += line.length + 1;
  }
};

const controlWords = /(?:^|[^\w$.])(?:if|for|while|switch|catch|with|await)$/;

/**
 * Whether the brace at `open` begins the body of a function; `header` is the code before it back to the last ; { or }.
 */
function beginsFunction(code: string, open: number, header: string, afterReturnType: boolean): boolean {
  const before = header.trimEnd();
  if (before.endsWith("=>")) return true;
  if (afterReturnType && before === "") return true;
  if (/\bclass\b|\binterface\b|\bnamespace\b/.test(before)) return false;
  if (/\)\s*:[^=]*$/.test(before)) return !/[?&|]\s*$/.test(before) && !before.trimEnd().endsWith(":");
  if (!before.endsWith(")")) return false;
  let depth = 0;
  let at = open - 1;
  for (; at >= 0; at--) {
    if (code[at] === ")") depth++;
    else if (code[at] === "(" && --depth === 0) break;
  }
  return !controlWords.test(code.slice(Math.max(0, at - 16), at).trimEnd());
}

const functionLength: Rule = (file, report) => {
  if (file.isTest) return;
  const { code } = file;
  const open: { index: number; isFunction: boolean; isReturnType: boolean }[] = [];
  let headerStart = 0;
  let afterReturnType = false;
  for (let i = 0; i < code.length; i++) {
    const c = code[i];
    if (c === "{") {
      const header = code.slice(headerStart, i);
      const isFunction = beginsFunction(code, i, header, afterReturnType);
      open.push({ index: i, isFunction, isReturnType: !isFunction && /\)\s*:[^=]*$/.test(header) });
      headerStart = i + 1;
      afterReturnType = false;
    } else if (c === "}") {
      const block = open.pop();
      afterReturnType = block?.isReturnType ?? false;
      headerStart = i + 1;
      if (block?.isFunction !== true) continue;
      const lines = lineOf(code.slice(block.index, i), i);
      if (lines > functionLinesMax)
        report(block.index, "function-length", `a function of ${lines} lines; at most ${functionLinesMax}`);
    } else if (c === ";") {
      headerStart = i + 1;
      afterReturnType = false;
    }
  }
};

const header: Rule = (file, report) => {
  if (!/^(?:#![^\n]*\n)?\/[/*]/.test(file.text))
    report(0, "header", "open with a comment: what this file is and is not");
};

const testWords: Rule = (file, report) => {
  if (!file.isTest) return;
  for (const match of file.code.matchAll(/\b(?:test|it|describe)\.(only|skip|todo)\b/g)) {
    if (match[1] === "only") {
      report(match.index, "test-only", "a test that keeps all others from running");
      continue;
    }
    const line = lineOf(file.text, match.index);
    const nearby = file.comments.split("\n").slice(Math.max(0, line - 2), line);
    if (!nearby.some((text) => /\/[/*]\s*\S/.test(text))) {
      report(match.index, "test-skip", `.${match[1]} without a comment that says why`);
    }
  }
};

const fuzzTarget: Rule = (file, report) => {
  if (file.path.endsWith(".fuzz.ts") && !/\bexport const target\b/.test(file.code)) {
    report(0, "fuzz-target", "a *.fuzz.ts file exports `target`");
  }
};

// The patterns are written so that they do not match this file.
const unfinished = new RegExp(
  [
    "\\bT[O]DO\\b",
    "\\bFIX[M]E\\b",
    "\\bX[X]X\\b",
    "[Nn]ot supported y[e]t",
    "[Nn]ot yet s[u]pported",
    "[Cc]oming s[o]on",
  ]
    .concat("not (?:yet )?implement[e]d") // lower case: "Not Implemented" is what status 501 is called
    .join("|"),
  "g",
);
const machinePaths = /(?<![\w.])\/(?:w[o]rk|f[a]rm)\/|\/tmp\/bash[_]jobs/g;

const words: Rule = (file, report) => {
  for (const match of file.text.matchAll(unfinished))
    report(match.index, "words", `"${match[0]}": finish it or leave it out`);
  for (const match of file.text.matchAll(machinePaths)) report(match.index, "machine-path", "a path of one machine");
};

/** The anchor GitHub gives a heading. */
function anchorOf(heading: string): string {
  const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
  return text
    .trim()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replace(/\s/g, "-");
}

/** Markdown with code blocks and inline code blanked. */
function proseOf(text: string): string {
  const spaces = (piece: string): string => piece.replace(/[^\n]/g, " ");
  return text.replace(/^( *)(```+|~~~+)[^\n]*\n[\s\S]*?^\1\2[ \t]*$/gm, spaces).replace(/`[^`\n]*`/g, spaces);
}

const links: Rule = (file, report, tree) => {
  const prose = proseOf(file.text);
  for (const match of prose.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)|^\[[^\]]+\]:\s*(\S+)/gm)) {
    const target = match[1] ?? match[2] ?? "";
    if (/^[a-z][a-z0-9+.-]*:/i.test(target)) continue;
    const [place = "", anchor = ""] = decodeURIComponent(target).split("#", 2);
    const path =
      place === "" ? file.path : normalise(place.startsWith("/") ? place : `${folderOf(file.path)}/${place}`);
    if (place !== "" && !tree.exists(path)) report(match.index, "link", `${target}: there is no ${path}`);
    else if (anchor !== "" && path.endsWith(".md")) {
      const headings = proseOfHeadings(place === "" ? file.text : tree.read(path));
      if (!headings.has(anchor)) report(match.index, "link", `${target}: no heading #${anchor} in ${path}`);
    }
  }
};

function proseOfHeadings(text: string): ReadonlySet<string> {
  const withoutBlocks = text.replace(/^( *)(```+|~~~+)[^\n]*\n[\s\S]*?^\1\2[ \t]*$/gm, "");
  return new Set([...withoutBlocks.matchAll(/^#{1,6}[ \t]+(.+?)[ \t]*#*$/gm)].map((match) => anchorOf(match[1] ?? "")));
}

const codeRules: readonly Rule[] = [
  rank,
  host,
  packages,
  style,
  size,
  functionLength,
  header,
  testWords,
  fuzzTarget,
  words,
];
const proseRules: readonly Rule[] = [links, words];
const textRules: readonly Rule[] = [words];

const allowance = /(?:\/\/|#|<!--)[ \t]*tidy: allow ([\w-]+)(?::[ \t]*(\S[^\n]*))?/g;

/**
 * Drops the findings that an allowance covers: on its line or the next, for file-length and header anywhere in the
 * file.
 */
function applyAllowances(file: Subject, findings: readonly Finding[]): Finding[] {
  const where = file.isCode ? file.comments : proseOf(file.text);
  const allowances = [...where.matchAll(allowance)].map((match) => {
    return { line: lineOf(file.text, match.index), rule: match[1] ?? "", reason: match[2] ?? "", used: false };
  });
  const kept = findings.filter((finding) => {
    const cover = allowances.find((entry) => {
      const near = entry.line === finding.line || entry.line + 1 === finding.line;
      return entry.rule === finding.rule && (near || finding.rule === "file-length");
    });
    if (cover !== undefined) cover.used = true;
    return cover === undefined;
  });
  for (const { line, rule: name, reason, used } of allowances) {
    if (reason === "") kept.push({ path: file.path, line, rule: "allow", message: `allowing ${name} wants a reason` });
    else if (!used)
      kept.push({ path: file.path, line, rule: "allow", message: `nothing here breaks the rule ${name}` });
  }
  return kept;
}

/** Everything wrong with one file, in line order. */
export function inspect(file: SourceFile, tree: Tree): Finding[] {
  const isCode = file.path.endsWith(".ts");
  const masked = isCode ? mask(file.text) : { code: "", comments: "" };
  const subject: Subject = {
    ...file,
    ...masked,
    isCode,
    room: /^src\/([^/]+)\//.exec(file.path)?.[1] ?? "",
    isAside: /\.(?:test|fuzz|bench)\.ts$/.test(file.path),
    isTest: file.path.endsWith(".test.ts"),
  };
  const findings: Finding[] = [];
  const report: Report = (index, rule, message) => {
    findings.push({ path: file.path, line: lineOf(file.text, index), rule, message });
  };
  const rules = isCode ? codeRules : file.path.endsWith(".md") ? proseRules : textRules;
  for (const rule of rules) rule(subject, report, tree);
  return applyAllowances(subject, findings).sort((a, b) => a.line - b.line);
}
