// What the documents and examples show must load: every ```yaml block is a whole configuration, every file under examples/ too.
// Links are tidy's business.

import { Glob } from "bun";
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { type Loaded, loadText, loadValue } from "../src/config/load.ts";
import { formatDiagnostic } from "../src/model/diagnostic.ts";

const root = resolve(import.meta.dir, "..");

function filesOf(pattern: string): string[] {
  return [...new Glob(pattern).scanSync(root)].sort();
}

/** The code blocks of one language, with the line each begins on. */
function blocksOf(text: string, language: string): { readonly line: number; readonly code: string }[] {
  const fence = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm");
  return [...text.matchAll(fence)].map((match) => {
    return { line: text.slice(0, match.index).split("\n").length, code: match[1] ?? "" };
  });
}

function expectSound(loaded: Loaded): void {
  expect(loaded.diagnostics.map(formatDiagnostic)).toEqual([]);
  expect(loaded.config).not.toBeNull();
}

const documents = ["README.md", "CHANGELOG.md", ...filesOf("docs/**/*.md")];
const blocks = documents.flatMap((path) => {
  return blocksOf(readFileSync(resolve(root, path), "utf8"), "yaml").map((block) => ({ path, ...block }));
});

describe("documents", () => {
  test("there are configurations in them", () => {
    expect(blocks.length).toBeGreaterThan(5);
  });

  test.each(blocks.map((block) => [`${block.path}:${block.line}`, block.code] as const))("%s", (place, code) => {
    expectSound(loadText(code, place));
  });
});

describe("examples", () => {
  test.each(filesOf("examples/**/*.yaml"))("%s", (path) => {
    expectSound(loadText(readFileSync(resolve(root, path), "utf8"), path));
  });

  test.each(filesOf("examples/**/*.ts"))("%s", async (path) => {
    const module = (await import(resolve(root, path))) as { readonly default: unknown };
    expectSound(loadValue(module.default, path));
  });

  test("the YAML example shows every key that the model has", () => {
    const text = readFileSync(resolve(root, "examples/sluice.yaml"), "utf8");
    const seen = new Set([...text.matchAll(/(?<![\w.])([A-Za-z]\w*):(?=\s|$)/g)].map((match) => match[1]));
    const missing = schemaKeys().filter((key) => !seen.has(key));
    expect(missing).toEqual([]);
  });
});

/** The names of all keys in the source of the schema. */
function schemaKeys(): string[] {
  const source = readFileSync(resolve(root, "src/config/schema.ts"), "utf8");
  return [...new Set([...source.matchAll(/^ +([A-Za-z]\w*): (?:key|required)\(/gm)].map((match) => match[1] ?? ""))];
}
