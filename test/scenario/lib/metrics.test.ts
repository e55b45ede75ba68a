// The Prometheus text reader: samples, labels with escapes, sums, and what is refused.

import { describe, expect, test } from "bun:test";
import { parseMetrics } from "./metrics.ts";

const TEXT = `# HELP sluice_requests_total Requests.
# TYPE sluice_requests_total counter
sluice_requests_total{listener="web",code="200"} 12
sluice_requests_total{listener="web",code="502"} 3
sluice_requests_total{listener="b\\"a\\\\d\\n",code="200"} 1e2
# TYPE up gauge
up 1
latency_bucket{le="+Inf"} +Inf
`;

test("samples, sums over matching labels, types", () => {
  const metrics = parseMetrics(TEXT);
  expect(metrics.sum("sluice_requests_total")).toBe(115);
  expect(metrics.sum("sluice_requests_total", { listener: "web" })).toBe(15);
  expect(metrics.sum("sluice_requests_total", { listener: "web", code: "502" })).toBe(3);
  expect(metrics.sum("sluice_requests_total", { listener: 'b"a\\d\n' })).toBe(100);
  expect(metrics.sum("sluice_requests_total", { pool: "x" })).toBe(0);
  expect(metrics.sum("latency_bucket")).toBe(Infinity);
  expect(metrics.has("up")).toBe(true);
  expect(metrics.has("down")).toBe(false);
  expect(metrics.types).toEqual({ sluice_requests_total: "counter", up: "gauge" });
  expect(parseMetrics("").samples).toEqual([]);
});

describe("is refused:", () => {
  test.each([
    ["no end of line", "up 1"],
    ["no value", "up\n"],
    ["a value that is no number", "up one\n"],
    ["hexadecimal", "up 0x1\n"],
    ["a bad name", "1up 1\n"],
    ["unquoted labels", "up{a=b} 1\n"],
    ["a missing comma", 'up{a="b"c="d"} 1\n'],
    ["a label twice", 'up{a="b",a="c"} 1\n'],
    ["the same sample twice", 'up{a="b",c="d"} 1\nup{c="d",a="b"} 2\n'],
    ["a type twice", "# TYPE up gauge\n# TYPE up gauge\n"],
  ])("%s", (_, text) => {
    expect(() => parseMetrics(text)).toThrow();
  });
});
