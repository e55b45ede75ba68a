// zod's issues in this program's own words: what was expected, what was found, and what helps. zod's sentences never
// reach the user; its error map is used only to learn which schema spoke, because that is where the expectation is
// noted.

import type * as z from "zod";
import { isFault } from "./address.ts";
import { notes } from "./fields.ts";
import { noHint, type HintFor } from "./hints.ts";
import { error, errorAtKey, isSecret, missing, MISSING, show, type Path, type Problem } from "./problem.ts";
import { didYouMean, listWords, MEANT, nearest, sameWord, synonym } from "./suggest.ts";

/** All keys of the schema with the places where they belong: for hints about keys in the wrong place. */
export type KeyPlaces = ReadonlyMap<string, readonly string[]>;

type RawIssue = z.core.$ZodRawIssue;
type Issue = z.core.$ZodIssue;

/**
 * Values that zod does not check itself (keys called __proto__, cycles) are refused before. Returns the parsed value,
 * or null with at least one problem.
 */
export function parseWith<T extends z.ZodType>(
  schema: T,
  value: unknown,
  places: KeyPlaces,
): { readonly value: z.output<T> | null; readonly problems: readonly Problem[] } {
  const raws: RawIssue[] = [];
  // The message of an issue is the index of its raw form, which unlike the finished one knows the schema.
  const remember = (raw: RawIssue): string => String(raws.push(raw) - 1);
  const result = schema.safeParse(value, { error: remember, reportInput: true });
  if (result.success) return { value: result.data, problems: [] };
  const context: Context = { raws, places };
  const problems = result.error.issues.flatMap((issue) => explain(issue, [], context));
  return { value: null, problems: withoutEchoes(problems) };
}

/** A misspelt key is also a missing one: once is enough. */
export function withoutEchoes(problems: readonly Problem[]): readonly Problem[] {
  const meant = new Set<string>();
  for (const p of problems) {
    if (p.hint.startsWith(MEANT)) meant.add(JSON.stringify([...p.path.slice(0, -1), p.hint.slice(MEANT.length)]));
  }
  return problems.filter((p) => !isMissing(p) || !meant.has(JSON.stringify(p.path)));
}

/** Is the problem a required key that is not there? */
export function isMissing(problem: Problem): boolean {
  return problem.message.startsWith(MISSING);
}

interface Context {
  readonly raws: readonly RawIssue[];
  readonly places: KeyPlaces;
}

function schemaOf(issue: Issue, context: Context): z.core.$ZodType | undefined {
  const raw = context.raws[Number(issue.message)];
  return raw?.schema ?? (raw?.inst as z.core.$ZodType | undefined);
}

interface Noted {
  readonly expects: string;
  readonly hint: HintFor;
}

/** What the schema that spoke has noted: the words for what it expects, and hints about what was found instead. */
function notesOf(issue: Issue, context: Context): Noted {
  if (issue.code === "custom" && issue.params !== undefined) return issue.params as Noted; // fields.ts: text()
  const schema = schemaOf(issue, context);
  const { expects, hint } = schema === undefined ? {} : (notes.get(schema) ?? {});
  // A choice of words needs no note: the words say it.
  const words = issue.code === "invalid_value" ? listWords(issue.values.map(String)) : "another value";
  return { expects: expects ?? words, hint: hint ?? noHint };
}

function pathOf(issue: Issue, prefix: Path): Path {
  return [...prefix, ...issue.path.map((part) => (typeof part === "symbol" ? String(part) : part))];
}

function explain(issue: Issue, prefix: Path, context: Context): Problem[] {
  const path = pathOf(issue, prefix);
  if (issue.code === "unrecognized_keys") return issue.keys.map((k) => unknownKey(issue, path, k, context));
  if (issue.code === "invalid_key") {
    const expects = issue.issues.map((inner) => notesOf(inner as Issue, context).expects)[0] ?? "another name";
    return [errorAtKey(path, `expected ${expects}, found ${show(path.at(-1))}`)];
  }
  if (issue.code === "invalid_union") return explainUnion(issue, path, context);
  const fault: unknown = issue.code === "custom" ? issue.params?.["fault"] : null;
  if (typeof fault === "object" && fault !== null && isFault(fault)) return [error(path, fault.message, fault.hint)];
  const words = issue.code === "invalid_value" ? issue.values.map(String) : [];
  return [mismatch(path, issue.input, notesOf(issue, context), words)];
}

function mismatch(path: Path, input: unknown, noted: Noted, words: readonly string[]): Problem {
  if (input === undefined) return missing(path, noted.expects);
  const near = typeof input === "string" ? didYouMean(input, words) : "";
  return error(path, `expected ${noted.expects}, found ${found(input, path)}`, near === "" ? noted.hint(input) : near);
}

/** The found value; secrets are never repeated. */
function found(value: unknown, path: Path): string {
  return isSecret(path) && typeof value === "string" ? `${value.length} characters` : show(value);
}

/** Is this an issue about the kind of the whole value, so that another option of a union may fit? */
function isMismatch(issue: Issue): boolean {
  if (issue.path.length > 0) return false;
  if (issue.code === "invalid_union") return issue.errors.every((option) => option.some(isMismatch));
  return issue.code === "invalid_type" || issue.code === "invalid_value";
}

/**
 * The option that fits the kind of the value explains the mistake; if none fits, the union's own expectation does, with
 * a suggestion from the words of all options.
 */
function explainUnion(issue: Issue & { code: "invalid_union" }, path: Path, context: Context): Problem[] {
  const fitting = issue.errors.filter((issues) => !issues.some(isMismatch));
  if (fitting.length === 1) return fitting[0]!.flatMap((inner) => explain(inner, path, context));
  const words = issue.errors
    .flat()
    .flatMap((inner) => (inner.code === "invalid_value" ? inner.values.map(String) : []));
  return [mismatch(path, issue.input, notesOf(issue, context), words)];
}

function unknownKey(issue: Issue, path: Path, unknown: string, context: Context): Problem {
  const shape = (schemaOf(issue, context) as z.ZodObject | undefined)?._zod.def.shape ?? {};
  const known = Object.keys(shape);
  const message = `unknown key ${show(unknown)}`;
  const at = [...path, unknown];
  if (unknown === "<<") return errorAtKey(at, message, "merge keys are not part of YAML 1.2: write the keys out");
  const near = synonym(unknown, known) ?? nearest(unknown, known);
  if (near !== null) return errorAtKey(at, message, `${MEANT}${near}`);
  const meant = [...context.places.keys()].find((key) => sameWord(key, unknown));
  if (meant !== undefined)
    return errorAtKey(at, message, `${meant} belongs in ${listWords(context.places.get(meant)!)}`);
  return errorAtKey(at, message, `known here: ${listWords(known)}`);
}
