import { expect, test } from "bun:test";
import { SharedMetrics } from "../../native/index.ts";
import { RecentQuantiles } from "./recent-quantiles.ts";

test("what was long ago is taken off, whenever it is asked for", () => {
  const metrics = SharedMetrics.create({ counters: [], histograms: ["slow_ms"] });
  const recent = new RecentQuantiles();
  const p50At = (nowMs: number) => {
    const { histograms } = metrics.read();
    recent.take(nowMs, histograms);
    return recent.quantile(0.5, 0, histograms[0]!);
  };
  expect(p50At(0)).toBeNaN();
  for (let i = 0; i < 100; i++) metrics.observe("slow_ms", 1_000);
  expect(p50At(5_000)).toBeCloseTo(1_000, -2);
  p50At(11_000);
  for (let i = 0; i < 10; i++) metrics.observe("slow_ms", 10);
  expect(p50At(22_000)).toBeCloseTo(10, 0);
  expect(p50At(25_000)).toBeCloseTo(10, 0);
  expect(p50At(45_000)).toBeNaN();
});
