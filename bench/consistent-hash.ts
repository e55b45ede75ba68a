// Which consistent hash? Measures the three usual candidates on the questions that matter: how many clients move that
// need not, how even the load is, what a choice and a rebuild cost. The answer is
// docs/decisions/0001-consistent-hash.md; run this file to get its table again. The ring and Maglev here are for this
// comparison only.

import { eligible, WEIGHT_SCALE, type EndpointTable, type PickState } from "../src/balance/balancer.ts";
import { newPickState } from "../src/balance/pick-state.ts";
import { Rendezvous } from "../src/balance/rendezvous.ts";
import { sampleTable, setUsable } from "../src/balance/sample-table.ts";
import { mix32 } from "../src/base/hash.ts";

const KEYS = 50_000;
const ROUNDS = 5;
const POINTS = 160;
const MAGLEV_SIZE = 65537;

interface Candidate {
  readonly name: string;
  rebuild(table: EndpointTable): void;
  choose(table: EndpointTable, state: PickState): number;
}

function rendezvous(count: number): Candidate {
  const hash = new Rendezvous(count);
  return {
    name: "rendezvous",
    rebuild: (table) => hash.tableChanged(table),
    choose: (table, state) => hash.choose(table, state, Infinity),
  };
}

/** ketama's ring: POINTS points per unit of weight, built over everybody; the unusable are walked over. */
function ring(): Candidate {
  let points = new Float64Array(0);
  return {
    name: `ring ${POINTS}`,
    rebuild(table) {
      const list: number[] = [];
      for (let i = 0; i < table.count; i++) {
        const mine = Math.round((POINTS * table.weight[i]!) / WEIGHT_SCALE);
        for (let p = 0; p < mine; p++) list.push(mix32(table.idHash[i]! + Math.imul(p, 0x9e3779b9)) * 4096 + i);
      }
      points = Float64Array.from(list).sort();
    },
    choose(table, state) {
      const key = state.hash * 4096;
      let low = 0;
      let high = points.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (points[middle]! < key) low = middle + 1;
        else high = middle;
      }
      for (let k = 0; k < points.length; k++) {
        const i = points[(low + k) % points.length]! % 4096;
        if (eligible(table, state, i)) return i;
      }
      return -1;
    },
  };
}

/** Maglev (Eisenbud and others, 2016) with Envoy's weights; rebuilt over the usable ones whenever they change. */
function maglev(): Candidate {
  const slots = new Int32Array(MAGLEV_SIZE);
  return {
    name: `maglev ${MAGLEV_SIZE}`,
    rebuild(table) {
      slots.fill(-1);
      const next = new Float64Array(table.count);
      const target = new Float64Array(table.count);
      let filled = 0;
      let heaviest = 0;
      for (let i = 0; i < table.count; i++) if (table.usable[i] !== 0) heaviest = Math.max(heaviest, table.weight[i]!);
      for (let round = 1; filled < MAGLEV_SIZE; round++) {
        for (let i = 0; i < table.count && filled < MAGLEV_SIZE; i++) {
          if (table.usable[i] === 0 || round * table.weight[i]! < target[i]!) continue;
          target[i] = target[i]! + heaviest;
          const offset = table.idHash[i]! % MAGLEV_SIZE;
          const skip = (mix32(table.idHash[i]!) % (MAGLEV_SIZE - 1)) + 1;
          let slot: number;
          do {
            slot = (offset + skip * next[i]!) % MAGLEV_SIZE;
            next[i] = next[i]! + 1;
          } while (slots[slot] !== -1);
          slots[slot] = i;
          filled++;
        }
      }
    },
    choose: (_table, state) => slots[state.hash % MAGLEV_SIZE]!,
  };
}

function chooseAll(candidate: Candidate, table: EndpointTable, state: PickState): Int32Array {
  const chosen = new Int32Array(KEYS);
  for (let k = 0; k < KEYS; k++) {
    state.hash = mix32(k + 1);
    chosen[k] = candidate.choose(table, state);
  }
  return chosen;
}

function measure(candidate: Candidate, weights: readonly number[], label: string): void {
  const table = sampleTable(weights);
  const state = newPickState(table.count);
  candidate.rebuild(table);
  const before = chooseAll(candidate, table, state);
  let nsPerChoice = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const started = Bun.nanoseconds();
    chooseAll(candidate, table, state);
    nsPerChoice = Math.min(nsPerChoice, (Bun.nanoseconds() - started) / KEYS);
  }

  const load = new Float64Array(table.count);
  for (const i of before) load[i] = load[i]! + 1;
  const total = table.weight.reduce((sum, w) => sum + w, 0);
  let worst = 0;
  for (let i = 0; i < table.count; i++) worst = Math.max(worst, load[i]! / ((KEYS * table.weight[i]!) / total));

  const gone = Math.floor(table.count / 2);
  setUsable(table, gone, false);
  const rebuildStarted = Bun.nanoseconds();
  candidate.rebuild(table);
  const rebuildMs = (Bun.nanoseconds() - rebuildStarted) / 1e6;
  const moved = needless(before, chooseAll(candidate, table, state), gone);

  setUsable(table, gone, true);
  table.weight[gone] = Math.round(table.weight[gone]! / 10);
  candidate.rebuild(table);
  const movedByWeight = needless(before, chooseAll(candidate, table, state), gone);
  const cells = [
    candidate.name.padEnd(13),
    label.padEnd(14),
    `${((100 * moved) / KEYS).toFixed(3)} %`.padStart(9),
    `${((100 * movedByWeight) / KEYS).toFixed(3)} %`.padStart(9),
    worst.toFixed(2).padStart(6),
    nsPerChoice.toFixed(0).padStart(7),
    rebuildMs.toFixed(3).padStart(9),
  ];
  console.log(`| ${cells.join(" | ")} |`);
}

/** Keys that changed hands although neither their old nor their new endpoint is the one that changed. */
function needless(before: Int32Array, after: Int32Array, changed: number): number {
  let moved = 0;
  for (let k = 0; k < KEYS; k++) if (before[k] !== after[k] && before[k] !== changed && after[k] !== changed) moved++;
  return moved;
}

console.log(`${KEYS} keys. "needless": keys that moved between two endpoints that did not change.`);
console.log(
  "| hash | endpoints | needless: one gone | one at 1/10 weight | worst load / share | ns a choice | rebuild ms |",
);
console.log("| --- | --- | ---: | ---: | ---: | ---: | ---: |");
for (const count of [3, 10, 30, 100, 300, 1000]) {
  const equal = Array.from({ length: count }, () => WEIGHT_SCALE);
  const mixed = Array.from({ length: count }, (_, i) => WEIGHT_SCALE * (1 + (i % 5)));
  for (const make of [rendezvous, ring, maglev]) {
    measure(make(count), equal, `${count} equal`);
    measure(make(count), mixed, `${count} 1..5`);
  }
}
