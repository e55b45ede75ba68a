// Counts of what is in progress: against a model, with keys that come and go, with workers that die, and from two
// processes at once.

import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { expect, test } from "bun:test";
import { seededRng } from "../base/seeded-rng.ts";
import { SharedTable, sharedTableWords } from "../stats/shared-table.ts";
import { openTable, TableArena } from "../stats/table-arena.ts";
import { ConcurrencyLimit, concurrencyTable, connectionsTable, REFUSED, UNCOUNTED } from "./concurrency.ts";

const key = { a: 5, b: 6 };

function newTable(keys: number, values: number): SharedTable {
  const shape = { keys, values };
  return new SharedTable(new Int32Array(sharedTableWords(shape)), shape);
}

test("so many at once over all workers, each key for itself", () => {
  const table = newTable(5, 8);
  const one = new ConcurrencyLimit(3, table, 0);
  const two = new ConcurrencyLimit(3, table, 1);
  const held = [one.acquire(key, 0), two.acquire(key, 0), one.acquire(key, 0)];
  expect([one.acquire(key, 0), two.acquire(key, 0)]).toEqual([REFUSED, REFUSED]);
  expect(one.acquire({ a: 7, b: 8 }, 0)).toBeGreaterThan(UNCOUNTED);
  expect(two.count(key)).toBe(3);
  two.release(held[1]!);
  expect(one.acquire(key, 0)).toBeGreaterThan(UNCOUNTED);
  expect(two.acquire(key, 0)).toBe(REFUSED);
});

test("agrees with a count, for keys far more than the table has room for", () => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  const rng = seededRng(seed);
  const table = newTable(40, 8);
  const limits = [0, 1, 2].map((worker) => new ConcurrencyLimit(4, table, worker));
  const inProgress: { worker: number; key: number; slot: number }[] = [];
  for (let step = 0; step < 20_000; step++) {
    const label = `seed ${seed} step ${step}`;
    if (rng.below(20) < 10 && inProgress.length < 30) {
      const worker = rng.below(3);
      const number = rng.below(3) === 0 ? rng.below(5) : rng.below(1000);
      const slot = limits[worker]!.acquire({ a: Math.imul(number, 0x9e3779b9), b: number }, step * 16);
      const count = inProgress.filter((each) => each.key === number && each.slot !== UNCOUNTED).length;
      if (slot === REFUSED) expect(count, label).toBe(4);
      else {
        expect(count, label).toBeLessThan(4);
        inProgress.push({ worker, key: number, slot });
      }
    } else if (inProgress.length > 0) {
      const [done] = inProgress.splice(rng.below(inProgress.length), 1);
      limits[done!.worker]!.release(done!.slot);
    }
  }
  for (const { worker, slot } of inProgress) limits[worker]!.release(slot);
  for (let number = 0; number < 1000; number++) {
    expect(limits[0]!.count({ a: Math.imul(number, 0x9e3779b9), b: number }), `seed ${seed}`).toBe(0);
  }
});

test("when there is no room to count, it is let pass, and nothing in use is forgotten", () => {
  const limit = new ConcurrencyLimit(1, newTable(5, 8), 0); // one set of eight
  for (let k = 1; k <= 8; k++) expect(limit.acquire({ a: k, b: k }, 0)).toBeGreaterThan(UNCOUNTED);
  const uncounted = limit.acquire({ a: 9, b: 9 }, 100);
  expect(uncounted).toBe(UNCOUNTED);
  limit.release(uncounted);
  for (let k = 1; k <= 8; k++) expect(limit.acquire({ a: k, b: k }, 200)).toBe(REFUSED);
});

test("a worker that dies leaves nothing behind, and takes nothing of the others away", () => {
  const words = new Int32Array(2_000_000);
  const arena = new TableArena(words);
  const config = { requests: 2, by: { from: "source", name: "" } } as const;
  const wishes = [concurrencyTable("web\n0", config, 4), connectionsTable("web", 4)];
  const proposal = arena.propose(wishes)!;
  arena.commit(proposal, 0);
  for (const wish of wishes) {
    const limits = [0, 1].map((w) => new ConcurrencyLimit(2, openTable(words, proposal.offsets[wish.name]!, wish), w));
    limits[0]!.acquire(key, 0);
    limits[1]!.acquire(key, 0);
    expect(limits[1]!.acquire(key, 0)).toBe(REFUSED);
    arena.clearWorker(0);
    expect(limits[1]!.count(key)).toBe(1);
    const successor = limits[0]!;
    expect(successor.acquire(key, 0)).toBeGreaterThan(UNCOUNTED);
    expect(successor.acquire(key, 0)).toBe(REFUSED);
  }
});

test("a reload: another bound goes on with the same counts, another key begins anew", () => {
  const limit = new ConcurrencyLimit(2, newTable(5, 8), 0);
  const held = [limit.acquire(key, 0), limit.acquire(key, 0)];
  const wider = limit.withMax(3);
  expect(limit.withMax(2)).toBe(limit);
  expect(wider.sharesCountsWith(limit)).toBe(true);
  expect(new ConcurrencyLimit(2, newTable(5, 8), 0).sharesCountsWith(limit)).toBe(false);
  expect(wider.acquire(key, 0)).toBeGreaterThan(UNCOUNTED);
  expect(wider.acquire(key, 0)).toBe(REFUSED);
  for (const slot of held) wider.release(slot);
  expect(limit.count(key)).toBe(1);

  const source = { from: "source", name: "" } as const;
  const name = (requests: number, from: "source" | "path", workers: number): string =>
    concurrencyTable("web\n0", { requests, by: { ...source, from } }, workers).name;
  expect(name(5, "source", 2)).toBe(name(9, "source", 8));
  expect(name(5, "source", 2)).not.toBe(name(5, "path", 2));
  expect(concurrencyTable("web\n0", { requests: 5, by: source }, 9).values).toBe(16);
});

test("two processes at once: never more than the bound, and in the end nothing is left", async () => {
  const shape = { keys: 5, values: 8 };
  const words = sharedTableWords(shape);
  const folder = mkdtempSync(`${tmpdir()}/sluice-concurrency-`);
  const path = `${folder}/words`;
  const fd = openSync(path, "w+");
  ftruncateSync(fd, (words + 16) * 4);
  closeSync(fd);
  // 12 keys for 8 places: places change hands all the time. Word words + 4 + k counts the holders of key k.
  const script = (worker: number): string => `
    const { ConcurrencyLimit } = await import(${JSON.stringify(`${import.meta.dir}/concurrency.ts`)});
    const { SharedTable } = await import(${JSON.stringify(`${import.meta.dir}/../stats/shared-table.ts`)});
    const words = new Int32Array(Bun.mmap(${JSON.stringify(path)}, { shared: true }).buffer);
    const limit = new ConcurrencyLimit(3, new SharedTable(words, ${JSON.stringify(shape)}), ${worker});
    Atomics.add(words, ${words}, 1);
    while (Atomics.load(words, ${words}) !== 2) {}
    const held = [];
    let random = ${worker + 1}, refused = 0, most = 0;
    for (let step = 0; step < 100_000; step++) {
      random = (Math.imul(random, 1103515245) + 12345) >>> 0;
      const k = (random >>> 8) % 12;
      if (held.length < 6 && (random >>> 20) % 2 === 0) {
        const slot = limit.acquire({ a: k + 1, b: k }, performance.timeOrigin + performance.now());
        if (slot > 0) {
          most = Math.max(most, Atomics.add(words, ${words + 4} + k, 1) + 1);
          held.push([k, slot]);
        } else refused++;
      } else if (held.length > 0) {
        const [k, slot] = held.shift();
        Atomics.sub(words, ${words + 4} + k, 1);
        limit.release(slot);
      }
    }
    for (const [k, slot] of held) {
      Atomics.sub(words, ${words + 4} + k, 1);
      limit.release(slot);
    }
    console.log(JSON.stringify({ refused, most }));
  `;
  const children = [0, 1].map((w) => Bun.spawn([process.execPath, "-e", script(w)], { stdout: "pipe" }));
  const outputs = await Promise.all(children.map((child) => new Response(child.stdout).json()));
  for (const { most, refused } of outputs as { most: number; refused: number }[]) {
    expect(most).toBeLessThanOrEqual(3);
    expect(refused).toBeGreaterThan(0);
  }
  const memory = new Int32Array(Bun.mmap(path, { shared: true }).buffer);
  const table = new SharedTable(memory, shape);
  for (let k = 0; k < 12; k++) expect(new ConcurrencyLimit(3, table, 0).count({ a: k + 1, b: k })).toBe(0);
  rmSync(folder, { recursive: true });
});
