// Shared memory within one process: what is created, mapped, and left behind. Between processes: process.test.ts.

import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { closeFd } from "./libc.ts";
import { createIn, createSharedMemory, openSharedMemory, sweepStale } from "./shm.ts";

const folder = mkdtempSync(`${tmpdir()}/sluice-shm-`);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("memory starts as zeros, is shared by its mappings, and costs nothing until touched", () => {
  const bytes = 512 * 1024 * 1024;
  const before = process.memoryUsage.rss();
  const memory = createSharedMemory(bytes);
  expect(memory.buffer.byteLength).toBe(bytes);
  const again = openSharedMemory(memory.fd, bytes);
  const one = new Float64Array(memory.buffer);
  expect(one[one.length - 1]).toBe(0);
  one[one.length - 1] = 2.5;
  expect(new Float64Array(again.buffer)[one.length - 1]).toBe(2.5);
  expect(process.memoryUsage.rss() - before).toBeLessThan(64 * 1024 * 1024);
  closeFd(memory.fd);
  one[0] = 1;
  expect(new Float64Array(again.buffer)[0]).toBe(1);
});

test("no file of it can be seen", () => {
  const memory = createSharedMemory(4096);
  const ours = `sluice-shm-${process.pid}-`;
  for (const directory of ["/dev/shm", tmpdir()]) {
    if (existsSync(directory)) expect(readdirSync(directory).filter((name) => name.startsWith(ours))).toEqual([]);
  }
  closeFd(memory.fd);
});

test("the way without memfd: a file that is gone as soon as it is mapped", () => {
  const memory = createIn(folder, 8192);
  expect(readdirSync(folder)).toEqual([]);
  const again = openSharedMemory(memory.fd, 8192);
  new Int32Array(memory.buffer)[2047] = 5;
  expect(new Int32Array(again.buffer)[2047]).toBe(5);
  closeFd(memory.fd);
  expect(() => createIn(`${folder}/absent`, 4096)).toThrow();
});

test("memory smaller than expected is refused", () => {
  const memory = createSharedMemory(4096);
  expect(() => openSharedMemory(memory.fd, 8192)).toThrow("shared memory has 4096 bytes, expected 8192");
  closeFd(memory.fd);
});

test("files of dead processes are swept, those of living ones and of others are not", () => {
  const dead = Bun.spawnSync(["true"]).pid;
  const names = [`sluice-shm-${dead}-1a`, `sluice-shm-${process.pid}-1a`, "sluice-shm-x", "other-1-2"];
  for (const name of names) writeFileSync(`${folder}/${name}`, "");
  sweepStale(folder);
  expect(readdirSync(folder).toSorted()).toEqual(names.slice(1).toSorted());
});
