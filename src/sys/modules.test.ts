// Modules are run afresh, their faults carry places, and what is not plain data or never ends is refused.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import { FUNCTION_MARK } from "../config/fields-route.ts";
import { importDefault, type ModuleFault } from "./modules.ts";

const folder = mkdtempSync(join(tmpdir(), "sluice-modules-"));
afterAll(() => rmSync(folder, { recursive: true }));

const main = join(folder, "sluice.config.ts");
const helper = join(folder, "helper.ts");
const hooked = join(folder, "hooked.ts");
writeFileSync(hooked, ""); // Bun remembers which files a folder has
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
