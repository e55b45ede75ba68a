// The simulator over fixed seeds, the seeds that once found something, and proof that it would find what it looks for.

import { expect, test } from "bun:test";
import { canaries } from "./canary.ts";
import { profileNames } from "./weather.ts";
import { type RunOptions, type RunResult, World } from "./world.ts";

/**
 * Seeds of the present scripts that fail when an old mistake is put back. Changes of the scripts make other runs of
 * them, which are worth having all the same; scenes.test.ts holds what must not get lost.
 */
const regressions: readonly (readonly [seed: number, profile: string, showed: string])[] = [
  [165, "storm", "two exchanges at once on one connection, behind the held rest of a body that was answered early"],
  [15, "idle-races", "the same, with a request taken for no request"],
  [111, "idle-races", "a response that was held whole was cut off by the reset that followed it"],
  [182, "idle-races", "the same"],
];

/** Runs of each profile; long bodies take longer. */
const runsOf = (profile: string): number => (profile === "bulk" ? 8 : 20);
/** Far more than needed: the machine may be busy. */
const patienceMs = 60_000;

function run(options: RunOptions): RunResult {
  return new World(options).run();
}

/** A message that says how to see it again, or "". */
function complaint({ seed, profile, violation }: RunResult): string {
  if (violation === null) return "";
  const again = `bun tools/sim.ts --seed ${seed} --profile ${profile} --runs 1 --verbose`;
  return `${violation.rule}: ${violation.detail}\n${again}`;
}

test.each([...new Set(profileNames)])(
  "weather: %s",
  (profile) => {
    for (let seed = 1; seed <= runsOf(profile); seed++) expect(complaint(run({ seed, profile }))).toBe("");
  },
  patienceMs,
);

test.each(regressions.map((regression) => [...regression]))("seed %d %s: %s", (seed, profile) => {
  expect(complaint(run({ seed, profile }))).toBe("");
});

test("a seed is a run, event by event", () => {
  const hashes = new Set<string>();
  for (const seed of [11, 12, 13]) {
    const first = run({ seed });
    expect(run({ seed }).hash).toBe(first.hash);
    hashes.add(first.hash);
  }
  expect(hashes.size).toBe(3);
});

test("the runs do what they are for", () => {
  const total = { answered: 0, own: 0, broken: 0, unanswered: 0, tunnels: 0, retried: 0 };
  for (let seed = 1; seed <= 3; seed++) {
    for (const profile of ["calm", "storm", "endpoints"]) {
      const { tally } = run({ seed, profile });
      for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += tally[name];
    }
  }
  for (const count of Object.values(total)) expect(count).toBeGreaterThan(0);
});

test.each(canaries.map((canary) => [canary.name, canary] as const))(
  "found: %s",
  (_name, canary) => {
    const { profile, rules } = canary;
    const mend = canary.install?.();
    try {
      let found: RunResult["violation"] = null;
      for (let seed = 1; seed <= 40 && found === null; seed++) {
        found = run({
          seed,
          profile,
          ...(canary.sabotage === undefined ? {} : { sabotage: canary.sabotage() }),
        }).violation;
      }
      expect(rules).toContain(found?.rule ?? "nothing");
    } finally {
      mend?.();
    }
  },
  patienceMs,
);
