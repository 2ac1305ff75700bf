import { Random } from "../../models/core/random.ts";
import definition from "../../models/definition/default.ts";
import { rankerShapeOf } from "../../models/ranking/definition-shape.ts";
import { createRanker, type Ranker } from "../../models/ranking/ranker.ts";
import type { ScoreInputs } from "../../workers/ranking/state.ts";

export { default as definition } from "../../models/definition/default.ts";

export function defaultRanker(): Ranker {
  return createRanker(rankerShapeOf(definition));
}

/** Fresh weights, moved so that no bias is zero and no output silent. */
export function fillWeights(ranker: Ranker, seed: number, out: Float32Array): void {
  const random = new Random(seed);
  ranker.initialise(random, out);
  for (let i = 0; i < out.length; i++) out[i] = (out[i] ?? 0) + 0.03 * random.normal();
}

/** One user and `count` candidates, drawn at random. */
export function inputsOf(
  ranker: Ranker,
  count: number,
  seed: number,
): Omit<ScoreInputs, "weights"> {
  const { userWidth, itemWidth, userEmbedding, itemEmbedding } = ranker.shape;
  const random = new Random(seed);
  const normals = (length: number) => Float32Array.from({ length }, () => random.normal());
  return {
    count,
    userDense: normals(userWidth),
    userVector: normals(userEmbedding),
    itemDense: normals(count * itemWidth),
    itemVectors: normals(count * itemEmbedding),
  };
}

/** The largest difference of a probability, or of seconds as a share. */
export function furthest(ours: Float32Array, theirs: Float32Array): number {
  const difference = (a: number, b: number) => Math.abs(a - b) / Math.max(1, Math.abs(a));
  return ours.reduce((worst, a, i) => Math.max(worst, difference(a, theirs[i] ?? Number.NaN)), 0);
}
