// The summary parser of the test driver: no output of `bun test` that is short of a full success may come out as one.

import { describe, expect, test } from "bun:test";
import { countsOf } from "./test.ts";

describe("countsOf", () => {
  test("reads the closing lines", () => {
    const text =
      "a.test.ts:\n(pass) x\n\n 12 pass\n 0 fail\n 30 expect() calls\nRan 12 tests across 3 files. [6.00ms]\n";
    expect(countsOf(text, 0)).toEqual({ passed: 12, failed: 0, skipped: 0 });
  });

  test("reads skipped and todo tests", () => {
    const text = "\n 3 pass\n 2 skip\n 1 todo\n 4 fail\n 2 errors\nRan 10 tests across 3 files. [6.00ms]\n";
    expect(countsOf(text, 1)).toEqual({ passed: 3, failed: 4, skipped: 2 });
    expect(countsOf("\n 3 pass\n 1 todo\n 0 fail\n", 0)).toEqual({ passed: 3, failed: 0, skipped: 0 });
  });

  test("takes the last summary, as a test may print one of its own", () => {
    const text = "\n 99 pass\n 0 fail\n\n 1 pass\n 1 fail\nRan 2 tests across 1 file. [6.00ms]\n";
    expect(countsOf(text, 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
  });

  test("counts a runner that stopped without a summary as a failure, whatever its exit code", () => {
    expect(countsOf("a.test.ts:\n(pass) x\n", 0).failed).toBe(1);
    expect(countsOf("", 139).failed).toBe(1);
  });

  test("counts an exit code that no failed test explains as a failure", () => {
    expect(countsOf("\n 5 pass\n 0 fail\n", 1)).toEqual({ passed: 5, failed: 1, skipped: 0 });
    expect(countsOf("\n 5 pass\n 2 fail\n", 1)).toEqual({ passed: 5, failed: 2, skipped: 0 });
  });
});
