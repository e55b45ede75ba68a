// Runs a TypeScript or JavaScript module and takes its default export as plain data, with marks for hooks. Each run has
// a thread of its own: modules it imports are read afresh every time (Bun keeps a module that failed for ever), and one
// that never ends is given up.

import { resolve } from "node:path";
import { bundleModule } from "./bundle.ts";

/** What went wrong in a module, with its place if it is known. */
export interface ModuleFault {
  readonly message: string;
  /** null when the place is unknown; line and column are then 0. */
  readonly file: string | null;
  readonly line: number;
  readonly column: number;
}

/** A module's code with everything that it imports (HookModule of model/plan.ts). */
export interface ModuleCode {
  readonly code: string;
  /** Different for different code. */
  readonly version: string;
}

/** hooks = null: the value has none. */
export type ModuleResult =
  { readonly value: unknown; readonly hooks: ModuleCode | null } | { readonly fault: ModuleFault };

/** One evaluation. marks = how many hooks there were. */
type Evaluation = { readonly value: unknown; readonly marks: number } | { readonly fault: ModuleFault };

interface Tools {
  readonly findForeign: typeof findForeign;
  readonly placeOf: typeof placeOf;
}

/** What the thread is to evaluate: the file, or code of bundleModule() in its place. */
interface Order {
  readonly path: string;
  readonly code: string | null;
}

/** A module must have been evaluated by then. */
const EVALUATION_MS_MAX = 10_000;

/** The first value that cannot leave the thread, with its path. Runs there: it must use nothing from around it. */
function findForeign(value: unknown, path: string, seen: Set<object>): string | null {
  if (typeof value === "function" || typeof value === "symbol")
    return `${path}: expected plain data, found a ${typeof value}`;
  if (value instanceof Promise) return `${path}: expected plain data, found a promise; use await before it`;
  if (typeof value !== "object" || value === null || seen.has(value)) return null;
  seen.add(value);
  for (const [key, item] of Object.entries(value)) {
    const at = Array.isArray(value) ? `${path}[${key}]` : path === "" ? key : `${path}.${key}`;
    const found = findForeign(item, at, seen);
    if (found !== null) return found;
  }
  return null;
}

/** Where something was thrown. Runs in the thread: it must use nothing from around it. */
function placeOf(thrown: { position?: { file: string; line: number; column: number } | null; stack?: string }): object {
  const { position } = thrown;
  if (position) return { file: position.file, line: position.line, column: position.column };
  const frame = /(?:\(|at )(\/[^():]+):(\d+):(\d+)\)?/.exec(thrown.stack ?? "");
  return frame === null
    ? { file: null, line: 0, column: 0 }
    : { file: frame[1], line: Number(frame[2]), column: Number(frame[3]) };
}

/**
 * The thread's program. Its text is handed over, because a compiled executable has no file to name: it must use
 * nothing from around it but what it is given.
 */
function threadProgram(tools: Tools): void {
  const port = globalThis as unknown as Worker;
  // `import { defineConfig } from "sluice"` works wherever the file stands, without a package installed beside it.
  Bun.plugin({
    name: "sluice",
    setup(build) {
      const exports = { defineConfig: (config: unknown) => config };
      build.module("sluice", () => ({ exports, loader: "object" }));
      build.module("sluice-config", () => ({ contents: code, loader: "js" }));
    },
  });
  let code = "";
  let marks = 0;
  /** Functions cannot leave the thread. Where hooks are, marks stand for them (FUNCTION_MARK of config). */
  const hookPath = ["listeners", "*", "routes", "*", "hooks"];
  function markHooks(value: unknown, depth: number): unknown {
    if (typeof value !== "object" || value === null) return value;
    const step = hookPath[depth];
    if (Array.isArray(value)) return step === "*" ? value.map((item) => markHooks(item, depth + 1)) : value;
    if (Object.getPrototypeOf(value) !== Object.prototype) return value;
    const copy: Record<string, unknown> = { ...value };
    for (const [key, item] of Object.entries(copy)) {
      if (step === undefined) {
        if (typeof item !== "function" || (key !== "request" && key !== "response")) continue;
        copy[key] = "sluice:function";
        marks++;
      } else if (step === "*" || step === key) copy[key] = markHooks(item, depth + 1);
    }
    return copy;
  }
  port.onmessage = async (event: MessageEvent) => {
    try {
      const order = event.data as Order;
      code = order.code ?? "";
      const specifier = order.code === null ? order.path : "sluice-config";
      const module: { readonly default?: unknown } = await import(specifier);
      try {
        const value = markHooks(module.default, 0);
        port.postMessage({ value, marks });
      } catch {
        const message = tools.findForeign(module.default, "", new Set()) ?? "the default export is not plain data";
        port.postMessage({ fault: { message, file: null, line: 0, column: 0 } });
      }
    } catch (thrown) {
      const error = typeof thrown === "object" && thrown !== null ? thrown : {};
      const message = "message" in error ? String(error.message) : String(thrown);
      port.postMessage({ fault: { message, ...tools.placeOf(error) } });
    }
  };
}

/**
 * Evaluates the module at the path (relative to the working directory). One with hooks is made into one text and
 * evaluated again as such: what is checked is then what workers run. Never rejects; faults are results.
 */
export async function importDefault(path: string, timeoutMs: number = EVALUATION_MS_MAX): Promise<ModuleResult> {
  const whole = resolve(path);
  const first = await evaluate({ path: whole, code: null }, timeoutMs);
  if ("fault" in first) return first;
  if (first.marks === 0) return { value: first.value, hooks: null };
  const bundle = await bundleModule(whole);
  if ("fault" in bundle) return bundle;
  const { code } = bundle;
  const second = await evaluate({ path: whole, code }, timeoutMs);
  if ("fault" in second) return second;
  return { value: second.value, hooks: { code, version: Bun.hash(code).toString(36) } };
}

function evaluate(order: Order, timeoutMs: number): Promise<Evaluation> {
  const tools = `{ findForeign: ${findForeign.toString()}, placeOf: ${placeOf.toString()} }`;
  const program = new Blob([`(${threadProgram.toString()})(${tools})`], { type: "text/javascript" });
  const url = URL.createObjectURL(program);
  return new Promise((done) => {
    const thread = new Worker(url);
    const finish = (result: Evaluation): void => {
      clearTimeout(timer);
      thread.terminate();
      URL.revokeObjectURL(url);
      done(result);
    };
    const fail = (message: string): void => finish({ fault: { message, file: null, line: 0, column: 0 } });
    const timer = setTimeout(() => fail(`it has not ended after ${timeoutMs} ms`), timeoutMs);
    thread.onmessage = (event: MessageEvent) => finish(event.data as Evaluation);
    thread.onerror = (event) => fail(event.message);
    thread.postMessage(order);
  });
}
