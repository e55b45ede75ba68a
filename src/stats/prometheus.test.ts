// The Prometheus writer, judged by a parser of the text format written for this test.

import { expect, test } from "bun:test";
import { HISTOGRAM_BUCKETS } from "./columns.ts";
import { publishedCounts, publishedSeconds, record } from "./histogram.ts";
import { PrometheusWriter } from "./prometheus.ts";

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}
interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
}

function unescape(text: string): string {
  return text.replace(/\\(.)/g, (_, c: string) => (c === "n" ? "\n" : c));
}

/** Strict: throws on whatever the exposition format does not allow. */
function parse(text: string): Map<string, Family> {
  expect(text.endsWith("\n")).toBe(true);
  const families = new Map<string, Family>();
  let help = "";
  let current = "";
  for (const line of text.slice(0, -1).split("\n")) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.*)$/.exec(line);
    if (comment !== null) {
      current = comment[2]!;
      if (comment[1] === "HELP") help = unescape(comment[3]!);
      else if (families.has(current)) throw new Error(`TYPE of ${current} twice`);
      else families.set(current, { type: comment[3]!, help, samples: [] });
      continue;
    }
    const match = /^([a-zA-Z_:][\w:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)$/.exec(line);
    if (match === null) throw new Error(`not a sample: ${line}`);
    const labels: Record<string, string> = {};
    for (const label of (match[2] ?? "").matchAll(/([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"/g)) {
      labels[label[1]!] = unescape(label[2]!);
    }
    const value = match[3] === "+Inf" ? Infinity : match[3] === "-Inf" ? -Infinity : Number(match[3]);
    if (Number.isNaN(value) && match[3] !== "NaN") throw new Error(`not a number: ${line}`);
    if (!match[1]!.startsWith(current)) throw new Error(`${match[1]} outside its family`);
    families.get(current)!.samples.push({ name: match[1]!, labels, value });
  }
  return families;
}

test("counters and gauges, with labels of any content", () => {
  const writer = new PrometheusWriter();
  writer.family("sluice_requests_total", "counter", 'Requests, with a \\ and a\nnew line and "quotes".');
  writer.sample({ pool: 'a"b\\c\nd', worker: 3 }, 12_345_678_901_234);
  writer.sample({ pool: "größe 漢字", worker: 0 }, 0);
  writer.family("sluice_up", "gauge", "No labels.");
  writer.sample({}, 0.25);
  const families = parse(writer.text());
  const requests = families.get("sluice_requests_total")!;
  expect(requests.type).toBe("counter");
  expect(requests.help).toBe('Requests, with a \\ and a\nnew line and "quotes".');
  expect(requests.samples).toEqual([
    { name: "sluice_requests_total", labels: { pool: 'a"b\\c\nd', worker: "3" }, value: 12_345_678_901_234 },
    { name: "sluice_requests_total", labels: { pool: "größe 漢字", worker: "0" }, value: 0 },
  ]);
  expect(families.get("sluice_up")!.samples).toEqual([{ name: "sluice_up", labels: {}, value: 0.25 }]);
  expect(writer.text()).toContain(" 12345678901234\n"); // plain, not 1.2e13
});

test("numbers that are none", () => {
  const writer = new PrometheusWriter();
  writer.family("odd", "gauge", "");
  for (const value of [NaN, Infinity, -Infinity, 1e-7, -3]) writer.sample({}, value);
  const values = parse(writer.text())
    .get("odd")!
    .samples.map((s) => s.value);
  expect(values).toEqual([NaN, Infinity, -Infinity, 1e-7, -3]);
});

test("a histogram: cumulative, ends at +Inf, count and sum agree", () => {
  const counts = new Float64Array(HISTOGRAM_BUCKETS);
  for (const us of [10, 64, 65, 5000, 5_000_000, 1e12]) record(counts, us);
  const writer = new PrometheusWriter();
  writer.family("latency_seconds", "histogram", "Latency.");
  writer.histogram({ pool: "users" }, publishedSeconds, publishedCounts(counts), 7.5);
  writer.histogram({}, [0.1, 1], [1, 2], 3);
  const samples = parse(writer.text()).get("latency_seconds")!.samples;
  const buckets = samples.filter((s) => s.name.endsWith("_bucket") && s.labels["pool"] === "users");
  expect(buckets.length).toBe(publishedSeconds.length);
  expect(buckets[0]!.labels).toEqual({ pool: "users", le: "0.000064" });
  expect(buckets[0]!.value).toBe(2); // 64 µs is at or below its bound
  expect(buckets[1]!.value).toBe(3);
  expect(buckets.at(-1)!).toEqual({
    name: "latency_seconds_bucket",
    labels: { pool: "users", le: "+Inf" },
    value: 6,
  });
  for (let i = 1; i < buckets.length; i++) {
    expect(buckets[i]!.value).toBeGreaterThanOrEqual(buckets[i - 1]!.value);
    const le = buckets[i]!.labels["le"]!;
    if (le !== "+Inf") expect(Number(le)).toBeGreaterThan(Number(buckets[i - 1]!.labels["le"]));
  }
  const plain = samples.filter((s) => s.labels["pool"] === undefined);
  expect(plain.map((s) => [s.name, s.labels["le"], s.value])).toEqual([
    ["latency_seconds_bucket", "0.1", 1],
    ["latency_seconds_bucket", "+Inf", 3],
    ["latency_seconds_sum", undefined, 3],
    ["latency_seconds_count", undefined, 3],
  ]);
  expect(samples.find((s) => s.name === "latency_seconds_sum" && s.labels["pool"] === "users")!.value).toBe(7.5);
});

test("misuse is refused", () => {
  const writer = new PrometheusWriter();
  expect(() => writer.sample({}, 1)).toThrow("belongs to");
  expect(() => writer.family("1bad", "gauge", "")).toThrow("not a metric name");
  writer.family("a", "counter", "");
  expect(() => writer.sample({ "x-y": 1 }, 1)).toThrow("not a label name");
  expect(() => writer.histogram({}, [1], [1], 1)).toThrow("belongs to");
  writer.family("b", "histogram", "");
  expect(() => writer.sample({}, 1)).toThrow("belongs to");
  expect(() => writer.family("a", "counter", "")).toThrow("begun before");
});

test("nothing written is the empty text", () => {
  expect(new PrometheusWriter().text()).toBe("");
});
