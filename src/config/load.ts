// From a file, a text or a value to a validated Config: chooses the front end, collects every mistake, gives each its
// place.

import { configBytesMax } from "../base/limits.ts";
import type { Config } from "../model/config.ts";
import { hasErrors, type Diagnostic } from "../model/diagnostic.ts";
import type { HookModule } from "../model/plan.ts";
import { parseWith, withoutEchoes } from "./explain.ts";
import { keyPlaces } from "./json-schema.ts";
import { lower } from "./lower.ts";
import { independent, withoutMistakes } from "./partial.ts";
import { placeProblems, sortDiagnostics, type Locate, type Path, type Problem } from "./problem.ts";
import { configSchema } from "./schema.ts";
import { refuseHooks } from "./ts/hooks.ts";
import { checkPlain } from "./ts/plain.ts";
import { validate } from "./validate.ts";
import { parseYaml } from "./yaml/parse.ts";

/** A Config without errors, or null and at least one error. Warnings may come with either. */
export interface Loaded {
  readonly config: Config | null;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * What a module came to: its default export, with its code if that has hooks; or why there is none and where (file
 * null: unknown).
 */
export type ModuleResult =
  | { readonly value: unknown; readonly hooks: HookModule | null }
  | {
      readonly fault: {
        readonly message: string;
        readonly file: string | null;
        readonly line: number;
        readonly column: number;
      };
    };

/** How files are read; the implementation is the caller's. */
export interface ConfigFiles {
  /**
   * The file's bytes. Throws an Error whose message is a sentence for the operator, also if they are more than the
   * limit.
   */
  readBytes(path: string, bytesMax: number): Uint8Array;
  /** Runs a TypeScript or JavaScript module afresh. Never rejects. */
  importDefault(path: string): Promise<ModuleResult>;
}

/** A loaded file, with its text for excerpts ("" if it could not be read). */
export interface LoadedFile extends Loaded {
  readonly text: string;
  /** null = there are no hooks. */
  readonly hooks: HookModule | null;
}

const moduleName = /\.[cm]?[jt]s$/;

/** Loads a file; `.ts` and `.js` modules are run, everything else is read as YAML (of which JSON is a part). */
export async function loadFile(path: string, files: ConfigFiles): Promise<LoadedFile> {
  let bytes: Uint8Array;
  try {
    bytes = files.readBytes(path, configBytesMax);
  } catch (thrown) {
    return { text: "", hooks: null, ...refuse(path, firstLine(thrown)) };
  }
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  if (!moduleName.test(path) && !looksLikeModule(text))
    return { text, hooks: null, ...(isUtf8(bytes) ? loadText(text, path) : refuseBytes(text, path)) };
  const module = await files.importDefault(path);
  if ("value" in module) return { text, hooks: module.hooks, ...loadValue(module.value, path) };
  const { message, file, line, column } = module.fault;
  const at = { file: file ?? path, line, column };
  const diagnostic: Diagnostic = {
    severity: "error",
    at,
    path: "",
    message: `the module failed: ${message}`,
    hint: "",
  };
  return { text: file === null || file === path ? text : "", hooks: null, config: null, diagnostics: [diagnostic] };
}

/** A file without a telling name: a module says so at the beginning of a line. */
function looksLikeModule(text: string): boolean {
  return /^(import\s.*from\s*["']|export\s+default\b)/m.test(text);
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** text has the replacement character where the bytes were wrong. */
function refuseBytes(text: string, file: string): Loaded {
  const before = text.slice(0, Math.max(0, text.indexOf("\uFFFD"))).split("\n");
  const at = { file, line: before.length, column: before.at(-1)!.length + 1 };
  const hint = "save it as UTF-8; is this a text file?";
  return finish(null, [{ severity: "error", at, path: "", message: "the file is not UTF-8 from here on", hint }]);
}

function firstLine(thrown: unknown): string {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return message.split("\n", 1)[0]!.slice(0, 200);
}

function refuse(file: string, message: string, hint = ""): Loaded {
  return {
    config: null,
    diagnostics: [{ severity: "error", at: { file, line: 0, column: 0 }, path: "", message, hint }],
  };
}

/** Loads YAML or JSON text. `file` is only a name for diagnostics. */
export function loadText(text: string, file: string): Loaded {
  if (text.length > configBytesMax) return refuse(file, `the configuration is larger than ${configBytesMax} bytes`);
  const parsed = parseYaml(text, file);
  if (parsed.value === null) return { config: null, diagnostics: parsed.diagnostics };
  const { config, problems } = understand(parsed.value, refuseHooks(parsed.value));
  const known = new Set(parsed.diagnostics.map((d) => d.path));
  const found = placeProblems(problems, parsed.locate).filter((d) => !known.has(d.path));
  return finish(config, [...parsed.diagnostics, ...found]);
}

/** Loads what a TypeScript module exports. Values have no places in the text: diagnostics name the path alone. */
export function loadValue(value: unknown, file: string): Loaded {
  const locate: Locate = () => ({ file, line: 0, column: 0 });
  const strange = checkPlain(value);
  if (strange.length > 0) return finish(null, placeProblems(strange, locate));
  const { config, problems } = understand(value);
  return finish(config, placeProblems(problems, locate));
}

function finish(config: Config | null, diagnostics: readonly Diagnostic[]): Loaded {
  return { config: hasErrors(diagnostics) ? null : config, diagnostics: sortDiagnostics(diagnostics) };
}

/** Types first, then what was typed together, then the whole. Mistakes of one kind do not hide those of the next. */
function understand(
  value: unknown,
  refused: readonly Problem[] = [],
): { readonly config: Config | null; readonly problems: readonly Problem[] } {
  const mistakes: Problem[] = [...refused];
  let rest: unknown = refused.length === 0 ? value : withoutMistakes(value, refused);
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const parsed = parseWith(configSchema, rest, keyPlaces());
    if (parsed.value !== null) {
      const { config, problems } = lower(parsed.value);
      const later = [...problems, ...validate(config)].map((p) => ({ ...p, path: asTyped(p.path, value) }));
      if (mistakes.length === 0) return { config, problems: later };
      return { config: null, problems: withoutEchoes([...mistakes, ...independent(later, mistakes)]) };
    }
    if (round === 0) mistakes.push(...parsed.problems);
    rest = withoutMistakes(rest, parsed.problems);
    if (rest === null) break;
  }
  return { config: null, problems: mistakes };
}

/** Taking out one wrong value can leave a map without a required key, which is taken out next: a few levels at most. */
const ROUNDS_MAX = 6;

/** The path in the form the user chose: `forward` is short for one route, and one value stands for a list of one. */
function asTyped(path: Path, value: unknown): Path {
  const out: (string | number)[] = [];
  let at: unknown = value;
  for (let i = 0; i < path.length; i++) {
    const part = path[i]!;
    if (typeof part === "number" && !Array.isArray(at)) continue;
    if (i > 0 && at !== undefined && (typeof at !== "object" || at === null)) return out; // a short form says it all
    if (part === "routes" && i === 2 && path[0] === "listeners" && !hasKey(at, "routes") && hasKey(at, "forward"))
      continue;
    const typed = hasKey(at, part) ? part : inOtherCase(at, part);
    out.push(typed);
    at = hasKey(at, typed) ? at[typed] : undefined;
    if (at === undefined) return [...out, ...path.slice(i + 1)];
  }
  return out;
}

/** Names of headers become lower case: the key as it was typed. */
function inOtherCase(value: unknown, key: string | number): string | number {
  if (typeof key === "number" || typeof value !== "object" || value === null) return key;
  return Object.keys(value).find((other) => other.toLowerCase() === key) ?? key;
}

function hasKey(value: unknown, key: string | number): value is Record<string | number, unknown> {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key);
}
