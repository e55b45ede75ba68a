// What the documents and examples show must load: every ```yaml block is a whole configuration, every file under
// examples/ too. Links are tidy's business.

import { Glob } from "bun";
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { formatMetrics } from "../src/admin/metrics.ts";
import { limits } from "../src/base/limits.ts";
import { causeWord, failure, formatTermination, Phase, ruleOf, Side, FailureCause } from "../src/base/failure.ts";
import { LogLevel } from "../src/base/ports.ts";
import { schemaKeys } from "../src/config/json-schema.ts";
import { type Loaded, loadText, loadValue } from "../src/config/load.ts";
import { formatDiagnostic } from "../src/model/diagnostic.ts";
import { accessLogFields } from "../src/model/log-fields.ts";
import { FakeHost, FakeWorld } from "../src/runtime/fakes.ts";
import { LevelLog } from "../src/runtime/level-log.ts";
import { Supervisor } from "../src/runtime/supervisor.ts";
import { columnsBytes, openColumns } from "../src/stats/columns.ts";
import { importBundle } from "../src/sys/bundle.ts";

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

describe("TypeScript in documents", () => {
  const typed = documents.flatMap((path) => {
    return blocksOf(readFileSync(resolve(root, path), "utf8"), "ts").map((block) => ({ path, ...block }));
  });
  const excerpt = /^\/\/ (examples\/\S+)\n/;

  const excerpts = typed.filter(({ code }) => excerpt.test(code));
  test.each(excerpts.map(({ path, line, code }) => [`${path}:${line}`, code] as const))(
    "%s is in the file",
    (_, code) => {
      const file = excerpt.exec(code)![1]!;
      expect(readFileSync(resolve(root, file), "utf8")).toContain(code.replace(excerpt, ""));
    },
  );

  const wholes = typed.filter(({ path, code }) => path.endsWith("hooks.md") && code.includes("export default"));
  test.each(wholes.map(({ path, line, code }) => [`${path}:${line}`, code] as const))("%s", async (place, code) => {
    expect(wholes.length).toBeGreaterThan(0);
    expectSound(loadValue(await importBundle(new Bun.Transpiler({ loader: "ts" }).transformSync(code)), place));
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
    const missing = keyNames().filter((key) => !seen.has(key));
    expect(missing).toEqual([]);
  });
});

/** The names of all keys, but those that only TypeScript has. */
function keyNames(): string[] {
  const keys = schemaKeys().filter(({ path }) => !/\.hooks(\.|$)/.test(path));
  return [...new Set(keys.map(({ key }) => key))];
}

describe("docs/guide/operations.md", () => {
  const text = readFileSync(resolve(root, "docs/guide/operations.md"), "utf8");

  /** Cells of every table row, without padding. */
  const rows = [...text.matchAll(/^\|(.*)\|$/gm)].map((match) =>
    (match[1] ?? "").split("|").map((cell) => cell.trim()),
  );

  test("lists every metric with its help, and no other", () => {
    const listed = rows.filter(([name]) => name?.startsWith("`sluice_")).map(([name, , help]) => `${name} ${help}`);
    expect(listed).toEqual(metricHelps());
  });

  test("lists every placeholder of the access log, and no other", () => {
    const listed = rows.flatMap(([name]) => [...(name ?? "").matchAll(/`\{(\w+)\}`/g)].map((match) => match[1] ?? ""));
    expect(listed.sort()).toEqual([...accessLogFields].sort());
  });

  test("lists every letter of the termination codes", () => {
    const listed = new Set(rows.map(([name]) => /^`([A-Z])`$/.exec(name ?? "")?.[1]));
    for (const side of Object.values(Side)) {
      for (const phase of Object.values(Phase)) {
        const code = formatTermination(failure(side, phase, FailureCause.Reset));
        for (const letter of code.replaceAll("-", "")) expect(listed).toContain(letter);
      }
    }
  });

  test("lists every cause with the statuses it leads to", () => {
    const causes = Object.values(FailureCause).filter((cause) => cause !== FailureCause.None);
    for (const cause of causes) {
      const word = causeWord(failure(Side.Proxy, Phase.Queue, cause));
      const row = rows.find(([name]) => name === `\`${word}\``);
      expect(row).toBeDefined();
      const given = new Set((row?.[2] ?? "").match(/\d{3}/g));
      for (const status of given) expect(statusesOf(cause)).toContain(Number(status));
    }
  });

  test("says how many log bytes may wait, and how many events are kept", () => {
    const of = (name: string): number => limits.find((limit) => limit.name === name)?.value ?? 0;
    expect(of("logBufferBytesMax")).toBe(1024 * 1024);
    expect(text).toContain(`The last ${of("eventsKept")} are`);
  });
});

/** Every status that a cause may come out as, over all sides and phases. */
function statusesOf(cause: FailureCause): Set<number> {
  const all = new Set<number>();
  for (const side of Object.values(Side)) {
    for (const phase of Object.values(Phase)) {
      for (const reused of [false, true]) all.add(ruleOf(failure(side, phase, cause, reused)).status);
    }
  }
  return all;
}

/** "`name` help" of every metric, from a supervisor that was never started. */
function metricHelps(): string[] {
  const world = new FakeWorld();
  const size = { workers: 1, listeners: 1, endpoints: 1 };
  const supervisor = new Supervisor({
    env: world.env,
    host: new FakeHost(),
    columns: openColumns(new ArrayBuffer(columnsBytes(size)), size),
    log: new LevelLog(world.env.log, LogLevel.Info),
    cpuCount: 1,
    load: () => Promise.resolve({ config: null, diagnostics: [] }),
    startAdmin: () => ({ address: "", setToken() {}, stop() {} }),
  });
  const helps = [...formatMetrics(supervisor, 0).matchAll(/^# HELP (\S+) (.*)$/gm)];
  return helps.map((match) => `\`${match[1]}\` ${match[2]}`);
}
