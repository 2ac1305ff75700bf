import { expect, test } from "bun:test";
import { counterNames, gaugeNames, histogramNames, metricHelp } from "../../workers/metrics.ts";
import { escapeLabel, prometheusText } from "./exposition.ts";

const histogram = { count: 2, sum: 3, quantile: (q: number) => q * 2 };
const empty = { count: 0, sum: 0, quantile: () => 0 };

test("families stand together under one HELP and TYPE", () => {
  const names = {
    counters: ['a_total{x="1"}', "b_total", 'a_total{x="2"}'],
    histograms: ['h_ms{r="s"}', "e_ms"],
    gauges: ['f_items{r="s"}', "g_bytes"],
    help: { a_total: "As\nand \\." },
  };
  const reading = { counters: [1, 2, 3], histograms: [histogram, empty], gauges: [7, 8] };
  const gauges = [{ name: "g_bytes", help: "G.", labels: { p: 'a"b\\c\nd' }, value: 1.5 }];
  expect(prometheusText(names, reading, gauges)).toBe(
    [
      "# HELP a_total As\\nand \\\\.",
      "# TYPE a_total counter",
      'a_total{x="1"} 1',
      'a_total{x="2"} 3',
      "# HELP b_total b total",
      "# TYPE b_total counter",
      "b_total 2",
      "# HELP h_ms h ms",
      "# TYPE h_ms summary",
      'h_ms{r="s",quantile="0.5"} 1',
      'h_ms{r="s",quantile="0.9"} 1.8',
      'h_ms{r="s",quantile="0.99"} 1.98',
      'h_ms{r="s",quantile="0.999"} 1.998',
      'h_ms_sum{r="s"} 3',
      'h_ms_count{r="s"} 2',
      "# HELP e_ms e ms",
      "# TYPE e_ms summary",
      ...[0.5, 0.9, 0.99, 0.999].map((q) => `e_ms{quantile="${q}"} NaN`),
      "e_ms_sum 0",
      "e_ms_count 0",
      "# HELP f_items f items",
      "# TYPE f_items gauge",
      'f_items{r="s"} 7',
      "# HELP g_bytes g bytes",
      "# TYPE g_bytes gauge",
      "g_bytes 8",
      'g_bytes{p="a\\"b\\\\c\\nd"} 1.5',
      "",
    ].join("\n"),
  );
});

test("label values are escaped", () => {
  expect(escapeLabel('"\\\n')).toBe('\\"\\\\\\n');
});

test("every name of the process is a valid, helped, unique family", () => {
  const names = [...counterNames, ...histogramNames, ...gaugeNames];
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) {
    expect(name).toMatch(/^rec_[a-z]+_[a-z0-9_]+(\{([a-z]+="[A-Za-z0-9_.-]+",?)+\})?$/);
    expect(metricHelp).toHaveProperty([name.split("{")[0] ?? ""]);
  }
  for (const name of counterNames) expect(name).toMatch(/_total(\{|$)/);
});
