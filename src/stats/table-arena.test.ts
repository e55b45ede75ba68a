// The book of table regions: no two overlap, what stays keeps its place and its contents, what is new is empty.

import { expect, test } from "bun:test";
import { seededRng } from "../base/seeded-rng.ts";
import { sharedTableWords } from "./shared-table.ts";
import { openTable, TableArena, type TableWish } from "./table-arena.ts";

function wish(name: string, keys = 10, values = 1, perWorker = false): TableWish {
  return { name, keys, values, perWorker };
}

function apply(arena: TableArena, generation: number, ...wishes: TableWish[]): Readonly<Record<string, number>> {
  const proposal = arena.propose(wishes)!;
  arena.commit(proposal, generation);
  return proposal.offsets;
}

test("a table keeps its region and contents while its name and form stay, also past a moment without it", () => {
  const words = new Int32Array(100_000);
  const arena = new TableArena(words);
  const first = apply(arena, 0, wish("a"), wish("b"));
  const table = openTable(words, first["a"]!, wish("a"));
  table.store(table.claim(1, 2, 0), 0, 77);
  expect(apply(arena, 1, wish("b"))).toEqual({ b: first["b"]! });
  expect(apply(arena, 2, wish("c"), wish("b"), wish("a"))["a"]).toBe(first["a"]!);
  expect(table.load(table.find(1, 2), 0)).toBe(77);
  expect(apply(arena, 3, wish("a", 11))["a"]).not.toBe(first["a"]!);
});

test("a region that an old generation may still write to is not given out; later it is, and zero", () => {
  const words = new Int32Array(sharedTableWords(wish("a")) + 1024);
  const arena = new TableArena(words);
  const at = apply(arena, 0, wish("a"))["a"]!;
  words.fill(5, at, at + sharedTableWords(wish("a")));
  apply(arena, 1);
  expect(arena.propose([wish("b")])).toBeNull();
  arena.retire(1); // generation 1 is the last that knew "a"
  expect(arena.propose([wish("b")])).toBeNull();
  arena.retire(2);
  expect(apply(arena, 2, wish("b"))).toEqual({ b: at });
  expect(words.some((word) => word !== 0)).toBe(false);
});

test("a proposal that is not committed changes nothing", () => {
  const arena = new TableArena(new Int32Array(100_000));
  const { a } = apply(arena, 0, wish("a"));
  arena.propose([wish("b"), wish("c")]);
  expect(arena.propose([wish("a"), wish("d")])!.offsets["a"]).toBe(a!);
});

test("what a dead worker had counted is taken off, in tables per worker only", () => {
  const words = new Int32Array(100_000);
  const arena = new TableArena(words);
  const shapes = [wish("counts", 10, 4, true), wish("rates", 10, 4)];
  const offsets = apply(arena, 0, ...shapes);
  const [counts, rates] = shapes.map((shape) => openTable(words, offsets[shape.name]!, shape));
  for (const table of [counts!, rates!]) {
    const slot = table.claim(1, 2, 0);
    for (let k = 0; k < 4; k++) table.store(slot, k, k + 1);
  }
  arena.clearWorker(2);
  arena.clearWorker(63); // one that has no word there
  const values = (table: typeof counts): number[] => [0, 1, 2, 3].map((k) => table!.load(table!.find(1, 2), k));
  expect(values(counts)).toEqual([1, 2, 0, 4]);
  expect(values(rates)).toEqual([1, 2, 3, 4]);
});

test("live regions never overlap, whatever the order of reloads", () => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  const rng = seededRng(seed);
  const size = 60_000;
  const arena = new TableArena(new Int32Array(size));
  const inUse: { generation: number; regions: [number, number][] }[] = [];
  let refused = 0;
  for (let generation = 0; generation < 2000; generation++) {
    const wishes = Array.from({ length: rng.below(8) }, () => wish(`t${rng.below(12)}`, 1 + rng.below(3) * 300));
    const proposal = arena.propose(wishes);
    if (proposal === null) refused++;
    else {
      arena.commit(proposal, generation);
      const regions = [...proposal.regions.values()].map(({ at, words }): [number, number] => [at, at + words]);
      inUse.push({ generation: generation + 1, regions });
    }
    if (rng.below(3) === 0) {
      const oldest = generation + 1 - rng.below(3);
      arena.retire(oldest);
      while (inUse.length > 1 && inUse[0]!.generation < oldest) inUse.shift();
    }
    const all = new Map(inUse.flatMap(({ regions }) => regions.map((region) => [region.join(), region])));
    const sorted = [...all.values()].sort((a, b) => a[0] - b[0]);
    for (let i = 0; i < sorted.length; i++) {
      expect(sorted[i]![0], `seed ${seed} generation ${generation}`).toBeGreaterThanOrEqual(sorted[i - 1]?.[1] ?? 0);
      expect(sorted[i]![1]).toBeLessThanOrEqual(size);
    }
  }
  expect(refused).toBeLessThan(2000);
});
