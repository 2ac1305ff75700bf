/**
 * Prometheus text format 0.0.4 from the counters and histograms of shared memory. Histograms leave
 * as summaries: their quantiles are exact to about 2 %, and four lines serve where buckets of
 * that resolution would take hundreds.
 */

/** What is read of a histogram. */
export interface HistogramReading {
  readonly count: number;
  readonly sum: number;
  /** Value below which the share `q` of the observations lies. */
  quantile(q: number): number;
}

export interface MetricsReading {
  /** In the order of `names.counters`, of `names.histograms`, and of `names.gauges`. */
  readonly counters: ArrayLike<number>;
  readonly histograms: readonly HistogramReading[];
  readonly gauges: ArrayLike<number>;
}

export interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface MetricNames {
  readonly counters: readonly string[];
  readonly histograms: readonly string[];
  readonly gauges: readonly string[];
  /** HELP text by family, the name without labels. */
  readonly help: Readonly<Record<string, string>>;
}

type Kind = "counter" | "summary" | "gauge";

interface Family {
  readonly kind: Kind;
  readonly help: string;
  readonly lines: string[];
}

const quantiles = [0.5, 0.9, 0.99, 0.999] as const;

/** Backslash, quote and line feed are escaped in label values. */
export function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

/** `x{a="b"}` gives `x` and `a="b"`. */
function splitName(name: string): { family: string; labels: string } {
  const brace = name.indexOf("{");
  if (brace < 0) return { family: name, labels: "" };
  return { family: name.slice(0, brace), labels: name.slice(brace + 1, -1) };
}

function formatted(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (Number.isFinite(value)) return String(value);
  return value > 0 ? "+Inf" : "-Inf";
}

function sample(family: string, labels: string, value: number): string {
  return `${family}${labels === "" ? "" : `{${labels}}`} ${formatted(value)}`;
}

function summaryLines(family: string, labels: string, histogram: HistogramReading): string[] {
  const before = labels === "" ? "" : `${labels},`;
  const shares = quantiles.map((q) => {
    const value = histogram.count === 0 ? Number.NaN : histogram.quantile(q);
    return sample(family, `${before}quantile="${q}"`, value);
  });
  return [
    ...shares,
    sample(`${family}_sum`, labels, histogram.sum),
    sample(`${family}_count`, labels, histogram.count),
  ];
}

function gaugeLabels(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escapeLabel(value)}"`)
    .join(",");
}

/** All lines of a family must stand together, under one HELP and TYPE. */
class Families {
  readonly #families = new Map<string, Family>();

  add(name: string, about: { kind: Kind; help: string }, lines: readonly string[]): void {
    const known = this.#families.get(name) ?? { ...about, lines: [] };
    known.lines.push(...lines);
    this.#families.set(name, known);
  }

  text(): string {
    const parts = [...this.#families].map(([name, { kind, help, lines }]) =>
      [`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${kind}`, ...lines, ""].join("\n"),
    );
    return parts.join("");
  }
}

/** The text of `/metrics`, ending in a line feed. */
export function prometheusText(
  names: MetricNames,
  reading: MetricsReading,
  gauges: readonly Gauge[] = [],
): string {
  const families = new Families();
  const helpOf = (family: string) => names.help[family] ?? family.replaceAll("_", " ");
  const addCells = (kind: Kind, list: readonly string[], values: ArrayLike<number>) => {
    list.forEach((name, i) => {
      const { family, labels } = splitName(name);
      const line = sample(family, labels, values[i] ?? 0);
      families.add(family, { kind, help: helpOf(family) }, [line]);
    });
  };
  addCells("counter", names.counters, reading.counters);
  names.histograms.forEach((name, i) => {
    const histogram = reading.histograms[i];
    if (histogram === undefined) return;
    const { family, labels } = splitName(name);
    const lines = summaryLines(family, labels, histogram);
    families.add(family, { kind: "summary", help: helpOf(family) }, lines);
  });
  addCells("gauge", names.gauges, reading.gauges);
  for (const { name, help, labels, value } of gauges) {
    families.add(name, { kind: "gauge", help }, [sample(name, gaugeLabels(labels ?? {}), value)]);
  }
  return families.text();
}
