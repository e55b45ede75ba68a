// Parsing /proc and adding up process trees, first from text, then from real processes (on Linux, where /proc is).

import { describe, expect, test } from "bun:test";
import {
  parseCpuTicks,
  parseSmapsRollup,
  parseStat,
  type ProcStat,
  readTree,
  readTreeCpuSeconds,
  readTreeMemory,
  treeOf,
} from "./proc-stat.ts";

const TAIL = "S 1 4242 4242 0 -1 4194304 2101 77 0 0 311 122 5 6 20 0 3 0 1234567 1000000 5000 18446744073709551615";

function stat(pid: number, parent: number): ProcStat {
  return { pid, parent, utime: 1, stime: 2, cutime: 0, cstime: 0 };
}

describe("parseStat", () => {
  test("an ordinary line", () => {
    expect(parseStat(`4242 (nginx) ${TAIL}`)).toEqual({
      pid: 4242,
      parent: 1,
      utime: 311,
      stime: 122,
      cutime: 5,
      cstime: 6,
    });
  });

  test("a command name with spaces and parentheses", () => {
    expect(parseStat(`7 (a) b (c) 1 2 3) ${TAIL}`)).toMatchObject({ pid: 7, parent: 1, utime: 311 });
  });

  test("a cut line is refused", () => {
    expect(() => parseStat("4242 (nginx) S 1 4242")).toThrow("field 14");
    expect(() => parseStat("")).toThrow("not a /proc/PID/stat line");
  });
});

test("parseSmapsRollup reads bytes and does not take Pss_Anon for Pss", () => {
  const text =
    "00-ff ---p 0 00:00 0 [rollup]\nRss:                1644 kB\nPss_Anon:  116 kB\nPss:                 374 kB\n";
  expect(parseSmapsRollup(text)).toEqual({ rss: 1644 * 1024, pss: 374 * 1024 });
  expect(() => parseSmapsRollup("Rss: 1 kB\nPss_Anon:  116 kB\n")).toThrow("no Pss");
});

test("parseCpuTicks adds the asked CPUs only, and keeps cpu1 and cpu10 apart", () => {
  const lines = [
    "cpu  9 9 9 9 9 9 9 9",
    "cpu0 1 2 3 100 5 6 7 8",
    "cpu1 10 20 30 100 50 60 70 80",
    "cpu10 1 1 1 1 1 1 1 1",
  ];
  const text = lines.join("\n");
  expect(parseCpuTicks(text, [0])).toEqual({ process: 6, interrupt: 13, steal: 8 });
  expect(parseCpuTicks(text, [0, 1])).toEqual({ process: 66, interrupt: 143, steal: 88 });
  expect(() => parseCpuTicks(text, [2])).toThrow("no cpu2");
});

describe("treeOf", () => {
  test("takes the root and all its descendants, whatever the order of the lines", () => {
    const all = [stat(30, 20), stat(20, 10), stat(11, 10), stat(10, 1), stat(12, 1), stat(40, 12)];
    const pids = treeOf(10, all).map((each) => each.pid);
    expect(pids.toSorted((a, b) => a - b)).toEqual([10, 11, 20, 30]);
  });

  test("is empty without the root", () => {
    expect(treeOf(99, [stat(1, 0), stat(2, 99)])).toEqual([]);
  });
});

describe.skipIf(process.platform !== "linux")("a real tree", () => {
  test("a shell and its child are seen, and use memory", async () => {
    const shell = Bun.spawn(["sh", "-c", "cat; true"], { stdin: "pipe", stdout: "ignore" });
    try {
      const deadline = performance.now() + 5000;
      while (readTree(shell.pid).length < 2 && performance.now() < deadline) await Bun.sleep(5);
      expect(readTree(shell.pid).length).toBe(2);
      const memory = readTreeMemory(shell.pid);
      expect(memory.rss).toBeGreaterThan(100_000);
      expect(memory.pss).toBeGreaterThan(0);
      expect(memory.pss).toBeLessThanOrEqual(memory.rss);
    } finally {
      shell.stdin.end();
      await shell.exited;
    }
  });

  test("CPU time of a child that was reaped stays with its parent", async () => {
    // The inner shell burns some ticks and ends before the outer one goes on to wait.
    const burn = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
    const shell = Bun.spawn(["sh", "-c", `sh -c '${burn}'; echo done; cat`], { stdin: "pipe", stdout: "pipe" });
    try {
      await shell.stdout.getReader().read();
      expect(readTreeCpuSeconds(shell.pid)).toBeGreaterThan(0.01);
    } finally {
      shell.stdin.end();
      await shell.exited;
    }
  });

  test("a process that is gone is an error, not zero", async () => {
    const gone = Bun.spawn(["true"]);
    await gone.exited;
    expect(() => readTreeCpuSeconds(gone.pid)).toThrow("is gone");
    expect(() => readTreeMemory(gone.pid)).toThrow("is gone");
  });
});
