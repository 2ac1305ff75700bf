import { expect, test } from "bun:test";
import { inputClip } from "../../native/index.ts";
import { Random } from "../core/random.ts";
import { createRanker } from "../ranking/ranker.ts";
import { InputMoments } from "./input-moments.ts";
import { feedShape } from "./testing/feed-world.ts";

const ranker = createRanker(feedShape);
const { layout } = ranker;
const rows = 50;
const head = 0;

/** A model whose first skip has a weight of 1 on the first item input, and 0 elsewhere. */
function skipModel(): Float32Array {
  const weights = new Float32Array(ranker.floats);
  ranker.initialise(new Random(1), weights);
  const { layerOne, columns, firstSkip, userInputs, itemInputs, heads } = layout;
  for (let row = 0; row < userInputs + itemInputs; row++) {
    const at = layerOne + row * columns + firstSkip;
    weights.fill(0, at, at + heads);
  }
  weights[layerOne + userInputs * columns + firstSkip + head] = 1;
  return weights;
}

/** What the head's skip says of each row. */
function saidOf(weights: Float32Array, itemDense: Float32Array): number[] {
  const { layerOne, layerOneBias, columns, firstSkip, userInputs, itemMean, itemScale } = layout;
  const weight = weights[layerOne + userInputs * columns + firstSkip + head]!;
  const bias = weights[layerOneBias + firstSkip + head]!;
  return Array.from({ length: rows }, (_, r) => {
    const normal = (itemDense[r * layout.itemDense]! - weights[itemMean]!) * weights[itemScale]!;
    return bias + weight * Math.min(inputClip, Math.max(-inputClip, normal));
  });
}

const meanOf = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

function moved(centre: number) {
  const random = new Random(3);
  const weights = skipModel();
  const moments = new InputMoments(layout, 1_000, weights);
  const userDense = new Float32Array(rows * layout.userDense);
  const itemDense = Float32Array.from({ length: rows * layout.itemDense }, () => {
    return centre + 0.2 * random.normal();
  });
  const before = saidOf(weights, itemDense);
  moments.update({ userDense, itemDense }, rows, weights);
  return { before, after: saidOf(weights, itemDense) };
}

test("moments move, and the skips say what they said", () => {
  const { before, after } = moved(2);
  for (const [r, value] of after.entries()) expect(value).toBeCloseTo(before[r]!, 4);
});

test("of inputs that were clipped they say the same in the mean, and tell them apart", () => {
  const { before, after } = moved(8);
  expect(new Set(before).size).toBe(1);
  expect(meanOf(after)).toBeCloseTo(meanOf(before), 4);
  expect(new Set(after).size).toBe(rows);
});
