// Modules are run afresh, their faults carry places, and what is not plain data or never ends is refused.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import { FUNCTION_MARK } from "../config/fields-route.ts";
import { importBundle } from "./bundle.ts";
import { importDefault, type ModuleCode, type ModuleFault } from "./modules.ts";

const folder = mkdtempSync(join(tmpdir(), "sluice-modules-"));
afterAll(() => rmSync(folder, { recursive: true }));

const main = join(folder, "sluice.config.ts");
const helper = join(folder, "helper.ts");
const hooked = join(folder, "hooked.ts");
const bundled = join(folder, "bundled.ts");
for (const file of [hooked, bundled]) writeFileSync(file, ""); // Bun remembers which files a folder has
const imports = 'import { defineConfig } from "sluice";\nimport { n } from "./helper.ts";\n';
writeFileSync(main, `${imports}export default defineConfig({ n } as never);\n`);

function withHelper(text: string, timeoutMs?: number): Promise<unknown> {
  writeFileSync(helper, text);
  return importDefault(main, timeoutMs);
}

function faultOf(result: unknown): ModuleFault {
  expect(result).toHaveProperty("fault");
  return (result as { readonly fault: ModuleFault }).fault;
}

test("a change in an imported module is seen, also after a fault", async () => {
  expect(await withHelper("export const n = 1;")).toEqual({ value: { n: 1 }, hooks: null });
  expect(await withHelper("export const n = 2;")).toEqual({ value: { n: 2 }, hooks: null });
  expect(faultOf(await withHelper("export const n = 3; syntax error"))).toMatchObject({
    file: helper,
    line: 1,
    column: 28,
  });
  expect(await withHelper("export const n = 4;")).toEqual({ value: { n: 4 }, hooks: null });
});

test("a thrown error has its place", async () => {
  const fault = faultOf(await withHelper("export const n = 1;\nthrow new Error('no such secret');"));
  expect(fault).toMatchObject({ message: "no such secret", file: helper, line: 2 });
});

test("hooks leave marks where they stand, other functions do not pass", async () => {
  writeFileSync(
    hooked,
    `const cyclic = {}; cyclic.self = cyclic;
    const hooks = { request: () => 1, response: async () => 2, timeout: "1s" };
    export default { cyclic, listeners: { web: { routes: [{ forward: "a" }, { forward: "a", hooks }] } } };`,
  );
  const cyclic: Record<string, unknown> = {};
  cyclic["self"] = cyclic;
  const hooks = { request: FUNCTION_MARK, response: FUNCTION_MARK, timeout: "1s" };
  expect(await importDefault(hooked)).toMatchObject({
    value: { cyclic, listeners: { web: { routes: [{ forward: "a" }, { forward: "a", hooks }] } } },
  });
  writeFileSync(hooked, "export default { listeners: { web: { hooks: { request() {} } } } };");
  expect(faultOf(await importDefault(hooked)).message).toStartWith("listeners.web.hooks.request: expected plain data");
});

interface Hooked {
  readonly listeners: { readonly web: { readonly routes: readonly { readonly hooks: { request(): string } }[] } };
}

/** The module's code, which must have hooks. */
async function codeOf(path: string): Promise<ModuleCode> {
  const result = await importDefault(path);
  expect(result).toHaveProperty("hooks.code");
  return (result as { readonly hooks: ModuleCode }).hooks;
}

/** What the first hook of a module's code returns. */
async function callHook({ code }: ModuleCode): Promise<string> {
  const value = (await importBundle(code)) as Hooked;
  return value.listeners.web.routes[0]!.hooks.request();
}

test("the code of hooks runs elsewhere, as it was when it was read, with what it imports", async () => {
  const nested = join(folder, "deep", "nested.ts");
  mkdirSync(join(folder, "deep"));
  const text = `import { defineConfig } from "sluice";
import { readFileSync } from "node:fs";
import data from "./data.json";
import { where } from "./deep/nested.ts";
const waited = await Promise.resolve("waited");
const own = readFileSync(new URL("./data.json", import.meta.url), "utf8").trim();
let calls = 0;
const request = (): string => [waited, data.n, own, where, process.env["NODE_ENV"], ++calls].join(" ");
export default defineConfig({ listeners: { web: { routes: [{ hooks: { request } }] } } } as never);`;
  writeFileSync(bundled, text);
  writeFileSync(join(folder, "data.json"), '{"n":1}');
  writeFileSync(nested, "export const where: string = [import.meta.dir, import.meta.filename].join();");
  const first = await codeOf(bundled);
  const wanted = `waited 1 {"n":1} ${join(folder, "deep")},${nested} ${process.env["NODE_ENV"]} 1`;
  expect(await callHook(first)).toBe(wanted);
  expect(await callHook(first)).toBe(wanted); // each time anew
  expect(await codeOf(bundled)).toEqual(first);
  writeFileSync(nested, 'export const where = "elsewhere";');
  const second = await codeOf(bundled);
  expect(second.version).not.toBe(first.version);
  expect(await callHook(second)).toContain(" elsewhere ");
  rmSync(nested);
  expect(await callHook(first)).toBe(wanted);
});

test("errors of hooks tell their place in the file", async () => {
  const hooks = `{\n  request() {\n    throw new Error("no way");\n  },\n}`;
  writeFileSync(bundled, `export default { listeners: { web: { routes: [{ hooks: ${hooks} }] } } };`);
  const thrown = await callHook(await codeOf(bundled)).catch((error: unknown) => error);
  expect((thrown as Error).stack).toContain("bundled.ts:3:");
  await expect(importBundle('throw new Error("at once")')).rejects.toThrow("at once");
});

test("what cannot be brought to workers is a fault", async () => {
  const config = "export default { listeners: { web: { routes: [{ hooks: { request() {} } }] } } };";
  writeFileSync(join(folder, "blob.bin"), "x");
  writeFileSync(bundled, `import path from "./blob.bin" with { type: "file" };\n${config}\nvoid path;`);
  expect(faultOf(await importDefault(bundled)).message).toContain("it is no JavaScript, TypeScript or JSON");
  writeFileSync(bundled, `const lost = "./gone.ts";\n${config}\nvoid (() => import("./gone.ts"), lost);`);
  expect(faultOf(await importDefault(bundled))).toMatchObject({
    file: bundled,
    line: 3,
    message: expect.stringContaining("gone.ts"),
  });
});

test("what cannot be data is named with its path", async () => {
  expect(faultOf(await withHelper("export const n = [{ f: () => 1 }];")).message).toBe(
    "n[0].f: expected plain data, found a function",
  );
  expect(faultOf(await withHelper("export const n = Promise.resolve(1);")).message).toContain("use await");
});

test("a module that never ends is given up", async () => {
  expect(faultOf(await withHelper("while (true);\nexport const n = 1;", 300)).message).toContain(
    "not ended after 300 ms",
  );
});

test("a missing module", async () => {
  expect(faultOf(await importDefault(join(folder, "none.ts"))).message).toContain("none.ts");
});
