import { describe, expect, test } from "bun:test";
import { Random } from "../models/core/random.ts";
import { recoverySeconds } from "./http/overload.ts";
import { chooseTask, feedTasks } from "./scenarios.ts";
import { bootstrapped, mean, median, overSeeds, pairedRatio, percentile } from "./statistics.ts";

describe("statistics", () => {
  test("percentiles by nearest rank", () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect(percentile(values, 0.99)).toBe(99);
    expect(percentile(values, 0.5)).toBe(50);
    expect(percentile(values, 1)).toBe(100);
    expect(percentile([], 0.5)).toBeNaN();
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });

  test("Student's interval of five seeds", () => {
    const figure = overSeeds([1, 2, 3, 4, 5], "x");
    expect(figure.value).toBe(3);
    // 2.776 x sqrt(2.5 / 5)
    expect(figure.high).toBeCloseTo(3 + 1.963, 3);
    expect(figure.low).toBeCloseTo(3 - 1.963, 3);
    expect(overSeeds([7], "x")).toEqual({ value: 7, unit: "x" });
  });

  test("a 95 % bootstrap interval holds the truth about so often", () => {
    const random = new Random(4);
    let held = 0;
    for (let run = 0; run < 100; run++) {
      const values = Array.from({ length: 40 }, () => 5 + random.normal());
      const { low = 0, high = 0 } = bootstrapped(values, mean, { unit: "x", seed: run });
      if (low <= 5 && 5 <= high) held++;
    }
    expect(held).toBeGreaterThan(85);
    expect(held).toBeLessThan(100);
  });

  test("a paired ratio does not see what slows both sides of a pair", () => {
    const pairs = Array.from({ length: 11 }, (_, i) => ({ a: 10 * (1 + i), b: 12 * (1 + i) }));
    const ratio = pairedRatio(pairs, 1);
    expect(ratio.value).toBeCloseTo(1.2, 10);
    expect(ratio.high).toBeCloseTo(1.2, 10);
  });
});

describe("overload", () => {
  test("recovery ends with the last slice that failed or was slow", () => {
    const samples = Array.from({ length: 400 }, (_, i) => ({
      ...{ atMs: i * 10, status: 200, good: i !== 60 },
      latencyMs: i < 130 && i >= 125 ? 90 : 5,
    }));
    expect(recoverySeconds(samples, 10, 4)).toBe(1.5);
    expect(recoverySeconds(samples, 100, 4)).toBe(0.75);
    expect(recoverySeconds([], 100, 4)).toBe(0);
  });
});

describe("scenarios", () => {
  test("tasks come by their weight", () => {
    const random = new Random(2);
    const counts = new Map<string, number>();
    for (let i = 0; i < 13_000; i++) {
      const { name } = chooseTask(feedTasks, random);
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    expect(Math.abs((counts.get("recommend") ?? 0) - 6_000)).toBeLessThan(300);
    expect(Math.abs((counts.get("similar") ?? 0) - 1_000)).toBeLessThan(150);
  });
});
