// Random patterns and texts: the engine agrees with JavaScript's RegExp where the two define the same, and with a plain
// backtracking interpreter everywhere; its own automata agree with one another. SLUICE_SEED and SLUICE_REGEX_RUNS give
// other and longer runs.

import { expect, test } from "bun:test";
import { parseRegex } from "../../base/regex/parse.ts";
import { seededRng } from "../../base/seeded-rng.ts";
import { BoundedBacktracker } from "./bounded-backtracker.ts";
import { buildOnePass, execOnePass } from "./one-pass.ts";
import { Pike } from "./pike.ts";
import { compileProgram } from "./program.ts";
import { backtrack, isSameInJavaScript, mustCompile, randomPattern, randomText, tooLong } from "./test-kit.ts";

const seed = Number(process.env["SLUICE_SEED"] ?? 20_261);
const runs = Number(process.env["SLUICE_REGEX_RUNS"] ?? 4000);
const textsEach = 6;

/** Slots as JavaScript finds them, or null. */
function javaScript(regexp: RegExp, text: string): number[] | null {
  const match = regexp.exec(text);
  return match === null ? null : match.indices!.flatMap((pair) => pair ?? [-1, -1]);
}

function parsed(pattern: string) {
  const result = parseRegex(pattern, false);
  if ("message" in result) throw new Error(`${pattern}: ${result.message}`);
  return result;
}

test(`random patterns, seed ${seed}`, () => {
  const rng = seededRng(seed);
  const seen = { same: 0, matches: 0, onePass: 0, tooLong: 0 };
  for (let run = 0; run < runs; run++) {
    // A third is anchored, for the single pass.
    const pattern = (rng.below(3) === 0 ? "^" : "") + randomPattern(rng, 3);
    const { node, groupCount } = parsed(pattern);
    const program = compileProgram(node, groupCount);
    const where = `${JSON.stringify(pattern)}, seed ${seed}, run ${run}`;
    expect(program.length, where).toBe(node.size + 1);
    const regex = mustCompile(pattern);
    const regexp = new RegExp(pattern, "d");
    const onePass = buildOnePass(program);
    const pike = new Pike(program);
    const backtracker = new BoundedBacktracker(program);
    if (onePass !== null) seen.onePass++;
    for (let i = 0; i < textsEach; i++) {
      const text = randomText(rng, 10);
      const at = `${where}, text ${JSON.stringify(text)}`;
      const bytes = Buffer.from(text);
      const expected = javaScript(regexp, text);
      if (expected !== null) seen.matches++;
      expect(regex.test(bytes, 0, bytes.length), at).toBe(expected !== null);
      const captures = new Int32Array(program.slotCount);
      const find = (exec: () => boolean): number[] | null => (exec() ? [...captures] : null);
      const found = find(() => regex.exec(bytes, 0, bytes.length, captures));
      expect(
        find(() => pike.exec(bytes, 0, bytes.length, captures)),
        at,
      ).toEqual(found);
      if (backtracker.fits(bytes.length)) {
        expect(
          find(() => backtracker.exec(bytes, 0, bytes.length, captures)),
          at,
        ).toEqual(found);
      }
      if (onePass !== null) {
        const kept = new Int32Array(program.slotCount);
        expect(
          find(() => execOnePass(onePass, bytes, 0, bytes.length, captures, kept)),
          at,
        ).toEqual(found);
      }
      const tried = backtrack(program, bytes, 20_000);
      if (tried === tooLong) seen.tooLong++;
      else expect(found, at).toEqual(tried);
      if (!isSameInJavaScript(node)) continue;
      seen.same++;
      expect(found, at).toEqual(expected);
    }
  }
  // The run has met what it is for.
  const all = runs * textsEach;
  expect(seen.same).toBeGreaterThan(all / 2);
  expect(seen.matches).toBeGreaterThan(all / 4);
  expect(seen.onePass).toBeGreaterThan(runs / 50);
  expect(seen.tooLong).toBeLessThan(all / 100);
});
