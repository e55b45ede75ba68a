// Every rule of tidy catches what it is for and lets the neighbouring good case pass. The fixtures are strings, so that
// the tree itself stays clean.

import { describe, expect, test } from "bun:test";
import { mask } from "./tidy-mask.ts";
import { inspect, type Tree } from "./tidy-rules.ts";
import { wrapComments } from "./tidy-wrap.ts";

const files: Readonly<Record<string, string>> = {
  "docs/guide.md": "# Guide\n\n## What it `does`, and why\n",
  "README.md": "# Readme\n",
};
const tree: Tree = {
  exists: (path) => path in files || path === "docs",
  read: (path) => files[path] ?? "",
  dependencies: new Set(["yaml"]),
};

const opening = "// What this file is.\n";

/** The names of the rules that a file breaks; the file gets an opening comment. */
function broken(path: string, text: string): string[] {
  return inspect({ path, text: path.endsWith(".ts") ? opening + text : text }, tree).map((finding) => finding.rule);
}

describe("rank", () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ["src/http/a.ts", "../wire/b.ts", true],
    ["src/http/a.ts", "./b.ts", true],
    ["src/wire/h1/a.ts", "../head.ts", true],
    ["src/wire/h1/a.ts", "../../base/b.ts", true],
    ["src/wire/a.ts", "../http/b.ts", false],
    ["src/http/a.ts", "../health/b.ts", false], // the same rank
    ["src/config/a.ts", "../wire/b.ts", false],
    ["src/base/a.ts", "../model/b.ts", false],
    ["src/runtime/a.ts", "../sys/b.ts", true],
    ["src/cli/a.ts", "../sys/b.ts", true],
    ["src/compile/a.ts", "../sys/b.ts", false],
    ["src/sys/a.ts", "../base/b.ts", true],
    ["src/sys/a.ts", "../wire/b.ts", false],
    ["src/nonsense/a.ts", "./b.ts", false],
    ["src/http/a.ts", "../nonsense/b.ts", false],
    ["src/cli/a.ts", "../../tools/b.ts", false],
    ["src/http/a.test.ts", "../sys/b.ts", true],
    ["src/http/a.fuzz.ts", "../../tools/fuzz.ts", true],
    ["tools/a.ts", "../src/http/b.ts", true],
  ];
  test.each(cases.map(([path, target, fine]) => [path, target, fine] as const))(
    "%s imports %s: %p",
    (path, target, fine) => {
      const forms = [
        `import { b } from "${target}";`,
        `import type { B } from "${target}";`,
        `import {\n  a,\n  b,\n} from "${target}";`,
        `export * from '${target}';`,
        `const b = await import("${target}");`,
        `import "${target}";`,
      ];
      const tail = path.endsWith(".fuzz.ts") ? "\nexport const target = {};" : "";
      for (const form of forms) expect(broken(path, form + tail).includes("rank")).toBe(!fine);
    },
  );

  test("comments and strings import nothing", () => {
    const text =
      '// import { b } from "../cli/b.ts";\nconst s = \'import { b } from "../cli/b.ts"\';\nBuffer.from("../x/y.ts");';
    expect(broken("src/wire/a.ts", text)).toEqual([]);
  });
});

describe("host", () => {
  const calls = [
    "Bun.listen()",
    "const t = Date.now();",
    "setTimeout(f, 1)",
    "setInterval (f, 1)",
    "globalThis.setTimeout(f)",
    "Math.random()",
    "performance.now()",
    "process.exit(1)",
    "const d = new Date();",
    'import { x } from "node:fs";',
    'import { x } from "bun:ffi";',
    'import { x } from "bun";',
    "const s = `a${Bun.version}b`;",
    "const h = import.meta.dir;",
  ];
  test.each(calls)("%s", (call) => {
    expect(broken("src/http/a.ts", call)).toEqual(["host"]);
    expect(broken("src/sys/a.ts", call)).toEqual([]);
    expect(broken("src/http/a.test.ts", call)).toEqual([]);
    expect(broken("tools/a.ts", call)).toEqual([]);
  });

  test("what only looks like it", () => {
    const text = [
      "// Bun.listen and Date.now are for sys",
      'const a = "Bun.listen";',
      "const b = `setTimeout(${c})`;",
      "const d = /process.exit/;",
      "x.process.run(); clock.performance.now; my.setTimeout(f); new Date(ms); wheel.setInterval(1);",
    ];
    expect(broken("src/http/a.ts", text.join("\n"))).toEqual([]);
  });
});

describe("style", () => {
  test("enum, default export, barrel", () => {
    expect(broken("src/http/a.ts", "enum A { B }")).toEqual(["enum"]);
    expect(broken("tools/a.ts", "export const enum A { B }")).toEqual(["enum"]);
    expect(broken("src/http/a.ts", "export default 1;")).toEqual(["default-export"]);
    expect(broken("examples/a.config.ts", "export default 1;")).toEqual([]);
    expect(broken("src/http/index.ts", "")).toEqual(["barrel"]);
    expect(broken("src/http/a.ts", 'const enumerate = "enum A";')).toEqual([]);
  });

  test("packages and extensions", () => {
    expect(broken("src/config/a.ts", 'import { parse } from "yaml";')).toEqual([]);
    expect(broken("src/config/a.ts", 'import ws from "ws";')).toEqual(["package"]);
    expect(broken("src/config/a.test.ts", 'import ws from "ws";')).toEqual([]);
    expect(broken("src/http/a.ts", 'import { b } from "./b";')).toEqual(["extension"]);
    expect(broken("tools/a.ts", 'import { b } from "./b.js";')).toEqual([]);
  });

  test("an opening comment", () => {
    expect(inspect({ path: "src/http/a.ts", text: "const a = 1;\n" }, tree)).toMatchObject([
      { rule: "header", line: 1 },
    ]);
    expect(inspect({ path: "tools/a.ts", text: "#!/usr/bin/env bun\n// What.\n" }, tree)).toEqual([]);
  });
});

describe("size", () => {
  test("files of 600 lines, lines of 120 columns", () => {
    const filler = (lines: number): string => "a();\n".repeat(lines - 1);
    expect(broken("src/http/a.ts", filler(600))).toEqual([]);
    expect(broken("src/http/a.ts", filler(601))).toEqual(["file-length"]);
    expect(broken("src/http/a.test.ts", filler(601))).toEqual([]);
    expect(broken("src/http/a.ts", `f("${"x".repeat(115)}")`)).toEqual([]);
    expect(broken("src/http/a.ts", `f("${"x".repeat(116)}")`)).toEqual(["line-length"]);
    expect(broken("src/http/a.ts", `// https://example.com/${"x".repeat(116)}`)).toEqual([]);
  });

  /** A body that spans `lines` lines from its opening brace to its closing one. */
  const body = (lines: number): string => `{\n${"a();\n".repeat(lines - 2)}}`;
  const heads = [
    "export function f(a: number): void ",
    "function f(\n  a: { b: number },\n): { c: number } ",
    "async function* f() ",
    "const f = (a: number): Map<string, number> => ",
    "const f = async (a) => ",
    "const f = function () ",
    "class A {\n  constructor(a: number) ",
    "class A {\n  private async f<T>(a: T = {} as T): Promise<T> ",
    "const o = {\n  f() ",
  ];
  test.each(heads)("functions of 70 lines: %s", (head) => {
    const close = /^(?:class|const o)/.test(head) ? "\n}" : "";
    expect(broken("src/http/a.ts", head + body(70) + close)).toEqual([]);
    expect(broken("src/http/a.ts", head + body(71) + close)).toEqual(["function-length"]);
    expect(broken("src/http/a.test.ts", head + body(71) + close)).toEqual([]);
  });

  test("long blocks that are no functions", () => {
    for (const head of [
      "if (a) ",
      "for (;;) ",
      "while (f(b)) ",
      "switch (a) ",
      "export interface A ",
      "const a = ",
      "class A ",
    ]) {
      expect(broken("src/http/a.ts", head + body(90))).toEqual([]);
    }
    expect(broken("src/http/a.ts", `try {\n} catch (error) ${body(90)}`)).toEqual([]);
  });
});

describe("tests and fuzz targets", () => {
  test("only and skip", () => {
    expect(broken("src/a/a.test.ts", 'test.only("x", f);')).toEqual(["test-only"]);
    expect(broken("test/a.test.ts", '\ndescribe.skip("x", f);')).toEqual(["test-skip"]);
    expect(broken("test/a.test.ts", 'const a = 1;\n// needs root\ntest.skip("x", f);')).toEqual([]);
    expect(broken("test/a.test.ts", 'test.todo("x"); // until the kernel has it')).toEqual([]);
    expect(broken("test/a.test.ts", 'test("test.only", f); x.only();')).toEqual([]);
  });

  test("a fuzz file exports its target", () => {
    expect(broken("src/wire/a.fuzz.ts", "export const target = {};")).toEqual([]);
    expect(broken("src/wire/a.fuzz.ts", "const target = {};")).toEqual(["fuzz-target"]);
  });
});

describe("words", () => {
  test("unfinished work and paths of one machine, in any text file", () => {
    for (const path of ["src/http/a.ts", "docs/a.md", "examples/a.yaml"]) {
      // In two halves, so that this file itself stays clean.
      const halves = ["TO|DO", "FIX|ME", "X|XX", "not supported y|et", "coming s|oon", "/wo|rk/x", "not imple|mented"];
      const mark = path.endsWith(".ts") ? "//" : "#";
      for (const word of halves) expect(broken(path, `${mark} ${word.replace("|", "")}`).length).toBe(1);
    }
    expect(broken("docs/a.md", "mktemp /tmp/a.XXXXXX, 501 Not Implemented, ./network/x, not supported")).toEqual([]);
  });
});

describe("links", () => {
  test("resolve to a file and a heading", () => {
    const good =
      "[a](guide.md) [b](../README.md) [c](guide.md#what-it-does-and-why) [d](https://example.com) [e](#here)\n\n# Here\n";
    expect(broken("docs/other.md", good)).toEqual([]);
    expect(broken("docs/other.md", "[a](missing.md)")).toEqual(["link"]);
    expect(broken("docs/other.md", "[a](guide.md#missing)")).toEqual(["link"]);
    expect(broken("docs/other.md", "[a](#missing)")).toEqual(["link"]);
    expect(broken("docs/other.md", "[a]: missing.md")).toEqual(["link"]);
    expect(broken("docs/other.md", "`[a](missing.md)`\n```\n[a](missing.md)\n```\n")).toEqual([]);
  });
});

describe("allowances", () => {
  test("cover their line or the next one, want a reason, and must be needed", () => {
    expect(broken("src/http/a.ts", "// tidy: allow host: the one place\nDate.now();")).toEqual([]);
    expect(broken("src/http/a.ts", "Date.now(); // tidy: allow host: the one place")).toEqual([]);
    expect(broken("src/http/a.ts", "// tidy: allow host\nDate.now();")).toEqual(["allow"]);
    expect(broken("src/http/a.ts", "// tidy: allow host: too far\n\nDate.now();")).toEqual(["allow", "host"]);
    expect(broken("src/http/a.ts", "// tidy: allow rank: wrong one\nDate.now();")).toEqual(["allow", "host"]);
    expect(broken("src/http/a.ts", "// tidy: allow host: of no use\na();")).toEqual(["allow"]);
    expect(broken("src/http/a.ts", `// tidy: allow file-length: one table\n${"a();\n".repeat(700)}`)).toEqual([]);
  });
});

test("findings carry the line they are on", () => {
  const text = `${opening}\nconst a = 1;\n\nDate.now();\n`;
  expect(inspect({ path: "src/http/a.ts", text }, tree)).toMatchObject([
    { path: "src/http/a.ts", line: 5, rule: "host" },
  ]);
});

describe("mask", () => {
  test("keeps length and lines, and knows strings, templates, comments, regular expressions and divisions", () => {
    const text =
      'a = "/* no */"; // c1\nb = x / y / z; /* c2\n */ c = /[/"]"\\//g.test(d); e = `1 ${f({ g: "}" })} 2`;';
    const { code, comments } = mask(text);
    expect(code.length).toBe(text.length);
    expect(code.split("\n").length).toBe(text.split("\n").length);
    expect(comments.split("\n").map((line) => line.trim())).toEqual(["// c1", "/* c2", "*/"]);
    expect(code).toContain("b = x / y / z;");
    expect(code).toContain(".test(d); e = `");
    expect(code).toContain("{f({ g:");
    expect(code).not.toContain("no");
  });
});

describe("wrapComments", () => {
  test("fills a paragraph and leaves code, lists and URLs alone", () => {
    const text = [
      "  // one two three four five six",
      "  // seven",
      "  // - a list",
      "  const a = 123456789012345678901234567890;",
    ];
    expect(wrapComments(text.join("\n"), 24).split("\n")).toEqual([
      "  // one two three four",
      "  // five six seven",
      "  // - a list",
      "  const a = 123456789012345678901234567890;",
    ]);
    expect(wrapComments("// https://example.com/a/long/path", 20)).toBe("// https://example.com/a/long/path");
  });

  test("opens a one-line docstring, and moves a comment behind code above it", () => {
    expect(wrapComments("/** one two three four */\nf();", 16)).toBe("/**\n * one two three\n * four\n */\nf();");
    expect(wrapComments("  const a = 1; // one two three", 20)).toBe("  // one two three\n  const a = 1;");
    expect(wrapComments('  const url = "a // b c d e f g h";', 20)).toBe('  const url = "a // b c d e f g h";');
  });
});
