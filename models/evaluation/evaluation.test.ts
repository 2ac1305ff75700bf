import { describe, expect, test } from "bun:test";
import { Random } from "../core/random.ts";
import { auc, groupedAuc, xauc } from "./auc.ts";
import { bootstrapByGroup } from "./bootstrap.ts";
import { calibrationRatio, expectedCalibrationError, logLoss } from "./calibration.ts";
import { compareHead } from "./compare-heads.ts";

/** By definition: the share of ordered pairs, ties half. */
function pairs(scores: readonly number[], truths: readonly number[]): number {
  let right = 0;
  let all = 0;
  for (let i = 0; i < scores.length; i++) {
    for (let j = 0; j < scores.length; j++) {
      if (!(truths[i]! > truths[j]!)) continue;
      all++;
      right += scores[i]! > scores[j]! ? 1 : scores[i] === scores[j] ? 0.5 : 0;
    }
  }
  return right / all;
}

function draw(random: Random, count: number, levels: number): number[] {
  return Array.from({ length: count }, () => random.int(levels) / levels);
}

describe("AUC and XAUC", () => {
  test("equal the count of pairs, with many ties", () => {
    const random = new Random(3);
    for (let round = 0; round < 20; round++) {
      const count = 2 + random.int(60);
      const scores = draw(random, count, 1 + random.int(12));
      const labels = draw(random, count, 2).map((x) => (x > 0 ? 1 : 0));
      const truths = draw(random, count, 1 + random.int(9));
      const [found, wanted] = [auc({ scores, labels }), pairs(scores, labels)];
      if (Number.isNaN(wanted)) expect(found).toBeNaN();
      else expect(found).toBeCloseTo(wanted, 10);
      const order = pairs(scores, truths);
      if (Number.isNaN(order)) expect(xauc(scores, truths)).toBeNaN();
      else expect(xauc(scores, truths)).toBeCloseTo(order, 10);
    }
  });

  test("GAUC averages users by rows and leaves out users of one class", () => {
    const scores = [0.9, 0.1, 0.2, 0.8, 0.3, 0.7];
    const labels = [1, 0, 1, 0, 0, 0];
    const groups = [1, 1, 2, 2, 3, 3];
    expect(groupedAuc({ scores, labels }, groups)).toBe(0.5);
    expect(groupedAuc({ scores, labels: [0, 0, 0, 0, 0, 0] }, groups)).toBeNaN();
  });

  test("a NaN score makes no AUC", () => {
    expect(auc({ scores: [Number.NaN, 1], labels: [1, 0] })).toBeNaN();
  });
});

describe("calibration", () => {
  test("known values", () => {
    const even = { scores: [0.5, 0.5, 0.5, 0.5], labels: [1, 0, 1, 0] };
    expect(logLoss(even)).toBeCloseTo(Math.log(2), 10);
    expect(calibrationRatio(even)).toBe(1);
    expect(expectedCalibrationError({ scores: [0.2, 0.8], labels: [0, 1] }, 2)).toBeCloseTo(0.2);
    expect(logLoss({ scores: [0], labels: [1] })).toBeCloseTo(-Math.log(1e-7), 6);
  });

  test("ECE is near zero for the truth and finds a bias", () => {
    const random = new Random(4);
    const rates = Array.from({ length: 20_000 }, () => random.next());
    const labels = rates.map((rate) => (random.next() < rate ? 1 : 0));
    expect(expectedCalibrationError({ scores: rates, labels })).toBeLessThan(0.02);
    const biased = rates.map((rate) => Math.min(1, rate + 0.1));
    expect(expectedCalibrationError({ scores: biased, labels })).toBeGreaterThan(0.07);
  });
});

describe("bootstrap by user", () => {
  test("draws users whole: correlated rows widen the interval", () => {
    const random = new Random(5);
    const users = Array.from({ length: 40 }, () => random.next());
    const values = users.flatMap((rate) => Array.from({ length: 50 }, () => rate));
    const mean = (rows: readonly number[]) =>
      rows.reduce((sum, row) => sum + values[row]!, 0) / rows.length;
    const options = { draws: 300, level: 0.95 };
    const user = values.map((_, i) => Math.floor(i / 50));
    const row = values.map((_, i) => i);
    const whole = bootstrapByGroup(mean, { ...options, groups: user, random: new Random(1) });
    const loose = bootstrapByGroup(mean, { ...options, groups: row, random: new Random(1) });
    expect(whole.value).toBeCloseTo(loose.value, 12);
    expect(whole.low).toBeLessThan(whole.value);
    expect(whole.high).toBeGreaterThan(whole.value);
    expect(whole.high - whole.low).toBeGreaterThan(4 * (loose.high - loose.low));
  });
});

describe("two models on the same rows", () => {
  const random = new Random(6);
  const truths = Array.from({ length: 2_000 }, () => random.next());
  const users = truths.map((_, i) => Math.floor(i / 20));
  const labels = truths.map((p, i) => (i % 7 === 0 ? Number.NaN : random.next() < p ? 1 : 0));
  const noisy = () => truths.map((p) => p + 1.5 * random.normal());
  const head = { name: "click", seconds: false, labels, users };
  const options = { draws: 200, seed: 1, figures: ["auc"] };

  test("a model is not better than itself", () => {
    const runs = [truths, noisy()];
    const [same] = compareHead({ ...head, ours: runs, others: runs }, options);
    expect(same?.difference).toEqual({ value: 0, low: 0, high: 0 });
  });

  test("the truth beats noise, and the difference is that of the figures' means", () => {
    const others = [noisy(), noisy()];
    const [found] = compareHead({ ...head, ours: [truths], others }, options);
    const known = truths.flatMap((_, i) => (Number.isNaN(labels[i]) ? [] : [i]));
    const aucOf = (scores: readonly number[]) =>
      auc({ scores: known.map((i) => scores[i]!), labels: known.map((i) => labels[i]!) });
    const wanted = aucOf(truths) - (aucOf(others[0]!) + aucOf(others[1]!)) / 2;
    expect(found?.difference.value).toBeCloseTo(wanted, 12);
    expect(found?.difference.low).toBeGreaterThan(0);
    expect(found?.difference.high).toBeGreaterThan(wanted);
  });
});
