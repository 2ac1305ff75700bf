import { describe, expect, test } from "bun:test";
import { instructionSets, nativeKernels } from "../../native/index.ts";
import { Random } from "../core/random.ts";
import { HeadLosses, uncertaintyCoefficients } from "../layers/head-losses.ts";
import { feedHeads, feedShape } from "../training/testing/feed-world.ts";
import { createNetwork } from "./create-network.ts";
import { lossWeightsOf } from "./definition-shape.ts";
import type { RankerLayout, RankerShape } from "./layout.ts";
import type { RankerNetwork } from "./network.ts";
import { createRanker, type Ranker } from "./ranker.ts";

const rowsMax = 24;

interface Bench {
  readonly ranker: Ranker;
  readonly weights: Float32Array;
  readonly gradients: Float32Array;
  readonly network: RankerNetwork;
  readonly labels: Float32Array;
  /** The total loss, in doubles. */
  loss(): number;
  backward(): void;
}

function fillNormal(random: Random, out: Float32Array, deviation: number): void {
  for (let i = 0; i < out.length; i++) out[i] = random.normal() * deviation;
}

function labelsOf(random: Random, heads: number): Float32Array {
  const labels = new Float32Array(heads * rowsMax);
  for (let h = 0; h < heads; h++) {
    const seconds = feedHeads[h]!.kind === "seconds";
    for (let r = 0; r < rowsMax; r++) {
      labels[h * rowsMax + r] = seconds ? 3 * random.next() : random.int(2);
    }
  }
  labels[3] = Number.NaN;
  return labels;
}

/** A network on random inputs whose loss can be asked for again after a change of its weights. */
function bench(shape: RankerShape, seed: number): Bench {
  const random = new Random(seed);
  const ranker = createRanker(shape);
  const { layout, kernels, floats } = ranker;
  const weights = new Float32Array(floats);
  ranker.initialise(random, weights);
  for (const row of [layout.layerOneBias, layout.outputOffset]) weights[row]! += 0.1;
  const gradients = new Float32Array(floats);
  const network = createNetwork({ kernels, weights, gradients, rowsMax }, layout);
  fillNormal(random, network.userInput.values, 1);
  fillNormal(random, network.itemInput.values, 1);
  const labels = labelsOf(random, layout.heads);
  const losses = new HeadLosses(kernels, layout, rowsMax);
  const columns = {
    logits: network.logits,
    labels,
    weights: Float32Array.from({ length: rowsMax }, (_, r) => (1 + (r % 3)) / rowsMax),
    losses: new Float32Array(rowsMax * layout.heads),
    gradients: network.logitsGradient,
    stride: rowsMax,
  };
  const coefficients = Float64Array.from([1, 0.5, 2, 0.7]);
  const loss = () => {
    network.forward(rowsMax);
    losses.compute(columns, rowsMax, coefficients);
    let total = 0;
    for (let i = 0; i < columns.losses.length; i++) {
      total += coefficients[Math.floor(i / rowsMax)]! * columns.losses[i]!;
    }
    return total;
  };
  const backward = () => {
    loss();
    network.backward(rowsMax);
  };
  return { ranker, weights, gradients, network, labels, loss, backward };
}

/**
 * Moves one number up and down and compares the slopes with the gradient. A ReLU may switch on one
 * side of the step: the gradient must be the slope of the other.
 */
function checkSlope(b: Bench, values: Float32Array, at: number, gradient: number): number {
  const kept = values[at]!;
  const here = b.loss();
  const slopes = [1e-3, -1e-3].map((step) => {
    values[at] = kept + step;
    return (b.loss() - here) / (values[at]! - kept);
  });
  values[at] = kept;
  const fault = Math.min(...slopes.map((slope) => Math.abs(slope - gradient)));
  if (fault > 2e-3 + 0.01 * Math.abs(gradient)) {
    throw new Error(`parameter ${at}: slopes ${slopes}, gradient ${gradient}`);
  }
  return Math.abs(gradient);
}

const pleShape: RankerShape = {
  ...feedShape,
  model: "ple",
  experts: 2,
  headExperts: 1,
  levels: 2,
};

const shapes: Record<string, RankerShape> = {
  mmoe: feedShape,
  "mmoe of one expert layer, no tower": { ...feedShape, expertLayers: [10], towerLayers: [] },
  "mmoe of deep parts": { ...feedShape, expertLayers: [9, 8, 5], towerLayers: [6, 4] },
  "shared bottom": { ...feedShape, model: "shared-bottom", experts: 1, expertLayers: [24, 18] },
  "seconds held to the absolute error": {
    ...feedShape,
    heads: feedHeads.map((head) => (head.name === "watch" ? { ...head, answer: "middle" } : head)),
  },
  "no linear skip": { ...feedShape, skip: false },
  ple: pleShape,
  "ple of one level, no tower": { ...pleShape, levels: 1, towerLayers: [] },
  "ple of one expert layer, three levels": { ...pleShape, levels: 3, expertLayers: [7] },
  "ple of deep parts": {
    ...pleShape,
    headExperts: 2,
    experts: 1,
    expertLayers: [9, 8, 5],
    towerLayers: [6, 4],
  },
};

/** Whether a parameter is a weight or bias of a linear skip. */
function isSkip(layout: RankerLayout, at: number): boolean {
  const column = (at - layout.layerOne) % layout.columns;
  const inside = at >= layout.layerOne && at < layout.layerOneBias + layout.columns;
  return inside && column >= layout.firstSkip && column < layout.firstSkip + layout.heads;
}

describe("every gradient equals the slope of the loss", () => {
  for (const [name, shape] of Object.entries(shapes)) {
    test(`${name}: all parameters`, () => {
      const b = bench(shape, 3);
      b.backward();
      const gradients = b.gradients.slice();
      const { trainedFrom, positionBias } = b.ranker.layout;
      let sum = 0;
      let checked = 0;
      const { layout } = b.ranker;
      for (let at = trainedFrom; at < positionBias; at += 3) {
        if (!layout.skip && isSkip(layout, at)) {
          expect(gradients[at]).toBe(0);
          continue;
        }
        sum += checkSlope(b, b.weights, at, gradients[at]!);
        checked++;
      }
      // The check must have had something to check.
      expect(sum / checked).toBeGreaterThan(5e-3);
    });

    test(`${name}: embedding inputs`, () => {
      const b = bench(shape, 4);
      b.backward();
      const { userDense, itemDense } = b.ranker.layout;
      const { network } = b;
      for (const [input, gradient, from] of [
        [network.userInput, network.userVectorGradient, userDense],
        [network.itemInput, network.itemVectorGradient, itemDense],
      ] as const) {
        const kept = gradient.values.slice();
        for (let r = 0; r < rowsMax; r++) {
          for (let j = 0; j < gradient.row; j++) {
            const at = r * input.row + from + j;
            checkSlope(b, input.values, at, kept[r * gradient.row + j]!);
          }
        }
      }
    });
  }

  test("a step down each gradient lowers the loss", () => {
    const b = bench(feedShape, 5);
    const before = b.loss();
    b.backward();
    for (let i = 0; i < b.weights.length; i++) b.weights[i]! -= 0.05 * b.gradients[i]!;
    expect(b.loss()).toBeLessThan(before);
  });
});

describe("serving and training", () => {
  const models = instructionSets().flatMap((set) =>
    [feedShape, pleShape, { ...pleShape, levels: 1, expertLayers: [7] }].map(
      (shape) => [set, shape] as const,
    ),
  );
  for (const [set, shape] of models) {
    const name = `${shape.model ?? "mmoe"} ${shape.expertLayers}, ${set}`;
    test(`give the same logits bit for bit (${name})`, () => {
      const ranker = createRanker(shape, nativeKernels(set));
      const { layout, kernels, floats } = ranker;
      const weights = new Float32Array(floats);
      ranker.initialise(new Random(8), weights);
      const network = createNetwork(
        { kernels, weights, gradients: new Float32Array(floats), rowsMax },
        layout,
      );
      const random = new Random(9);
      fillNormal(random, network.userInput.values, 0.5);
      fillNormal(random, network.itemInput.values, 0.5);
      network.forward(rowsMax);
      const part = (of: Float32Array, row: number, from: number, to: number) =>
        of.filter((_, i) => i % row >= from && i % row < to);
      const { userInputs, itemInputs, userDense, itemDense } = layout;
      const input = {
        weights,
        userDense: part(network.userInput.values, userInputs, 0, userDense),
        userVector: part(network.userInput.values, userInputs, userDense, userInputs),
        itemDense: part(network.itemInput.values, itemInputs, 0, itemDense),
        itemVectors: part(network.itemInput.values, itemInputs, itemDense, itemInputs),
        count: rowsMax,
        userRows: rowsMax,
      };
      const out = new Float32Array(layout.heads * rowsMax);
      ranker.logits(input, out);
      expect([...out]).toEqual([...network.logits]);
      const one = new Float32Array(layout.heads);
      ranker.logits({ ...input, count: 1, userRows: 1 }, one);
      for (let h = 0; h < layout.heads; h++) expect(one[h]).toBe(out[h * rowsMax]!);
    });
  }

  test("a score is a probability, or seconds", () => {
    const ranker = createRanker(feedShape);
    const weights = new Float32Array(ranker.floats);
    ranker.initialise(new Random(8), weights);
    const random = new Random(1);
    const count = 50;
    const dense = (width: number) => Float32Array.from({ length: width }, () => random.normal());
    const out = new Float32Array(4 * count);
    ranker.score(
      {
        weights,
        userDense: dense(5),
        userVector: dense(3),
        itemDense: dense(count * 6),
        itemVectors: dense(count * 2),
        count,
      },
      out,
    );
    const binary = out.subarray(0, 3 * count);
    expect(binary.every((p) => p > 0 && p < 1)).toBe(true);
    expect(new Set(binary).size).toBeGreaterThan(2 * count);
    expect(out.subarray(3 * count).every((seconds) => seconds >= 0)).toBe(true);
  });
});

describe("shapes and weights", () => {
  test("a shape that does not fit names its place", () => {
    const wrong: [Partial<RankerShape>, string][] = [
      [{ heads: [] }, "heads"],
      [{ experts: 0 }, "experts"],
      [{ expertLayers: [] }, "expertLayers"],
      [{ expertLayers: [4, 2.5] }, "expertLayers"],
      [{ headExperts: 1 }, "headExperts"],
      [{ model: "ple", headExperts: 0 }, "headExperts"],
      [{ model: "ple", levels: 4 }, "levels"],
      [{ model: "shared-bottom" }, "experts"],
      [{ towerLayers: [4, 4, 4, 4, 4] }, "towerLayers"],
      [{ heads: [{ name: "cvr", interaction: "x", kind: "binary", given: "no" }] }, "heads[0]"],
    ];
    for (const [change, path] of wrong) {
      expect(() => createRanker({ ...feedShape, ...change })).toThrow(
        expect.objectContaining({
          code: "REC_RANKER_SHAPE",
          path: expect.stringContaining(path),
        }),
      );
    }
  });

  test("fixed loss weights follow the heads; a wrong name or number is refused", () => {
    const fixed = { watch: 0, ctr: 1, cvr: 2, like: 0.5 };
    expect(lossWeightsOf(feedHeads, fixed)).toEqual([1, 0.5, 2, 0]);
    expect(lossWeightsOf(feedHeads, undefined)).toBe("uncertainty");
    for (const wrong of [{ ctr: 1 }, { ...fixed, none: 1 }, { ...fixed, ctr: -1 }]) {
      expect(() => lossWeightsOf(feedHeads, wrong)).toThrow(
        expect.objectContaining({ path: "ranking.lossWeights" }),
      );
    }
  });

  test("log variances are clamped where they stand", () => {
    const variances = Float32Array.from([0, 5, -9]);
    const out = new Float64Array(3);
    uncertaintyCoefficients(variances, out);
    expect([...variances]).toEqual([0, 2, -2]);
    expect(out[1]).toBeCloseTo(Math.exp(-2));
  });
});
