// docs/guide/testing.md does what it says: its commands print what it shows, its TypeScript tests pass under bun test.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { runSluice } from "./lib/command.ts";

const root = resolve(import.meta.dir, "../..");
const text = readFileSync(join(root, "docs/guide/testing.md"), "utf8");
const dir = mkdtempSync(join(tmpdir(), "sluice-guide-"));

function blocks(language: string): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map((match) => match[1]!);
}

beforeAll(() => {
  writeFileSync(join(dir, "sluice.yaml"), blocks("yaml")[0]!);
  mkdirSync(join(dir, "node_modules"));
  symlinkSync(root, join(dir, "node_modules/sluice"));
  for (const code of blocks("ts")) writeFileSync(join(dir, /^\/\/ (\S+\.test\.ts)$/m.exec(code)![1]!), code);
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Words of a command line, with single quotes. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2]!);
}

const commands = blocks("console").map((block) => {
  const [line = "", ...output] = block.split("\n");
  return [line.replace(/^\$ /, ""), output.join("\n")] as const;
});

test.each(commands)("%s", async (line, output) => {
  const [program, ...args] = wordsOf(line);
  expect(program).toBe("sluice");
  expect((await runSluice(args, { dir, env: { NO_COLOR: "1" } })).stdout).toBe(output);
});

test("a failing test looks as shown", async () => {
  const worse = blocks("yaml")[0]!.replace("weight: 90", "weight: 40");
  const { code, stdout } = await runSluice(["check", "--test", "x.yaml"], { files: { "x.yaml": worse } });
  expect(code).toBe(1);
  expect(stdout.replace(/found 19\.9%|found 20\.1%/, "found 20%")).toContain(blocks("text")[0]!);
});

test("the tests in TypeScript pass", async () => {
  const child = Bun.spawn([process.execPath, "test"], {
    cwd: dir,
    stdio: ["ignore", "ignore", "pipe"],
    timeout: 20_000,
  });
  const report = await new Response(child.stderr).text();
  expect([await child.exited, report]).toEqual([0, expect.stringContaining("11 pass")]);
});

test("every expectation is listed", () => {
  const source = readFileSync(join(root, "src/explain/expect-route.ts"), "utf8");
  const declared = /interface RouteExpectation[^{]*\{([\s\S]*?)^\}/m.exec(source)![1]!;
  const names = [...declared.matchAll(/^ {2}(to\w+)\(/gm)].map((match) => match[1]);
  expect([...text.matchAll(/^\| `(to\w+)\(/gm)].map((match) => match[1])).toEqual(names);
});
