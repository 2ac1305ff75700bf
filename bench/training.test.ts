import { expect, test } from "bun:test";
import { runBench } from "./harness.ts";
import { bench } from "./training.ts";

test("bench training: all batch sizes and the online path, beside PyTorch if there", async () => {
  const output = await runBench(bench, ["--smoke"], () => undefined);
  const figures = output?.figures ?? {};
  for (const batch of [64, 100, 256, 1_024]) {
    expect(figures[`samplesPerSecond${batch}`]?.value).toBeGreaterThan(0);
  }
  expect(figures.onlineSamplesPerSecond?.value).toBeGreaterThan(0);
  // All batches but the first, which is live already, and the unfinished last.
  expect(figures.onlinePublishedShare?.value).toBeCloseTo(900 / 1_024);
  const apart = figures.logLossApart64?.value ?? 0;
  expect(apart).toBeLessThan(0.002);
  expect("vsTorch256" in figures).toBe((process.env.PEER_PYTHON ?? "") !== "");
}, 120_000);
