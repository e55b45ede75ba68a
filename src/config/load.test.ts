// Loading files: which front end reads them, what becomes of files that cannot be read, and the rules of places and
// bounds.

import { describe, expect, test } from "bun:test";
import { configBytesMax, configDepthMax, diagnosticsMax, endpointRowsMax, listenersMax } from "../base/limits.ts";
import type { Diagnostic } from "../model/diagnostic.ts";
import { loadFile, loadText, loadValue, type ConfigFiles, type ModuleResult } from "./load.ts";

const good = 'listeners: { web: { bind: 127.0.0.1:80, forward: app } }\npools: { app: { endpoints: ["a:1"] } }\n';

function files(content: Uint8Array | string | Error, module?: ModuleResult): ConfigFiles {
  return {
    readBytes() {
      if (content instanceof Error) throw content;
      return typeof content === "string" ? new TextEncoder().encode(content) : content;
    },
    importDefault: () => Promise.resolve(module ?? { value: undefined, hooks: null }),
  };
}

const brief = (diagnostics: readonly Diagnostic[]): string[] =>
  diagnostics.map((d) => `${d.at.line}:${d.at.column} ${d.path}: ${d.message}`);

describe("front ends", () => {
  test("YAML by name, and JSON as a part of it", async () => {
    expect((await loadFile("x.yaml", files(good))).config?.pools[0]?.name).toBe("app");
    const json = JSON.stringify({ listeners: {}, pools: {} });
    expect((await loadFile("x.json", files(json))).config?.listeners).toEqual([]);
  });

  test("modules by name and by content", async () => {
    const value = {
      listeners: { web: { bind: "127.0.0.1:80", forward: "app" } },
      pools: { app: { endpoints: ["a:1"] } },
    };
    for (const [name, text] of [
      ["sluice.config.ts", ""],
      ["x.mjs", ""],
      ["config", 'import { x } from "./y";\nexport default {}'],
    ] as const) {
      expect((await loadFile(name, files(text, { value, hooks: null }))).config?.pools[0]?.name).toBe("app");
    }
  });

  test("mistakes in a module's value name the path", async () => {
    const { diagnostics } = await loadFile(
      "c.ts",
      files("", { value: { pools: { app: { endpoints: ["a"] } } }, hooks: null }),
    );
    expect(diagnostics[0]).toMatchObject({ at: { file: "c.ts", line: 0 }, path: "pools.app.endpoints[0]" });
  });

  test("a module that fails has its place", async () => {
    const fault = { message: "boo", file: "/x/helper.ts", line: 3, column: 7 };
    const { config, diagnostics } = await loadFile("c.ts", files("", { fault }));
    expect(config).toBeNull();
    expect(diagnostics[0]).toMatchObject({
      at: { file: "/x/helper.ts", line: 3, column: 7 },
      message: "the module failed: boo",
    });
  });
});

describe("files that cannot be read", () => {
  test("missing, too large, not text", async () => {
    const missing = await loadFile("x.yaml", files(new Error("cannot read x.yaml: no such file")));
    expect(missing.diagnostics[0]?.message).toBe("cannot read x.yaml: no such file");
    expect(loadText(" ".repeat(configBytesMax + 1), "x").diagnostics[0]?.message).toContain(`${configBytesMax} bytes`);
    const binary = await loadFile("x.yaml", files(Uint8Array.of(0x61, 0x3a, 0x20, 0x0a, 0x62, 0xff, 0xfe)));
    expect(brief(binary.diagnostics)[0]).toStartWith("2:2 : the file is not UTF-8");
  });
});

describe("places", () => {
  test("byte order mark and carriage returns do not move them", () => {
    const text = `\uFEFFworkers: x\r\nlog: { level: loud }\r\n${good}`;
    expect(brief(loadText(text, "x").diagnostics).map((line) => line.split(" ")[0])).toEqual(["1:10", "2:15"]);
  });

  test("an alias points to the text it stands for", () => {
    const text = `pools:\n  a: &p { endpoints: [bad] }\n  b: *p\nlisteners: {}\n`;
    expect(brief(loadText(text, "x").diagnostics).map((line) => line.split(" ")[0])).toEqual(["2:23", "2:23"]);
  });
});

describe("bounds", () => {
  test("at the limit and one beyond", () => {
    const endpoints = (count: number): string =>
      `listeners: { w: { bind: "127.0.0.1:1", forward: a } }\npools:\n  a:\n    endpoints:\n${Array.from(
        { length: count },
        (_, i) => `      - 10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:80\n`,
      ).join("")}`;
    expect(loadText(endpoints(endpointRowsMax), "x").diagnostics).toEqual([]);
    expect(brief(loadText(endpoints(endpointRowsMax + 1), "x").diagnostics)).toEqual([
      `2:1 pools: ${endpointRowsMax + 1} endpoints in all pools together; at most ${endpointRowsMax} are possible`,
    ]);
    const listeners = (count: number): unknown => ({
      listeners: Object.fromEntries(
        Array.from({ length: count }, (_, i) => [`l${i}`, { bind: `127.0.0.1:${i + 1}`, forward: "a" }]),
      ),
      pools: { a: { endpoints: ["a:1"] } },
    });
    expect(loadValue(listeners(listenersMax), "x").diagnostics).toEqual([]);
    expect(loadValue(listeners(listenersMax + 1), "x").config).toBeNull();
  });

  test("mistakes are bounded, and the last line says so", () => {
    const text = Array.from({ length: diagnosticsMax * 2 }, (_, i) => `k${i}: 1\n`).join("");
    const { diagnostics } = loadText(text, "x");
    expect(diagnostics.length).toBe(diagnosticsMax);
    expect(diagnostics.at(-1)!.message).toContain("further mistakes are not shown");
  });

  test("depth", () => {
    const nested = (depth: number): string => `x: ${"[".repeat(depth)}${"]".repeat(depth)}\n`;
    expect(brief(loadText(nested(configDepthMax), "x").diagnostics)[0]).toContain("unknown key");
    expect(brief(loadText(nested(configDepthMax + 1), "x").diagnostics)[0]).toContain("nested deeper");
    expect(brief(loadText(nested(20_000), "x").diagnostics)[0]).toContain("nested too deeply");
  });
});

describe("values that are not plain data", () => {
  const cyclic: Record<string, unknown> = {};
  cyclic["self"] = cyclic;
  test.each([
    [undefined, "the module has no default export"],
    [() => 1, "expected plain data, found a function"],
    [{ pools: { a: new Map() } }, "expected plain data, found an instance of Map"],
    [{ pools: Promise.resolve(1) }, "expected plain data, found a promise"],
    [{ workers: 10n }, "expected plain data, found a bigint"],
    [cyclic, "this value contains itself"],
    [JSON.parse('{"pools":{"__proto__":{}}}'), "the key __proto__ cannot be used"],
    [{ pools: { a: { endpoints: [undefined] } } }, "expected plain data, found undefined"],
  ])("%p", (value, message) => {
    const { config, diagnostics } = loadValue(value, "x");
    expect(config).toBeNull();
    expect(diagnostics[0]?.message).toBe(message);
  });

  test("undefined keys are as good as absent ones, shared objects are no cycles", () => {
    const pool = { endpoints: ["a:1"], health: undefined };
    const value = { listeners: { w: { bind: "127.0.0.1:1", forward: "a" } }, pools: { a: pool, b: pool } };
    expect(loadValue(value, "x").config?.pools.length).toBe(2);
  });
});

test("a token is never repeated in a message", () => {
  for (const token of ["short", "with a space in it, long enough", "x".repeat(300)]) {
    const { diagnostics } = loadValue({ admin: { token } }, "x");
    expect(diagnostics[0]?.path).toBe("admin.token");
    expect(JSON.stringify(diagnostics)).not.toContain(token);
  }
});
