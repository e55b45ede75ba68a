// The shared table against a model, and from two processes at once.

import { closeSync, mkdtempSync, openSync, rmSync, ftruncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterEach, expect, test } from "bun:test";
import { seededRng } from "../base/seeded-rng.ts";
import { SharedTable, sharedTableWords, type TableShape } from "./shared-table.ts";

function newTable(shape: TableShape): SharedTable {
  return new SharedTable(new Int32Array(sharedTableWords(shape)), shape);
}

/** One set of eight: what the model below imitates. */
const single = { keys: 5, values: 2 };

interface Entry {
  readonly a: number;
  readonly b: number;
  touchedMs: number;
  values: [number, number];
}

test("agrees with a list of eight, the one not touched for longest leaving first", () => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  const rng = seededRng(seed);
  const table = newTable(single);
  let model: Entry[] = [];
  let nowMs = rng.below(2 ** 32) * 64;
  for (let step = 0; step < 20_000; step++) {
    const label = `seed ${seed} step ${step}`;
    nowMs += 16 + rng.below(100);
    const key = rng.below(12);
    const a = Math.imul(key, 0x9e3779b9); // key 0 has a = 0, which the table must take too
    const b = key >> 1;
    const known = model.find((entry) => entry.a === a && entry.b === b);
    const slot = table.find(a, b);
    expect(slot >= 0, label).toBe(known !== undefined);
    if (known !== undefined) {
      expect([table.load(slot, 0), table.load(slot, 1)], label).toEqual(known.values);
      expect(Math.abs(table.ageMs(slot, nowMs) - (nowMs - known.touchedMs)), label).toBeLessThan(16);
      expect(table.holds(slot, a, b), label).toBe(true);
    }
    const choice = rng.below(10);
    if (choice < 6) {
      const claimed = table.claim(a, b, nowMs);
      let entry = known;
      if (entry === undefined) {
        model.sort((x, y) => x.touchedMs - y.touchedMs);
        if (model.length === 8) model.shift();
        entry = { a, b, touchedMs: nowMs, values: [0, 0] };
        model.push(entry);
      }
      entry.touchedMs = nowMs;
      const value = rng.u32() | 0;
      const k = rng.below(2);
      expect(table.swap(claimed, k, entry.values[k]! + 1, 7), label).toBe(false);
      expect(table.swap(claimed, k, entry.values[k]!, value), label).toBe(true);
      entry.values[k] = value;
    } else if (known !== undefined && choice === 6) {
      table.remove(slot, a, b);
      model = model.filter((entry) => entry !== known);
    } else if (known !== undefined && choice === 7) {
      table.touch(slot, nowMs);
      known.touchedMs = nowMs;
    }
    expect(table.count(), label).toBe(model.length);
  }
});

test("an idle claim takes no place that is in use", () => {
  const table = newTable(single);
  for (let key = 1; key <= 8; key++) table.store(table.claimIdle(key, key, key * 100), 1, key);
  expect(table.claimIdle(9, 9, 5000)).toBe(-1);
  expect(table.full).toBe(1);
  const fifth = table.find(5, 5);
  table.store(fifth, 1, 0);
  expect(table.claimIdle(9, 9, 6000)).toBe(fifth);
  expect(table.holds(fifth, 5, 5)).toBe(false);
  expect(table.find(5, 5)).toBe(-1);
  expect(table.evicted).toBe(1);
});

test("what a process had is cleared, other words are not", () => {
  const table = newTable({ keys: 100, values: 2 });
  for (let key = 1; key <= 100; key++) {
    const slot = table.claim(Math.imul(key, 0x9e3779b9), key, 0);
    table.store(slot, 0, 3);
    table.store(slot, 1, key);
  }
  table.clearValue(0);
  for (let key = 1; key <= 100; key++) {
    const slot = table.find(Math.imul(key, 0x9e3779b9), key);
    if (slot >= 0) expect([table.load(slot, 0), table.load(slot, 1)]).toEqual([0, key]);
  }
});

test("as many keys as it is made for find room, all but a few", () => {
  const keys = 4000;
  const table = newTable({ keys, values: 1 });
  const rng = seededRng(7);
  for (let key = 0; key < keys; key++) table.claim(rng.u32() | 0, rng.u32() | 0, key);
  expect(table.count()).toBeGreaterThan(keys * 0.95);
  expect(table.evicted).toBe(keys - table.count());
});

test("every entry in use is visited once, with its hash", () => {
  const table = newTable({ keys: 500, values: 1 });
  const kept = new Map<number, number>();
  for (let key = 0; key < 300; key++) table.claim(Math.imul(key, 0x9e3779b9), key, 0);
  table.remove(table.find(Math.imul(7, 0x9e3779b9), 7), Math.imul(7, 0x9e3779b9), 7);
  table.each((slot, a, b) => {
    expect(slot).toBe(table.find(a, b));
    kept.set(b, a);
  });
  expect(kept.size).toBe(299);
  expect(kept.get(0)).toBe(1); // a word that is 0 means an empty place
  expect(kept.get(5)).toBe(Math.imul(5, 0x9e3779b9));
});

test("the stamp of another process that is a little ahead is young, not old", () => {
  const table = newTable(single);
  for (let key = 1; key <= 8; key++) table.claim(key, key, key === 3 ? 2000 : 1000);
  expect(table.ageMs(table.find(3, 3), 1500)).toBe(0);
  table.claim(9, 9, 1500);
  expect(table.find(3, 3)).toBeGreaterThan(0);
});

test("a lock whose owner died is taken over after a second; until then the claim fails, and harms nothing", () => {
  const words = new Int32Array(sharedTableWords(single));
  const table = new SharedTable(words, single);
  const slot = table.claim(5, 5, 8000);
  words[0] = 10_000 / 16; // the only set's lock, taken at 10 s
  expect(table.claim(6, 6, 10_900)).toBe(-1);
  expect(table.claim(5, 5, 10_900)).toBe(slot); // needs no lock
  expect(table.claim(6, 6, 11_100)).toBe(table.find(6, 6));
  expect(table.find(6, 6)).toBeGreaterThan(0);
  expect(words[0]).toBe(0);
});

let folder = "";
afterEach(() => {
  if (folder !== "") rmSync(folder, { recursive: true });
  folder = "";
});

/** Memory of so many words in a file that two processes map. */
function sharedFile(words: number): string {
  folder = mkdtempSync(`${tmpdir()}/sluice-table-`);
  const path = `${folder}/words`;
  const fd = openSync(path, "w+");
  ftruncateSync(fd, words * 4);
  closeSync(fd);
  return path;
}

test("two processes make the same entries at the same time: every addition counts, no key is there twice", async () => {
  const shape = { keys: 20_000, values: 1 };
  const keys = 10_000;
  const words = sharedTableWords(shape);
  const path = sharedFile(words + 2);
  const script = `
    const { SharedTable } = await import(${JSON.stringify(`${import.meta.dir}/shared-table.ts`)});
    const words = new Int32Array(Bun.mmap(${JSON.stringify(path)}, { shared: true }).buffer);
    const table = new SharedTable(words, ${JSON.stringify(shape)});
    Atomics.add(words, ${words}, 1);
    while (Atomics.load(words, ${words}) !== 2) {}
    for (let key = 1; key <= ${keys}; key++) {
      for (let times = 0; times < 3; times++) {
        const a = Math.imul(key, 0x9e3779b9);
        let slot = -1; // where one core has both, the owner of a lock may not run for long
        while (slot < 0) slot = table.claim(a, key, performance.timeOrigin + performance.now());
        for (let old = table.load(slot, 0); !table.swap(slot, 0, old, old + 1); old = table.load(slot, 0)) {}
      }
    }
    Atomics.add(words, ${words + 1}, table.evicted);
  `;
  const children = [0, 1].map(() => Bun.spawn([process.execPath, "-e", script], { stdout: "inherit" }));
  expect(await Promise.all(children.map((child) => child.exited))).toEqual([0, 0]);
  const memory = new Int32Array(Bun.mmap(path, { shared: true }).buffer);
  expect(memory[words + 1]).toBe(0); // the keys are spread evenly: none had to leave
  const table = new SharedTable(memory, shape);
  expect(table.count()).toBe(keys);
  for (let key = 1; key <= keys; key++) {
    expect(table.load(table.find(Math.imul(key, 0x9e3779b9), key), 0)).toBe(6);
  }
});
