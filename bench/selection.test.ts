import { describe, expect, test } from "bun:test";
import { Random } from "../models/core/random.ts";
import { auc } from "../models/evaluation/auc.ts";
import { runBench } from "./harness.ts";
import { compareRates } from "./selection/rates.ts";
import { bench } from "./selection.ts";

describe("rates beside true rates", () => {
  const random = new Random(2);
  const rates = Float64Array.from({ length: 4_000 }, () => 0.3 * random.next());
  const users = rates.map((_, i) => Math.floor(i / 20));
  const noisy = rates.map((rate) => 1.5 * (rate + 0.1 * random.normal()));
  const options = { draws: 100, seed: 1 };

  test("with outcomes for rates the AUC is the usual one, ties counting half", () => {
    const outcomes = rates.map((rate) => (random.next() < rate ? 1 : 0));
    const coarse = noisy.map((value) => Math.round(8 * value));
    const { ours } = compareRates(
      { ours: [coarse], other: [coarse], true: outcomes, users },
      { ...options, draws: 0 },
    );
    expect(ours.auc.value).toBeCloseTo(auc({ scores: coarse, labels: outcomes }), 10);
  });

  test("with chances it is what outcomes drawn from them give on average", () => {
    const drawn = Array.from({ length: 40 }, () =>
      auc({ scores: noisy, labels: rates.map((rate) => (random.next() < rate ? 1 : 0)) }),
    );
    const { ours } = compareRates(
      { ours: [noisy], other: [noisy], true: rates, users },
      { ...options, draws: 0 },
    );
    expect(ours.auc.value).toBeCloseTo(drawn.reduce((a, b) => a + b) / drawn.length, 2);
  });

  test("the truth is calibrated and better than a noisy half more", () => {
    const found = compareRates({ ours: [rates], other: [noisy], true: rates, users }, options);
    expect(found.ours.calibration).toEqual({ value: 1, low: 1, high: 1 });
    expect(found.ours.ece.value).toBeCloseTo(0, 10);
    expect(found.other.calibration.value).toBeCloseTo(1.5, 1);
    expect(found.difference.auc.low).toBeGreaterThan(0);
    expect(found.difference.ece.high).toBeLessThan(0);
  });
});

test("smoke: every figure of the simulator, over all rows and inside the clicked", async () => {
  const run = await runBench(bench, ["--smoke", "--epochs", "2"], () => undefined);
  const figures = run?.figures ?? {};
  for (const rows of ["allCvr", "clickedCvr"]) {
    const best = figures[`${rows}AucTruth`]?.value ?? Number.NaN;
    expect(best).toBeGreaterThan(0.5);
    for (const arm of ["Esmm", "Clicks", "Beside"]) {
      const { value = 1, low = 1, high = 0 } = figures[`${rows}Auc${arm}`] ?? {};
      expect(value).toBeLessThan(best);
      expect(low).toBeLessThanOrEqual(high);
      expect(figures[`${rows}Calibration${arm}`]?.value).toBeGreaterThan(0);
    }
  }
}, 60_000);
