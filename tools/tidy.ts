// Checks the text of the tree against the habits of docs/STYLE.md and the folder ranks of docs/ARCHITECTURE.md: what
// compiler, formatter and linter do not see. Prints "file:line: rule: message" and exits 1 when there is any; --fix
// wraps wide comments. The rules are in tidy-rules.ts.

import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Finding, inspect, lineColumnsMax, type SourceFile, type Tree } from "./tidy-rules.ts";
import { wrapComments } from "./tidy-wrap.ts";

const root = resolve(import.meta.dir, "..");
const skippedFolders: ReadonlySet<string> = new Set(["node_modules", ".git", "dist", "coverage", "tmp"]);
const textFiles = /\.(?:ts|js|json|md|sh|toml|yaml|yml|html|css|cfg|conf|txt)$|^(?:bin|tools|\.ci)\/[\w-]+$/;

/** Paths from the root of every text file that is part of the tree. */
function listFiles(folder = ""): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      if (!skippedFolders.has(entry.name)) found.push(...listFiles(path));
    } else if (entry.isFile() && textFiles.test(path) && entry.name !== "package-lock.json") found.push(path);
  }
  return found;
}

function openTree(): Tree {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  return {
    exists: (path) => statSync(join(root, path), { throwIfNoEntry: false }) !== undefined,
    read: (path) => readFileSync(join(root, path), "utf8"),
    dependencies: new Set([...Object.keys(manifest.dependencies), "sluice"]),
  };
}

/** Mends what can be mended without thought: comments that are too wide. */
function mend(files: readonly SourceFile[]): SourceFile[] {
  return files.map((file) => {
    if (!file.path.endsWith(".ts")) return file;
    const text = wrapComments(file.text, lineColumnsMax);
    if (text !== file.text) writeFileSync(join(root, file.path), text);
    return { path: file.path, text };
  });
}

/** Arguments: --fix, and paths to look at instead of the whole tree. */
function main(args: readonly string[]): number {
  const paths = args.filter((word) => !word.startsWith("-"));
  const tree = openTree();
  const chosen = listFiles().filter((path) => paths.length === 0 || paths.some((prefix) => path.startsWith(prefix)));
  const files = chosen.map((path) => ({ path, text: tree.read(path) }));
  const findings: Finding[] = [];
  for (const file of args.includes("--fix") ? mend(files) : files) findings.push(...inspect(file, tree));
  for (const { path, line, rule, message } of findings) process.stdout.write(`${path}:${line}: ${rule}: ${message}\n`);
  if (findings.length > 0) process.stdout.write(`${findings.length} findings\n`);
  return findings.length > 0 ? 1 : 0;
}

if (import.meta.main) process.exit(main(process.argv.slice(2)));
