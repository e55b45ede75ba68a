// Endpoints that come from elsewhere than the configuration, in the same shapes: a file that discovery watches, a call
// of the admin API. The same words for the same mistakes, with their place.

import { poolEndpointsMax } from "../base/limits.ts";
import type { EndpointConfig } from "../model/config.ts";
import { hasErrors, type Diagnostic } from "../model/diagnostic.ts";
import { parseWith } from "./explain.ts";
import { keyPlaces } from "./json-schema.ts";
import { lowerEndpoint } from "./lower-pool.ts";
import { error, placeProblems, sortDiagnostics, type Problem } from "./problem.ts";
import { endpointList } from "./schema-pool.ts";
import { checkPlain } from "./ts/plain.ts";
import { parseYaml } from "./yaml/parse.ts";

/** The endpoints of a list, or null and what is wrong with it. */
export interface EndpointListRead {
  readonly endpoints: readonly EndpointConfig[] | null;
  readonly diagnostics: readonly Diagnostic[];
}

/** Reads a list in YAML or JSON. `file` is only a name for diagnostics. An empty text is a mistake, [] is not. */
export function readEndpointList(text: string, file: string): EndpointListRead {
  if (text.replace(/^\uFEFF/, "").trim() === "") {
    const hint = "a list without endpoints is written []";
    const at = { file, line: 1, column: 1 };
    const empty: Diagnostic = { severity: "error", at, path: "", message: "the file is empty", hint };
    return { endpoints: null, diagnostics: [empty] };
  }
  const parsed = parseYaml(text, file);
  if (parsed.value === null || hasErrors(parsed.diagnostics)) {
    return { endpoints: null, diagnostics: parsed.diagnostics };
  }
  const { endpoints, problems } = checkEndpointList(parsed.value);
  return { endpoints, diagnostics: sortDiagnostics(placeProblems(problems, parsed.locate)) };
}

/** The endpoints of a plain value, or null and what is wrong with it; paths begin at the list. */
export function checkEndpointList(value: unknown): {
  readonly endpoints: readonly EndpointConfig[] | null;
  readonly problems: readonly Problem[];
} {
  const strange = checkPlain(value);
  if (strange.length > 0) return { endpoints: null, problems: strange };
  if (Array.isArray(value) && value.length > poolEndpointsMax) {
    const problem = error([], `${value.length} endpoints; at most ${poolEndpointsMax} are possible in a pool`);
    return { endpoints: null, problems: [problem] };
  }
  const typed = parseWith(endpointList, value, keyPlaces());
  if (typed.value === null) return { endpoints: null, problems: typed.problems };
  const endpoints = typed.value.map(lowerEndpoint);
  const problems = doubles(endpoints);
  return problems.length > 0 ? { endpoints: null, problems } : { endpoints, problems };
}

function doubles(endpoints: readonly EndpointConfig[]): readonly Problem[] {
  const first = new Map<string, number>();
  return endpoints.flatMap(({ id }, i) => {
    const before = first.get(id);
    if (before === undefined) {
      first.set(id, i);
      return [];
    }
    const message = `[${before}] has the same id ${JSON.stringify(id)}`;
    return [error([i], message, "ids are unique within a pool: give one an id of its own")];
  });
}
