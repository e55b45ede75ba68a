// Reading wrk's report: every form of number it prints, every kind of error, and reports that are not whole.

import { describe, expect, test } from "bun:test";
import { parseDurationMs, parseWrk, postScript } from "./wrk.ts";

const GOOD = `Running 2s test @ http://127.0.0.1:20123/small
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.39ms  397.23us  12.41ms   91.40%
    Req/Sec    45.98k     2.19k   48.91k    75.00%
  Latency Distribution
     50%    1.35ms
     75%    1.49ms
     90%  830.00us
     99%    2.77ms
  91593 requests in 2.00s, 24.81MB read
Requests/sec:  45708.76
Transfer/sec:     12.38MB
`;

const BAD = GOOD.replace(
  "Requests/sec",
  "  Socket errors: connect 1, read 20, write 300, timeout 4000\n  Non-2xx or 3xx responses: 50000\nRequests/sec",
);

describe("parseWrk", () => {
  test("a clean report", () => {
    expect(parseWrk(GOOD)).toEqual({
      requests: 91593,
      seconds: 2,
      requestsPerSecond: 45708.76,
      p50Ms: 1.35,
      p99Ms: 2.77,
      errors: 0,
    });
  });

  test("every kind of error counts", () => {
    expect(parseWrk(BAD).errors).toBe(54321);
  });

  test("either kind of error may be alone", () => {
    expect(parseWrk(BAD.replace(/.*Socket.*\n/, "")).errors).toBe(50000);
    expect(parseWrk(BAD.replace(/.*Non-2xx.*\n/, "")).errors).toBe(4321);
  });

  test("a report without a part is refused, and the message shows it", () => {
    expect(() => parseWrk("unable to connect to 127.0.0.1:1")).toThrow(/no request count:\nunable to connect/);
    expect(() => parseWrk(GOOD.replace("     99%", "     98%"))).toThrow(/no 99th percentile/);
    expect(() => parseWrk(GOOD.replace("Requests/sec", "Reqs"))).toThrow(/no rate/);
  });
});

describe("parseDurationMs", () => {
  test.each([
    ["830.00us", 0.83],
    ["1.25ms", 1.25],
    ["1.02s", 1020],
    ["1.50m", 90_000],
    ["2.00h", 7_200_000],
    ["0.00us", 0],
  ])("%s", (text, expected) => {
    expect(parseDurationMs(text)).toBeCloseTo(expected, 6);
  });

  test.each(["", "1", "ms", "1.2.3ms", "-1ms", "1 ms", "1d"])("%p is refused", (text) => {
    expect(() => parseDurationMs(text)).toThrow("not a duration");
  });
});

test("the post script makes exactly the asked length", () => {
  expect(postScript(20)).toContain('string.rep("0123456789abcdef", 2):sub(1, 20)');
});
