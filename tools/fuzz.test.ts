// The fuzz driver finds a planted bug, repeats itself exactly, and every target of the tree survives a short run.

import { describe, expect, test } from "bun:test";
import { dirname } from "node:path";
import { seededRng } from "../src/base/seeded-rng.ts";
import { canary } from "./fuzz-canary.ts";
import { createMutator, INPUT_BYTES_MAX } from "./fuzz-mutate.ts";
import { canaryFails, describeFinding, discoverTargets, fuzz, type FuzzTarget } from "./fuzz.ts";

const root = dirname(import.meta.dir);
const RUNS = 300;
const targets = await discoverTargets(root);

describe("driver", () => {
  test("finds the canary's bug with any seed", () => {
    for (const seed of [1, 2, 3]) expect(canaryFails(seed)).toBe(true);
  });

  test("a finding is shrunk and repeats", () => {
    const { finding } = fuzz(canary, { seed: 7, runsMax: 200_000, millisecondsMax: 10_000 });
    expect(finding).not.toBeNull();
    expect(() => canary.run(finding!.input)).toThrow("the canary has been found");
    expect(finding!.input.length).toBeLessThanOrEqual(canary.seeds[0]!.length + 2);
    expect(describeFinding(finding!)).toContain(`--input '${Buffer.from(finding!.input).toString("base64")}' canary`);
  });

  test("the same seed gives the same inputs, another seed others", () => {
    const inputs = (seed: number): string[] => {
      const seen: string[] = [];
      const spy: FuzzTarget = {
        name: "spy",
        seeds: canary.seeds,
        run: (b) => void seen.push(Buffer.from(b).toString("hex")),
      };
      fuzz(spy, { seed, runsMax: 50, millisecondsMax: 10_000 });
      return seen;
    };
    expect(inputs(5)).toEqual(inputs(5));
    expect(inputs(5)).not.toEqual(inputs(6));
  });

  test("mutants stay within the length bound and do not touch the seeds", () => {
    const seed = new Uint8Array(1000).fill(0x61);
    const mutate = createMutator([seed], seededRng(11));
    for (let i = 0; i < 3000; i++) expect(mutate().length).toBeLessThanOrEqual(INPUT_BYTES_MAX);
    expect(seed.every((byte) => byte === 0x61)).toBe(true);
  });
});

describe("every target survives a short run", () => {
  for (const target of targets) {
    test(
      target.name,
      () => {
        const { finding, runs } = fuzz(target, { seed: 20_260_101, runsMax: RUNS, millisecondsMax: 20_000 });
        if (finding !== null) throw new Error(describeFinding(finding));
        expect(runs).toBe(RUNS);
      },
      30_000,
    );
  }
});
