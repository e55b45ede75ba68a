// The table of sessions against a model, and from two processes at once.

import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { keyedHashText, type Hash64 } from "../../base/keyed-hash.ts";
import { seededRng } from "../../base/seeded-rng.ts";
import { SharedTable, sharedTableWords } from "../../stats/shared-table.ts";
import { hashName, IdIndex } from "./id-index.ts";
import { SessionTable, sessionTableShape } from "./session-table.ts";

const seed = { k0: 1, k1: 2 };
const ids = new IdIndex(Array.from({ length: 20 }, (_, i) => `e${i}`));

function newTable(size: number, ttlMs: number): SessionTable {
  const shape = sessionTableShape(size);
  return new SessionTable(new SharedTable(new Int32Array(sharedTableWords(shape)), shape), seed, ttlMs);
}

function keyOf(name: number): Hash64 {
  const key = { a: 0, b: 0 };
  keyedHashText(seed, `client ${name}`, key);
  return key;
}

/** The endpoint of a key: its index, -1 = not known, -2 = a hash that is no endpoint's. */
function find(table: SessionTable, key: Hash64, nowMs: number): number {
  if (!table.lookUp(key, nowMs)) return -1;
  const index = ids.find(table.id.a, table.id.b);
  return index < 0 ? -2 : index;
}

interface Entry {
  readonly name: number;
  index: number;
  usedMs: number;
}

/** Eight sessions, the one not used for longest forgotten first: what a table of a single set must be. */
class Model {
  private entries: Entry[] = [];
  private readonly ttlMs: number;

  constructor(ttlMs: number) {
    this.ttlMs = ttlMs;
  }

  find(name: number, nowMs: number): number {
    const entry = this.entries.find((one) => one.name === name);
    if (entry === undefined || (this.ttlMs !== 0 && nowMs - entry.usedMs > this.ttlMs)) return -1;
    if (nowMs - entry.usedMs >= 1000) entry.usedMs = nowMs;
    return entry.index;
  }

  put(name: number, index: number, nowMs: number): void {
    const known = this.entries.find((one) => one.name === name);
    if (known !== undefined) {
      known.index = index;
      known.usedMs = nowMs;
      return;
    }
    if (this.entries.length === 8) {
      const oldest = this.entries.reduce((old, one) => (one.usedMs < old.usedMs ? one : old));
      this.entries = this.entries.filter((one) => one !== oldest);
    }
    this.entries.push({ name, index, usedMs: nowMs });
  }
}

test.each([0, 5000, 60_000])("a single set agrees with the model; ttl %d ms", (ttlMs) => {
  const start = (Math.random() * 2 ** 32) >>> 0;
  const rng = seededRng(start);
  const table = newTable(5, ttlMs);
  const model = new Model(ttlMs);
  const names = 12;
  const keys = Array.from({ length: names }, (_, name) => keyOf(name));
  // Steps of the table's clock, no two writes in one: the model's order is then the table's.
  let nowMs = (1 + rng.below(2 ** 24)) * 16;
  for (let step = 0; step < 5000; step++) {
    const label = `seed ${start} step ${step}`;
    nowMs += 16 * (1 + rng.below(rng.below(10) === 0 ? 500 : 20));
    const name = rng.below(names);
    if (rng.below(3) > 0) expect(find(table, keys[name]!, nowMs), label).toBe(model.find(name, nowMs));
    else {
      const index = rng.below(20);
      table.put(keys[name]!, ids.hashes[index]!, nowMs);
      model.put(name, index, nowMs);
    }
  }
});

test("a table of any size tells the truth or nothing: the last word on a key, at once and until its ttl", () => {
  const start = (Math.random() * 2 ** 32) >>> 0;
  const rng = seededRng(start);
  for (let round = 0; round < 20; round++) {
    const size = 1 + rng.below(300);
    const ttlMs = rng.below(2) * 20_000;
    const names = 1 + rng.below(2 * size);
    const table = newTable(size, ttlMs);
    const last = new Map<number, { index: number; atMs: number }>();
    let nowMs = 1000 + rng.below(2 ** 20);
    for (let step = 0; step < 1000; step++) {
      const label = `seed ${start} round ${round} step ${step}`;
      nowMs += rng.below(200);
      const name = rng.below(names);
      const key = keyOf(name);
      if (rng.below(2) === 0) {
        const index = rng.below(20);
        table.put(key, ids.hashes[index]!, nowMs);
        last.set(name, { index, atMs: nowMs });
        expect(find(table, key, nowMs), label).toBe(index);
        continue;
      }
      const found = find(table, key, nowMs);
      if (found !== -1) expect(found, label).toBe(last.get(name)?.index ?? -3);
      const recent = last.get(name);
      const fits = names * 4 <= size; // hardly any set overflows: nobody is forgotten before the time
      if (fits && recent !== undefined && nowMs - recent.atMs < 20_000 && size > 100) {
        expect(found, label).toBe(recent.index);
      }
    }
  }
});

test("a session that is used lives on, one that is not is forgotten", () => {
  const table = newTable(100, 10_000);
  table.put(keyOf(1), hashName("e3"), 0);
  table.put(keyOf(2), hashName("e4"), 0);
  for (let nowMs = 0; nowMs <= 50_000; nowMs += 5000) expect(find(table, keyOf(1), nowMs)).toBe(3);
  expect(find(table, keyOf(2), 50_000)).toBe(-1);
});

test("an entry that was given to another key meanwhile names nobody", () => {
  const shape = sessionTableShape(5);
  const words = new Int32Array(sharedTableWords(shape));
  const shared = new SharedTable(words, shape);
  const table = new SessionTable(shared, seed, 0);
  table.put(keyOf(1), hashName("e3"), 1000);
  const slot = shared.find(keyOf(1).a, keyOf(1).b);
  const [low, high] = [shared.load(slot, 0), shared.load(slot, 1)];
  table.put(keyOf(2), hashName("e4"), 1000);
  const other = shared.find(keyOf(2).a, keyOf(2).b);
  shared.store(other, 0, low); // the late write of a process that still took the slot for key 1's
  expect(find(table, keyOf(2), 1000)).toBe(-2);
  shared.store(other, 1, high);
  expect(find(table, keyOf(2), 1000)).toBe(-2);
});

let folder = "";
afterEach(() => {
  if (folder !== "") rmSync(folder, { recursive: true });
  folder = "";
});

/** What both processes of the test below do: `mine` says which endpoints this one gives. */
const hammer = `
  const { SharedTable } = await import(ROOT + "/../../stats/shared-table.ts");
  const { SessionTable, sessionTableShape } = await import(ROOT + "/session-table.ts");
  const { hashName } = await import(ROOT + "/id-index.ts");
  const { seededRng } = await import(ROOT + "/../../base/seeded-rng.ts");
  const { keyedHashText } = await import(ROOT + "/../../base/keyed-hash.ts");
  const words = new Int32Array(Bun.mmap(PATH, { shared: true }).buffer);
  const shape = sessionTableShape(SIZE);
  const table = new SessionTable(new SharedTable(words, shape), { k0: 1, k1: 2 }, 0);
  const rng = seededRng(MINE);
  const key = { a: 0, b: 0 };
  const idOf = (name, who) => hashName("key " + name + " by " + who);
  const owners = new Map();
  for (let name = 0; name < NAMES; name++) {
    for (const who of [0, 1]) {
      const { a, b } = idOf(name, who);
      owners.set(a + "," + b, name);
    }
  }
  Atomics.add(words, GATE, 1);
  while (Atomics.load(words, GATE) !== 2) {}
  let wrong = 0, nobodys = 0, found = 0;
  for (let step = 0; step < 60_000; step++) {
    const name = rng.below(NAMES);
    keyedHashText({ k0: 1, k1: 2 }, "client " + name, key);
    if (rng.below(3) === 0) table.put(key, idOf(name, MINE), step);
    else if (table.lookUp(key, step)) {
      found++;
      const owner = owners.get(table.id.a + "," + table.id.b);
      if (owner === undefined) nobodys++;
      else if (owner !== name) wrong++;
    }
  }
  await Bun.write(PATH + "." + MINE, JSON.stringify({ wrong, nobodys, found }));
`;

test.each([
  ["that has room for all", 4000, 500],
  ["that has not", 50, 500],
])("two processes hammering a table %s find no session of anybody else", async (_, size, names) => {
  folder = mkdtempSync(`${tmpdir()}/sluice-sessions-`);
  const path = `${folder}/words`;
  const words = sharedTableWords(sessionTableShape(size));
  writeFileSync(path, new Uint8Array((words + 1) * 4));
  const values = { ROOT: import.meta.dir, PATH: path, SIZE: size, NAMES: names, GATE: words };
  const constants = Object.entries(values).map(([name, value]) => `const ${name} = ${JSON.stringify(value)};`);
  const children = [0, 1].map((mine) =>
    Bun.spawn([process.execPath, "-e", `${constants.join("")}const MINE = ${mine};${hammer}`], { stdout: "inherit" }),
  );
  expect(await Promise.all(children.map((child) => child.exited))).toEqual([0, 0]);
  for (const mine of [0, 1]) {
    const { wrong, nobodys, found } = (await Bun.file(`${path}.${mine}`).json()) as Record<string, number>;
    expect(found).toBeGreaterThan(1000);
    expect(wrong).toBe(0);
    expect(nobodys).toBeLessThan(found! / 100);
  }
});
