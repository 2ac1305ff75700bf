import { expect, test } from "bun:test";
import { nativeKernels } from "../../native/index.ts";
import { adamDefault, DenseOptimizer } from "./optimizer.ts";

test("weight decay takes its share of every weight, by the schedule, beside Adam's step", () => {
  const options = { ...adamDefault, learningRate: 0.01, weightDecay: 0.1 };
  const optimizer = new DenseOptimizer(nativeKernels(), options, 3);
  const weights = Float32Array.of(1, -2, 4, 8);
  const gradients = Float32Array.of(3, -0.5, 0, 7);
  optimizer.step({ weights, gradients, gradientScale: 1, rateScale: 0.5 });
  // Adam's first step has the rate's size and the gradient's sign; the fourth is not its own.
  const expected = [0.95 - 0.005, -1.9 + 0.005, 3.8, 8];
  for (const [i, weight] of weights.entries()) expect(weight).toBeCloseTo(expected[i] ?? 0, 6);
});
