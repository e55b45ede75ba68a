// The code of a module as one text, and back: the supervisor makes the text, workers evaluate it. So all workers run
// the code that was checked, also one that is started after the files have changed, and one that has given up the
// right to read them; and a reload finds nothing in its way of what was loaded before.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname } from "node:path";
import { pathToFileURL } from "node:url";
import { hookCodeBytesMax } from "../base/limits.ts";
import type { ModuleFault } from "./modules.ts";

export type BundleResult = { readonly code: string } | { readonly fault: ModuleFault };

type Loader = "ts" | "tsx" | "js" | "jsx";

const loaders: Readonly<Record<string, Loader>> = {
  ".ts": "ts",
  ".mts": "ts",
  ".cts": "ts",
  ".tsx": "tsx",
  ".jsx": "jsx",
};

/** Where a module stands is written into it, for in the bundle all have the entry's place. */
const places: Bun.BunPlugin = {
  name: "places",
  setup(build) {
    build.onLoad({ filter: /\.[cm]?[jt]sx?$/ }, ({ path }) => {
      const loader = loaders[extname(path)] ?? "js";
      const text = readFileSync(path, "utf8");
      if (!text.includes("import.meta")) return { contents: text, loader };
      const define: Record<string, string> = {};
      const set = (name: string, value: string): void => {
        define[`import.meta.${name}`] = JSON.stringify(value);
      };
      set("url", pathToFileURL(path).href);
      for (const name of ["path", "filename"]) set(name, path);
      for (const name of ["dir", "dirname"]) set(name, dirname(path));
      return { contents: new Bun.Transpiler({ loader, target: "bun", define }).transformSync(text), loader: "js" };
    });
  },
};

/** Bundles the module at an absolute path with everything that it imports. Never rejects; faults are results. */
export async function bundleModule(path: string): Promise<BundleResult> {
  const nowhere = { file: null, line: 0, column: 0 };
  try {
    const built = await Bun.build({
      entrypoints: [path],
      target: "bun",
      format: "esm",
      sourcemap: "inline", // errors tell their places in the user's own files
      external: ["sluice"],
      define: { "process.env.NODE_ENV": "process.env.NODE_ENV" }, // as it is when the code runs
      plugins: [places],
      throw: false,
    });
    const failure = built.logs.find(({ level }) => level === "error");
    if (failure !== undefined || built.outputs.length === 0) {
      const at = failure?.position ?? null;
      const place = at === null ? nowhere : { file: at.file, line: at.line, column: at.column };
      return { fault: { message: failure?.message ?? "it cannot be made into one file for the workers", ...place } };
    }
    if (built.outputs.length > 1) {
      const extra = built.outputs[1]!.path;
      return { fault: { message: `hooks cannot use ${extra}: it is no JavaScript, TypeScript or JSON`, ...nowhere } };
    }
    const code = await built.outputs[0]!.text();
    if (code.length <= hookCodeBytesMax) return { code };
    const message = `with all that it imports it has more than ${hookCodeBytesMax} bytes of code`;
    return { fault: { message, ...nowhere } };
  } catch (error) {
    return { fault: { message: error instanceof Error ? error.message : String(error), ...nowhere } };
  }
}

/** Code being loaded, by number. */
const loading = new Map<string, string>();
const { cache } = createRequire(import.meta.url);
let serial = 0;

/**
 * Evaluates code of bundleModule() in this thread, each time anew, without touching a file; the default export. Rejects
 * with what the module throws.
 */
export async function importBundle(code: string): Promise<unknown> {
  if (serial === 0) offerBundles();
  const number = String(++serial);
  const specifier = `sluice-config:${number}`;
  loading.set(number, code);
  try {
    const module = (await import(specifier)) as { readonly default?: unknown };
    return module.default;
  } finally {
    loading.delete(number);
    delete cache[specifier]; // the code goes when nobody uses it any more
  }
}

function offerBundles(): void {
  Bun.plugin({
    name: "sluice",
    setup(build) {
      build.module("sluice", () => ({ exports: { defineConfig: (config: unknown) => config }, loader: "object" }));
      const namespace = "sluice-config";
      build.onResolve({ filter: /^sluice-config:/ }, ({ path }) => {
        return { path: path.slice(namespace.length + 1), namespace };
      });
      build.onLoad({ filter: /.*/, namespace }, ({ path }) => ({ contents: loading.get(path) ?? "", loader: "js" }));
    },
  });
}
