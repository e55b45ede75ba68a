// Clock, randomness, timers, console and the environment that joins them.

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { seededRng } from "../base/seeded-rng.ts";
import { TICK_MS } from "../base/timer-wheel.ts";
import { createClock } from "./clock.ts";
import { createEnv } from "./env.ts";
import { libc, requireLibc, setIntOption } from "./libc.ts";
import { errorName } from "./platform.ts";
import { createRng } from "./rng.ts";
import { encodeAddress, encoded, encodeUnixAddress, sockaddr, unixPathBytesMax } from "./sockaddr.ts";
import { until } from "./test-kit.ts";
import { after, every, startTicker } from "./timers.ts";

describe("clock", () => {
  test("is the system's monotonic clock, refreshes its cache, and knows the wall time", () => {
    const clock = createClock();
    const uptimeMs = (): number => Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1000;
    const before = uptimeMs() - 20; // /proc/uptime counts hundredths, and suspended time besides
    const now = clock.nowMs();
    expect(now).toBeGreaterThan(0);
    expect(now).toBeLessThan(uptimeMs() + 20);
    expect(before).toBeGreaterThan(0);
    expect(clock.cachedMs).toBe(now);
    const later = clock.nowMs();
    expect(later).toBeGreaterThanOrEqual(now);
    expect(clock.cachedMs).toBe(later);
    expect(Math.abs(clock.wallMs() - Date.now())).toBeLessThan(1000);
  });
});

describe("randomness", () => {
  test("the same seed gives the same sequence, another seed another", () => {
    const take = (seed: number): number[] => {
      const rng = seededRng(seed);
      return Array.from({ length: 5 }, () => rng.u32());
    };
    expect(take(1)).toEqual(take(1));
    expect(take(1)).not.toEqual(take(2));
    expect(new Set([...take(1), ...take(2), ...take(3)]).size).toBe(15);
  });

  test("two generators of the system differ", () => {
    const [one, two] = [createRng(), createRng()];
    expect(Array.from({ length: 4 }, () => one.u32())).not.toEqual(Array.from({ length: 4 }, () => two.u32()));
  });

  test("below() is uniform and within its bound, up to 2^32", () => {
    const rng = seededRng(7);
    const counts = new Int32Array(6);
    for (let i = 0; i < 60_000; i++) counts[rng.below(6)]!++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
    expect(rng.below(1)).toBe(0);
    let high = 0;
    for (let i = 0; i < 1000; i++) if (rng.below(2 ** 32) >= 2 ** 31) high++;
    expect(Math.abs(high - 500)).toBeLessThan(120);
  });
});

describe("timers", () => {
  test("the wheel turns by itself; a throwing deadline is told and the others fire", async () => {
    const errors: unknown[] = [];
    const ticks: number[] = [];
    const clock = createClock();
    const ticker = startTicker({ clock, onError: (e) => errors.push(e), onTick: (_now, lag) => ticks.push(lag) });
    const fired: string[] = [];
    const set = (name: string, action: () => void): void => {
      const slot = ticker.wheel.open({
        onDeadline() {
          fired.push(name);
          action();
        },
      });
      ticker.wheel.set(slot, clock.nowMs() + TICK_MS);
    };
    set("first", () => {});
    set("throwing", () => {
      throw new Error("deadline");
    });
    set("last", () => {});
    await until("all deadlines", () => fired.length === 3);
    expect(fired.toSorted()).toEqual(["first", "last", "throwing"]);
    expect(errors.map(String)).toEqual(["Error: deadline"]);
    await until("a tick", () => ticks.length > 0);
    expect(ticks.every((lag) => lag >= 0)).toBe(true);
    ticker.stop();
  });

  test("every and after run and can be cancelled", async () => {
    let turns = 0;
    let late = 0;
    const timer = every(1, () => {
      if (++turns === 3) timer.cancel();
    });
    after(1, () => late++);
    after(1, () => late++).cancel();
    await until("three turns", () => turns === 3 && late === 1);
    await Bun.sleep(20);
    expect([turns, late]).toEqual([3, 1]);
  });
});

describe("console", () => {
  const run = (body: string, command = `"$0" "$@"`): ReturnType<typeof Bun.spawnSync> =>
    Bun.spawnSync([
      "sh",
      "-c",
      command,
      process.execPath,
      "-e",
      `import { isTerminal, print, printError, terminalColumns } from "${import.meta.dir}/console.ts"; ${body}`,
    ]);

  test("writes all of it, even into a slow pipe, and knows what is no terminal", () => {
    const body = `print("é".repeat(300000)); printError("e" + isTerminal(1) + terminalColumns());`;
    const result = run(body, `"$0" "$@" | (sleep 0.1; cat)`);
    expect(result.stdout!.toString()).toBe("é".repeat(300_000));
    expect(result.stderr!.toString()).toBe("efalse80");
  });

  test("a reader that is gone is no error", () => {
    const result = run(
      `await Bun.sleep(50); print("x".repeat(100000)); printError("alive"); process.exit(0);`,
      `"$0" "$@" | true`,
    );
    expect(result.stderr!.toString()).toBe("alive");
  });
});

describe("addresses as the kernel wants them", () => {
  test("both families, zones, unix and abstract", () => {
    expect(encodeAddress("1.2.3.4", 0x1234)).toBe(true);
    expect([encoded.length, ...sockaddr.subarray(2, 8)]).toEqual([16, 0x12, 0x34, 1, 2, 3, 4]);
    expect(encodeAddress("2001:db8::1%7", 80)).toBe(true);
    expect(encoded.length).toBe(28);
    expect(Buffer.from(sockaddr.subarray(8, 28)).toString("hex")).toBe("20010db800000000000000000000000107000000");
    expect(encodeAddress("2001:db8::1", 80)).toBe(true);
    expect(sockaddr[24]).toBe(0);
    expect(encodeUnixAddress("/a")).toBe(true);
    expect([encoded.length, ...sockaddr.subarray(2, 5)]).toEqual([5, 0x2f, 0x61, 0]);
    expect(encodeUnixAddress("\0ab")).toBe(true);
    expect(encoded.length).toBe(5);
    expect(encodeUnixAddress(`/${"x".repeat(unixPathBytesMax - 1)}`)).toBe(true);
    for (const bad of ["", "1.2.3", "1.2.3.4.5", "::1::", "host", "1.2.3.4%1", "fe80::1%nosuchinterface"]) {
      expect([bad, encodeAddress(bad, 1)]).toEqual([bad, false]);
    }
    expect(encodeUnixAddress("")).toBe(false);
    expect(encodeUnixAddress("x".repeat(unixPathBytesMax + 1))).toBe(false);
  });
});

test("the C library answers, with real error numbers", () => {
  expect(requireLibc("this test")).toBe(libc!);
  expect(libc!.close(1_000_000)).toBe(-1);
  expect(errorName(libc!.errno())).toBe("EBADF");
  expect(setIntOption(1_000_000, 1, 2, 1)).toBe(false);
  expect(errorName(9999)).toBe("errno 9999");
});

test("the environment joins them and reports exceptions once", () => {
  const lines: string[] = [];
  let counted = 0;
  const log = {
    write: (_level: number, event: string, fields?: object) => void lines.push(event + JSON.stringify(fields)),
  };
  const env = createEnv({ log, keepAliveMs: 0, onException: () => counted++ });
  env.failed(new Error("a bug"));
  env.failed("text");
  expect(counted).toBe(2);
  expect(lines[0]).toContain("a bug");
  expect(lines[1]).toBe('exception{"error":"text"}');
  expect(env.timers).toBe(env.ticker.wheel);
  expect(env.clock.nowMs()).toBeGreaterThan(0);
  expect(env.rng.below(10)).toBeLessThan(10);
  env.ticker.stop();
});
