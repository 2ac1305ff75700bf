import { expect, test } from "bun:test";
import { runBench } from "./harness.ts";
import { aucMovedMax, overlapMin } from "./ranking/precision.ts";
import { bench } from "./ranking.ts";

// Peers' answers are compared with ours before they are timed: differing ones throw.
test("bench ranking: peers agree, and what is served stays near fp32", async () => {
  const output = await runBench(bench, ["--smoke"], () => undefined);
  const figures = output?.figures ?? {};
  for (const rows of [1, 20]) {
    for (const name of ["ours", "oursFp32", "onnx", "onnxSplit"]) {
      expect(figures[`${name}UsP50At${rows}`]?.value).toBeGreaterThan(0);
      expect(figures[`${name}UsP99At${rows}`]?.value).toBeGreaterThan(0);
    }
    expect(figures[`vsOnnx${rows}`]?.value).toBeGreaterThan(0);
    expect(figures[`peakShare${rows}`]?.value).toBeGreaterThan(0);
  }
  expect(figures.defaultVsOnnxSplit20?.value).toBeGreaterThan(0);
  expect("vsTorchEager20" in figures).toBe((process.env.PEER_PYTHON ?? "") !== "");
  expect(figures.top20Overlap?.value).toBeGreaterThanOrEqual(overlapMin);
  for (const head of ["Ctr", "Like", "Finish", "Cvr", "Watch"]) {
    expect(figures[`auc${head}`]?.value).toBeGreaterThan(0.55);
    expect(Math.abs(figures[`aucMoved${head}`]?.value ?? 1)).toBeLessThanOrEqual(aucMovedMax);
  }
}, 120_000);
