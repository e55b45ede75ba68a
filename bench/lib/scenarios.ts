// What is measured, as data. A scenario names its kind; cell.ts knows how to run each kind.

/** What Sluice must reach: a ratio to the better peer's CPU time, or an absolute figure. */
export type Target =
  /** CPU per request over the better peer's, at most. */
  | { readonly kind: "ratio"; readonly atMost: number }
  /** Resident bytes per idle connection, at most. */
  | { readonly kind: "bytes-per-connection"; readonly atMost: number }
  /** Nothing is judged. */
  | { readonly kind: "none" };

interface Common {
  /** For --only and for the JSON file. */
  readonly name: string;
  /** For --only: several scenarios that belong together. */
  readonly group: string;
  readonly title: string;
  readonly workers: number;
  readonly connections: number;
  readonly target: Target;
}

/** wrk keeps the given number of connections busy. */
export interface LoadScenario extends Common {
  readonly kind: "load";
  readonly path: string;
  /** Length of the request body; 0 = GET. */
  readonly bodyBytes: number;
  /** A new client connection for each request. */
  readonly closing: boolean;
  /** Proxy and load share this many CPUs instead of one each; 0 = one each. Set where worker counts are compared. */
  readonly proxyCpus: number;
}

/** Connections are opened, used once, and left alone; memory is what counts. */
export interface IdleScenario extends Common {
  readonly kind: "idle";
}

export type Scenario = LoadScenario | IdleScenario;

type LoadOptions = Partial<LoadScenario> & Pick<LoadScenario, "name" | "title" | "path" | "target">;

function load(options: LoadOptions): LoadScenario {
  const defaults = { workers: 1, connections: 64, bodyBytes: 0, closing: false, proxyCpus: 0 };
  return { kind: "load", group: options.name, ...defaults, ...options };
}

const ratio = (atMost: number): Target => ({ kind: "ratio", atMost });
const NONE: Target = { kind: "none" };
const MIB = 1024 * 1024;

/** In table order. 64 connections keep one proxy CPU busy at all times; 16 are enough when each carries a megabyte. */
export const SCENARIOS: readonly Scenario[] = [
  load({ name: "small", title: "128 B answers, keep-alive", path: "/small", target: ratio(0.95) }),
  load({ name: "64k", title: "64 KB answers", path: "/64k", target: ratio(1.0) }),
  load({ name: "1m", title: "1 MB answers", path: "/1m", connections: 16, target: ratio(0.9) }),
  load({
    name: "1m-bodies",
    title: "1 MB request bodies",
    path: "/upload",
    connections: 16,
    bodyBytes: MIB,
    target: ratio(0.9),
  }),
  load({ name: "new", title: "a new connection each", path: "/small", closing: true, target: ratio(1.2) }),
  {
    kind: "idle",
    name: "idle",
    group: "idle",
    title: "10,000 idle connections",
    workers: 1,
    connections: 10_000,
    target: { kind: "bytes-per-connection", atMost: 3 * 1024 },
  },
  load({
    name: "one-worker",
    group: "two-workers",
    title: "1 worker, 2 CPUs",
    path: "/small",
    proxyCpus: 2,
    target: NONE,
  }),
  load({
    name: "two-workers",
    group: "two-workers",
    title: "2 workers, 2 CPUs",
    path: "/small",
    workers: 2,
    proxyCpus: 2,
    target: NONE,
  }),
];

/** The scenarios whose name or group is in the list; all for an empty list. Throws on a word that matches nothing. */
export function selectScenarios(words: readonly string[]): readonly Scenario[] {
  for (const word of words) {
    if (!SCENARIOS.some((scenario) => scenario.name === word || scenario.group === word)) {
      const known = [...new Set(SCENARIOS.flatMap((scenario) => [scenario.name, scenario.group]))].join(", ");
      throw new Error(`--only ${word}: no such scenario; there are ${known}`);
    }
  }
  return SCENARIOS.filter(
    (scenario) => words.length === 0 || words.includes(scenario.name) || words.includes(scenario.group),
  );
}
