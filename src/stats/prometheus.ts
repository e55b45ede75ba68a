// Writes metrics in the Prometheus text format 0.0.4. Knows nothing of which metrics there are: admin/ decides that.

export type MetricType = "counter" | "gauge" | "histogram";

/** Label names and values in the order they are to appear. Values may hold anything. */
export type Labels = Readonly<Record<string, string | number>>;

/** The Content-Type of the text. */
export const PROMETHEUS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

export class PrometheusWriter {
  private readonly lines: string[] = [];
  private readonly families = new Set<string>();
  private name = "";
  private type: MetricType = "gauge";

  /** Begins a metric; all its samples follow before the next family(). A bad or repeated name is a bug and throws. */
  family(name: string, type: MetricType, help: string): void {
    if (!metricName.test(name)) throw new Error(`not a metric name: ${JSON.stringify(name)}`);
    if (this.families.has(name)) throw new Error(`metric ${name} was begun before: its samples must stay together`);
    this.families.add(name);
    this.name = name;
    this.type = type;
    this.lines.push(`# HELP ${name} ${help.replace(/[\\\n]/g, escapeOne)}`, `# TYPE ${name} ${type}`);
  }

  /** One sample of the current counter or gauge. */
  sample(labels: Labels, value: number): void {
    if (this.name === "" || this.type === "histogram") throw new Error("sample() belongs to a counter or gauge");
    this.lines.push(`${this.name}${braces(formatLabels(labels))} ${formatNumber(value)}`);
  }

  /**
   * One labelled histogram of the current family. bounds are inclusive upper bounds in ascending order; counts holds
   * how many fell into each (not cumulative), and sum is in the unit of the bounds. The last count also answers for
   * everything above.
   */
  histogram(labels: Labels, bounds: readonly number[], counts: readonly number[], sum: number): void {
    if (this.name === "" || this.type !== "histogram") throw new Error("histogram() belongs to a histogram");
    const own = formatLabels(labels);
    const prefix = own === "" ? "" : `${own},`;
    let total = 0;
    for (let i = 0; i < bounds.length - 1; i++) {
      total += counts[i]!;
      this.lines.push(`${this.name}_bucket{${prefix}le="${formatNumber(bounds[i]!)}"} ${formatNumber(total)}`);
    }
    total += counts[bounds.length - 1] ?? 0;
    this.lines.push(
      `${this.name}_bucket{${prefix}le="+Inf"} ${formatNumber(total)}`,
      `${this.name}_sum${braces(own)} ${formatNumber(sum)}`,
      `${this.name}_count${braces(own)} ${formatNumber(total)}`,
    );
  }

  /** Everything written so far, each line ended. */
  text(): string {
    return this.lines.length === 0 ? "" : `${this.lines.join("\n")}\n`;
  }
}

function formatLabels(labels: Labels): string {
  let text = "";
  for (const [name, value] of Object.entries(labels)) {
    if (!labelName.test(name)) throw new Error(`not a label name: ${JSON.stringify(name)}`);
    text += `${text === "" ? "" : ","}${name}="${String(value).replace(/[\\"\n]/g, escapeOne)}"`;
  }
  return text;
}

function braces(labels: string): string {
  return labels === "" ? "" : `{${labels}}`;
}

function escapeOne(c: string): string {
  return c === "\n" ? "\\n" : `\\${c}`;
}

function formatNumber(value: number): string {
  if (value === Infinity) return "+Inf";
  return value === -Infinity ? "-Inf" : String(value); // NaN is "NaN" in both worlds
}
