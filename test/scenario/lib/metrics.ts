// Reads the Prometheus text format (version 0.0.4), strictly enough that a scenario fails on output Prometheus would
// refuse.

/** One line: a sample with its labels. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** All samples of a scrape. */
export interface Metrics {
  readonly samples: readonly Sample[];
  /** Type by metric name, from the TYPE lines. */
  readonly types: Readonly<Record<string, string>>;
  /** The sum of all samples of that name that have at least these labels; 0 when there is none. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number;
  /** True when there is a sample of that name. */
  has(name: string): boolean;
}

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)(?: -?\d+)?$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)/y;

function parseValue(text: string): number {
  if (text === "+Inf") return Infinity;
  if (text === "-Inf") return -Infinity;
  if (text === "NaN") return NaN;
  if (!/^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/.test(text)) throw new Error(`bad sample value: ${text}`);
  return Number(text);
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const at = LABEL.lastIndex;
    const match = LABEL.exec(text);
    if (match === null) throw new Error(`bad labels at ${at}: {${text}}`);
    const name = match[1]!;
    if (labels[name] !== undefined) throw new Error(`label twice: {${text}}`);
    labels[name] = match[2]!.replace(/\\([\\"n])/g, (_, c: string) => (c === "n" ? "\n" : c));
  }
  return labels;
}

function matches(sample: Sample, name: string, labels: Readonly<Record<string, string>>): boolean {
  return sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value);
}

/** Parses a scrape. Throws on a malformed line, on a sample given twice and on a TYPE given twice. */
export function parseMetrics(text: string): Metrics {
  if (text !== "" && !text.endsWith("\n")) throw new Error("the last line has no end");
  const samples: Sample[] = [];
  const types: Record<string, string> = {};
  const seen = new Set<string>();
  for (const line of text.split("\n")) {
    const type = /^# TYPE (\S+) (counter|gauge|histogram|summary|untyped)$/.exec(line);
    if (type !== null) {
      const name = type[1]!;
      if (types[name] !== undefined) throw new Error(`TYPE twice: ${name}`);
      types[name] = type[2]!;
    }
    if (line === "" || line.startsWith("#")) continue;
    const match = SAMPLE.exec(line);
    if (match === null) throw new Error(`malformed sample: ${line}`);
    const sample = { name: match[1]!, labels: parseLabels(match[2] ?? ""), value: parseValue(match[3]!) };
    const key = JSON.stringify([sample.name, Object.entries(sample.labels).toSorted()]);
    if (seen.has(key)) throw new Error(`sample twice: ${line}`);
    seen.add(key);
    samples.push(sample);
  }
  return {
    samples,
    types,
    sum: (name, labels = {}) =>
      samples.filter((sample) => matches(sample, name, labels)).reduce((total, sample) => total + sample.value, 0),
    has: (name) => samples.some((sample) => sample.name === name),
  };
}
