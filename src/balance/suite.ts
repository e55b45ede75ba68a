// What every balancer must hold to, as laws that any test runner can run: a law throws an error naming its seed when it
// is broken. Part of the tests; the running program does not import it.

import { mix32 } from "../base/hash.ts";
import type { Rng } from "../base/ports.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { eligible, markTried, WEIGHT_SCALE, type Balancer, type EndpointTable, type PickState } from "./balancer.ts";
import { newPickState, resetPickState } from "./pick-state.ts";
import { sampleTable, setUsable } from "./sample-table.ts";

/** What is promised beyond the laws that bind everybody. */
export interface Traits {
  readonly make: (count: number, rng: Rng) => Balancer;
  /**
   * How shares are dealt to idle endpoints: "equal" turns, by "weight", or "load" (only latency and load decide: no
   * promise about an idle pool).
   */
  readonly shares: "equal" | "weight" | "load";
  /** Largest relative error of an endpoint's share over 20,000 picks. */
  readonly tolerance: number;
  /** A change of one endpoint moves only keys that leave it or go to it. */
  readonly minimalDisruption: boolean;
}

export interface Law {
  readonly name: string;
  readonly holds: (traits: Traits) => void;
}

const COUNTS = [1, 2, 3, 7, 32, 33, 100, 1000];
const SEEDS = 25;

function must(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

function eligibles(table: EndpointTable, state: PickState): number[] {
  const list: number[] = [];
  for (let i = 0; i < table.count; i++) if (eligible(table, state, i)) list.push(i);
  return list;
}

/** A table in any state the pool can produce, and some it does not (weight 0 yet usable). */
function randomTable(rng: Rng, count: number): EndpointTable {
  const table = sampleTable(Array.from({ length: count }, () => rng.below(5) * WEIGHT_SCALE));
  const usablePercent = rng.below(101);
  for (let i = 0; i < count; i++) {
    setUsable(table, i, rng.below(100) < usablePercent);
    if (rng.below(3) === 0) {
      table.ramp[i] = 26 + rng.below(230);
      table.weight[i] = Math.floor((table.weight[i]! * table.ramp[i]!) / WEIGHT_SCALE);
    }
    table.activeMax[i] = rng.below(2) * (1 + rng.below(4));
    randomLoad(rng, table, i);
  }
  return table;
}

function randomLoad(rng: Rng, table: EndpointTable, i: number): void {
  table.active[i] = rng.below(5);
  table.latencyUs[i] = rng.below(3) * rng.below(1_000_000);
  table.latencyAtMs[i] = rng.below(20_000);
  table.upSinceMs[i] = rng.below(2) * rng.below(20_000);
}

function randomState(rng: Rng, count: number): PickState {
  const state = newPickState(count);
  state.hash = rng.below(4) === 0 ? 0 : rng.u32();
  state.nowMs = 20_000 + rng.below(100_000);
  if (rng.below(3) === 0) for (let i = 0; i < count; i++) if (rng.below(3) === 0) markTried(state, i);
  return state;
}

/** Runs body for every seed and table size, and names both when it throws. */
function forAll(body: (rng: Rng, count: number) => void): void {
  for (let seed = 1; seed <= SEEDS; seed++) {
    for (const count of COUNTS) {
      try {
        body(seededRng(seed * 1009 + count), count);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        throw new Error(`seed ${seed}, count ${count}: ${message}`, { cause: error });
      }
    }
  }
}

/** Shares of picks from an idle pool whose loads stay zero; the clock runs 1 ms a pick. */
function deal(balancer: Balancer, table: EndpointTable, picks: number, weightSeed: number): Float64Array {
  const state = newPickState(table.count);
  const shares = new Float64Array(table.count);
  for (let k = 0; k < picks; k++) {
    resetPickState(state, table.count, k);
    state.hash = mix32(k + weightSeed) || 1;
    const i = balancer.pick(table, state);
    must(i >= 0, "nobody picked from an idle pool");
    shares[i] = shares[i]! + 1 / picks;
  }
  return shares;
}

const onlyEligible: Law = {
  name: "picks an eligible endpoint, and -1 exactly when there is none",
  holds: ({ make }) =>
    forAll((rng, count) => {
      const table = randomTable(rng, count);
      const balancer = make(count, rng);
      balancer.tableChanged(table);
      for (let k = 0; k < 12; k++) {
        const state = randomState(rng, count);
        const i = balancer.pick(table, state);
        if (i === -1) must(eligibles(table, state).length === 0, `pick ${k}: -1 although somebody is eligible`);
        else must(Number.isInteger(i) && i >= 0 && i < count && eligible(table, state, i), `pick ${k}: ${i}`);
        randomLoad(rng, table, rng.below(count));
        if (k % 4 !== 3) continue;
        setUsable(table, rng.below(count), rng.below(2) === 0);
        table.weight[rng.below(count)] = rng.below(4) * WEIGHT_SCALE;
        balancer.tableChanged(table);
      }
    }),
};

const retriesVisitAll: Law = {
  name: "retries of one request visit every eligible endpoint once",
  holds: ({ make }) =>
    forAll((rng, count) => {
      if (count > 100) return;
      const table = randomTable(rng, count);
      const balancer = make(count, rng);
      balancer.tableChanged(table);
      const state = randomState(rng, count);
      const wanted = eligibles(table, state).length;
      let visited = 0;
      for (let i = balancer.pick(table, state); i >= 0; i = balancer.pick(table, state)) {
        must(eligible(table, state, i), `visited ${i} twice`);
        markTried(state, i);
        visited++;
      }
      must(visited === wanted, `visited ${visited} of ${wanted}`);
    }),
};

const fairShares: Law = {
  name: "deals its shares fairly",
  holds: ({ make, shares, tolerance }) => {
    if (shares === "load") return;
    for (const weights of [
      [1],
      [1, 1, 1],
      [3, 2, 1],
      [5, 1, 1],
      [1, 2, 3, 4, 10],
      Array.from({ length: 40 }, () => 2),
    ]) {
      const table = sampleTable(weights.map((w) => w * WEIGHT_SCALE));
      const balancer = make(weights.length, seededRng(7));
      balancer.tableChanged(table);
      const dealt = deal(balancer, table, 20_000, 0);
      const total = weights.reduce((sum, w) => sum + w, 0);
      for (const [i, w] of weights.entries()) {
        const fair = shares === "equal" ? 1 / weights.length : w / total;
        must(
          Math.abs(dealt[i]! / fair - 1) <= tolerance,
          `weights ${weights}: ${i} got ${dealt[i]} instead of ${fair}`,
        );
      }
    }
  },
};

const slowStartShare: Law = {
  name: "an endpoint in slow start gets its part of a share",
  holds: ({ make, shares, tolerance }) => {
    if (shares === "load") return;
    const table = sampleTable([WEIGHT_SCALE, WEIGHT_SCALE, 26]);
    table.ramp[2] = 26;
    const balancer = make(3, seededRng(11));
    balancer.tableChanged(table);
    const share = deal(balancer, table, 20_000, 5)[2]!;
    const fair = 26 / (2 * WEIGHT_SCALE + 26);
    must(Math.abs(share / fair - 1) <= Math.max(tolerance * 2, 0.05), `got ${share} instead of ${fair}`);
  },
};

const zeroWeight: Law = {
  name: "weight 0 gets nothing",
  holds: ({ make }) => {
    const table = sampleTable([WEIGHT_SCALE, 0, 2 * WEIGHT_SCALE, 0]);
    const balancer = make(4, seededRng(3));
    balancer.tableChanged(table);
    const dealt = deal(balancer, table, 5000, 0);
    must(dealt[1] === 0 && dealt[3] === 0, `dealt ${dealt}`);
  },
};

const reproducible: Law = {
  name: "the same seed gives the same picks",
  holds: ({ make }) =>
    forAll((rng, count) => {
      if (count > 100) return;
      const seed = rng.u32();
      const run = (): number[] => {
        const own = seededRng(seed);
        const table = randomTable(own, count);
        const balancer = make(count, seededRng(seed ^ 1));
        balancer.tableChanged(table);
        return Array.from({ length: 20 }, () => balancer.pick(table, randomState(own, count)));
      };
      const first = run().join();
      must(run().join() === first, "two runs differ");
    }),
};

const boundedWork: Law = {
  name: "looks at each endpoint a bounded number of times",
  holds: ({ make }) => {
    for (const count of [10, 1000]) {
      for (const usable of ["all", "last", "none"] as const) {
        const plain = sampleTable(Array.from({ length: count }, () => WEIGHT_SCALE));
        // Everybody is usable but full, except for those we want eligible: the worst case for drawing and walking.
        for (let i = 0; i < count; i++) {
          const free = usable === "all" || (usable === "last" && i === count - 1);
          plain.activeMax[i] = 1;
          plain.active[i] = free ? 0 : 1;
        }
        let reads = 0;
        const counted = new Proxy(plain.usable, {
          get: (target, key) => {
            reads++;
            return Reflect.get(target, key, target) as unknown;
          },
        });
        const balancer = make(count, seededRng(5));
        balancer.tableChanged(plain);
        const table: EndpointTable = { ...plain, usable: counted };
        const state = newPickState(count);
        for (let k = 0; k < 20; k++) {
          state.hash = mix32(k + 1);
          state.nowMs = k;
          reads = 0;
          const i = balancer.pick(table, state);
          must(reads <= 3 * count + 8, `${reads} looks at ${count} endpoints`);
          must(i === -1 ? usable === "none" : usable !== "none", `picked ${i}`);
        }
      }
    }
  },
};

const disruption: Law = {
  name: "a change of one endpoint moves only its own keys",
  holds: ({ make, minimalDisruption }) => {
    if (!minimalDisruption) return;
    for (const weights of [[1, 1, 1], [1, 2, 3], Array.from({ length: 50 }, (_, i) => 1 + (i % 4))]) {
      const table = sampleTable(weights.map((w) => w * WEIGHT_SCALE));
      const balancer = make(weights.length, seededRng(1));
      const state = newPickState(weights.length);
      const map = (): number[] => {
        balancer.tableChanged(table);
        return Array.from({ length: 4000 }, (_, k) => {
          state.hash = mix32(k + 77);
          return balancer.pick(table, state);
        });
      };
      const before = map();
      for (let gone = 0; gone < Math.min(weights.length, 6); gone++) {
        const label = `weights ${weights}, endpoint ${gone}`;
        setUsable(table, gone, false);
        for (const [k, i] of map().entries()) {
          must(before[k] === gone ? i !== gone : i === before[k], `${label} gone: key ${k} went ${before[k]} -> ${i}`);
        }
        setUsable(table, gone, true);
        must(map().join() === before.join(), `${label} back: not everybody came home`);
        const weight = table.weight[gone]!;
        table.weight[gone] = Math.floor(weight / 3);
        for (const [k, i] of map().entries()) must(i === before[k] || before[k] === gone, `${label} lighter: key ${k}`);
        table.weight[gone] = weight * 3;
        for (const [k, i] of map().entries()) must(i === before[k] || i === gone, `${label} heavier: key ${k}`);
        table.weight[gone] = weight;
      }
    }
  },
};

/** All laws; those that a balancer's traits exempt it from hold trivially. */
export const laws: readonly Law[] = [
  onlyEligible,
  retriesVisitAll,
  fairShares,
  slowStartShare,
  zeroWeight,
  reproducible,
  boundedWork,
  disruption,
];
