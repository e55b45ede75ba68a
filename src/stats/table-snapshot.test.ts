// Snapshots: what comes back, what is left out, and that damage of any kind is found.

import { describe, expect, test } from "bun:test";
import { hashBytes } from "../base/hash.ts";
import { seededRng } from "../base/seeded-rng.ts";
import { SharedTable, sharedTableWords, type TableShape } from "./shared-table.ts";
import { decodeSnapshot, encodeSnapshot, fillFrom, rowsOf, wasUsedSince, type Snapshot } from "./table-snapshot.ts";

const shape = { keys: 400, values: 2 };
const hour = 3_600_000;

function newTable(of: TableShape = shape): SharedTable {
  return new SharedTable(new Int32Array(sharedTableWords(of)), of);
}

/** Hash words of a key, spread over the sets. */
const a = (key: number): number => Math.imul(key, 0x9e3779b9);

function put(table: SharedTable, key: number, nowMs: number): void {
  const slot = table.claim(a(key), key, nowMs);
  table.store(slot, 0, key * 3);
  table.store(slot, 1, -key);
}

/** Keys that are there with the right values, among 0 to keys - 1. */
function keysOf(table: SharedTable, keys: number): number[] {
  return Array.from({ length: keys }, (_, key) => key).filter((key) => {
    const slot = table.find(a(key), key);
    if (slot < 0) return false;
    expect([table.load(slot, 0), table.load(slot, 1)]).toEqual([key * 3, -key]);
    return true;
  });
}

function snapshotOf(tables: Readonly<Record<string, SharedTable>>, nowMs: number): Snapshot {
  const rows = Object.entries(tables).map(([name, table]) => [name, rowsOf(table, nowMs)] as const);
  return { seed: { k0: -5, k1: 0x7fffffff }, madeS: 1_700_000_000.5, tables: new Map(rows) };
}

function decoded(bytes: Uint8Array): Snapshot {
  const snapshot = decodeSnapshot(bytes);
  if (typeof snapshot === "string") throw new Error(snapshot);
  return snapshot;
}

describe("a snapshot", () => {
  test("brings seed, time, names and entries back", () => {
    const first = newTable();
    for (let key = 1; key <= 200; key++) put(first, key, key * 1000);
    const bytes = encodeSnapshot(snapshotOf({ "sticky users": first, "": newTable(), "sticky ü": newTable() }, hour));
    const { seed, madeS, tables } = decoded(new Uint8Array([1, 2, 3, ...bytes]).subarray(3));
    expect(seed).toEqual({ k0: -5, k1: 0x7fffffff });
    expect(madeS).toBe(1_700_000_000.5);
    expect([...tables].map(([name, rows]) => [name, rows.count])).toEqual([
      ["sticky users", 200],
      ["", 0],
      ["sticky ü", 0],
    ]);
    const again = newTable();
    fillFrom(again, tables.get("sticky users")!, 5 * hour, 0, 0);
    expect(keysOf(again, 250)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
    for (const key of [1, 77, 200]) {
      const ageMs = again.ageMs(again.find(a(key), key), 5 * hour);
      expect(Math.abs(ageMs - (hour - key * 1000))).toBeLessThan(1100);
    }
  });

  test("leaves out entries that have no value yet", () => {
    const table = newTable();
    put(table, 1, 0);
    table.claim(a(2), 2, 0);
    expect(rowsOf(table, 0).count).toBe(1);
  });

  test("is told from every other file, and from itself with a bit changed, cut or lengthened", () => {
    const table = newTable();
    for (let key = 1; key <= 20; key++) put(table, key, 0);
    const good = encodeSnapshot(snapshotOf({ one: table, two: table }, hour));
    expect(decoded(good).tables.size).toBe(2);
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bad = new Uint8Array(good);
      bad[bit >> 3]! ^= 1 << (bit & 7);
      expect(typeof decodeSnapshot(bad), `bit ${bit}`).toBe("string");
    }
    for (let length = 0; length < good.length; length++) {
      expect(typeof decodeSnapshot(good.subarray(0, length)), `${length} bytes`).toBe("string");
    }
    expect(typeof decodeSnapshot(new Uint8Array([...good, 0]))).toBe("string");
    expect(decodeSnapshot(new Uint8Array(0))).toBe("it is no snapshot of tables");
    const later = new Uint8Array(good);
    later[8] = 2;
    expect(decodeSnapshot(later)).toBe("it has version 2 of the format, this program reads version 1");
  });

  test("of random bytes behind a good head is refused, whatever the numbers in it claim", () => {
    const seed = (Math.random() * 2 ** 32) >>> 0;
    const rng = seededRng(seed);
    const head = encodeSnapshot({ seed: { k0: 0, k1: 0 }, madeS: 0, tables: new Map() });
    let good = 0;
    for (let round = 0; round < 5000; round++) {
      const words = Uint32Array.from({ length: rng.below(12) }, () => (rng.below(20) === 0 ? rng.u32() : rng.below(3)));
      const bytes = new Uint8Array([...head, ...new Uint8Array(words.buffer)]);
      bytes[32] = 1 + rng.below(2);
      resign(bytes);
      const snapshot = decodeSnapshot(bytes);
      if (typeof snapshot === "string") continue;
      good++;
      for (const rows of snapshot.tables.values()) {
        expect(rows.count * (rows.values + 3) * 4, `seed ${seed} round ${round}`).toBeLessThan(bytes.length);
      }
    }
    expect(good, `seed ${seed}`).toBeGreaterThan(0);
  });
});

/** Gives changed bytes the checksum that fits them. */
function resign(bytes: Uint8Array): void {
  new DataView(bytes.buffer).setUint32(12, hashBytes(bytes, 16, bytes.length), true);
}

describe("filling", () => {
  test("adds the time that has passed, and leaves out what that makes too old", () => {
    const table = newTable();
    for (let key = 1; key <= 10; key++) put(table, key, key * 60_000);
    const rows = rowsOf(table, 600_000);
    const again = newTable();
    fillFrom(again, rows, 50_000, 120_000, 300_000);
    expect(keysOf(again, 20)).toEqual([7, 8, 9, 10]);
    expect(Math.abs(again.ageMs(again.find(a(7), 7), 50_000) - 300_000)).toBeLessThan(1100);
  });

  test("a table that is too small keeps the newest", () => {
    const table = newTable();
    for (let key = 1; key <= 100; key++) put(table, key, ((key * 37) % 101) * 10_000);
    const small = newTable({ keys: 5, values: 2 });
    fillFrom(small, rowsOf(table, 2_000_000), 3_000_000, 0, 0);
    const newest = Array.from({ length: 100 }, (_, i) => i + 1).filter((key) => (key * 37) % 101 > 92);
    expect(keysOf(small, 101)).toEqual(newest);
  });

  test("does not touch what the table knows already, nor a table of another form", () => {
    const [table, again] = [newTable(), newTable()];
    put(table, 1, 0);
    put(table, 2, 0);
    put(again, 1, 5000);
    again.store(again.find(a(1), 1), 0, 99);
    fillFrom(again, rowsOf(table, 10_000), 10_000, 0, 0);
    expect(again.load(again.find(a(1), 1), 0)).toBe(99);
    expect(again.ageMs(again.find(a(1), 1), 10_000)).toBeLessThan(5100);
    expect(again.find(a(2), 2)).toBeGreaterThan(0);
    const other = newTable({ keys: 400, values: 1 });
    fillFrom(other, rowsOf(table, 10_000), 10_000, 0, 0);
    expect(other.count()).toBe(0);
  });
});

test("a table is worth saving when an entry was made or touched since", () => {
  const table = newTable();
  expect(wasUsedSince(table, 0, 10_000)).toBe(false);
  expect(wasUsedSince(table, -Infinity, 10_000)).toBe(false);
  put(table, 1, 10_000);
  expect(wasUsedSince(table, 9000, 60_000)).toBe(true);
  expect(wasUsedSince(table, 20_000, 60_000)).toBe(false);
  table.touch(table.find(a(1), 1), 30_000);
  expect(wasUsedSince(table, 20_000, 60_000)).toBe(true);
});
