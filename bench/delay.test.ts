import { describe, expect, test } from "bun:test";
import { runArm } from "./delay/arms.ts";
import { drawImpressions, windowMs } from "./delay/stream.ts";
import { bench } from "./delay.ts";
import { runBench } from "./harness.ts";

describe("a stream whose labels come late", () => {
  const impressions = drawImpressions({ seed: 3, hours: 30, perHour: 400 });

  test("has a label where something came within its window", () => {
    for (const { sample, cameMs } of impressions) {
      for (const [h, ms] of cameMs.entries()) {
        expect(sample.labels[h]).toBe(ms <= sample.servedMs + windowMs ? 1 : 0);
      }
      // Nobody buys without a click.
      expect(sample.labels[1]! <= sample.labels[0]!).toBe(true);
    }
  });

  test("corrections find the rate that is missed without them", () => {
    const visit = 2;
    const from = 24 * 400;
    const sum = (values: ArrayLike<number>) =>
      Array.from(values).reduce((total, value) => total + value, 0);
    const came = sum(impressions.slice(from).map(({ sample }) => sample.labels[visit]!));
    const predicted = (arm: "fakeNegative" | "takeBack" | "never") =>
      sum(runArm(impressions, arm, 3)[visit]!.subarray(from)) / came;
    expect(predicted("fakeNegative")).toBeGreaterThan(0.75);
    expect(predicted("takeBack")).toBeGreaterThan(0.75);
    expect(predicted("never")).toBeLessThan(0.3);
  }, 60_000);
});

test("smoke: every arm, each head", async () => {
  const run = await runBench(bench, ["--smoke"], () => undefined);
  const figures = run?.figures ?? {};
  for (const head of ["Purchase", "Visit"]) {
    for (const arm of ["Oracle", "TakeBack", "FakeNegative", "FakeNegativeThinned", "Wait"]) {
      expect(figures[`logLoss${head}${arm}`]?.value).toBeGreaterThan(0);
      expect(figures[`auc${head}${arm}`]?.value).toBeLessThan(1);
    }
    const { low = 1, high = 0 } = figures[`auc${head}FakeNegativeOverTakeBack`] ?? {};
    expect(low).toBeLessThanOrEqual(high);
  }
}, 60_000);
