import type { Ranker } from "../ranking/ranker.ts";
import type { VectorRows } from "../training/embedding-updates.ts";
import type { Sample } from "../training/sample.ts";

type WorkingVectors = Pick<VectorRows, "gatherWorking">;

/** What is to be judged: weights with the working vectors of ids of the same trainer. */
export interface ScoredModel {
  readonly ranker: Ranker;
  readonly weights: Float32Array;
  readonly users: WorkingVectors;
  readonly items: WorkingVectors;
}

/**
 * Predictions of every head, one column a head, row by row as requests are served: from a filled
 * slot, in its serving precision, without the position input. Binary heads: probabilities, those
 * with `given` of the product over all impressions, as their labels are. Seconds heads: seconds.
 */
export function scoreSamples(model: ScoredModel, samples: readonly Sample[]): Float64Array[] {
  const { ranker, users, items } = model;
  const { heads, givenHead, headNames, userVector, itemVector } = ranker.layout;
  const weights = new Float32Array(ranker.slotFloats);
  ranker.fillSlot(model.weights, weights);
  const vectors = {
    userVector: new Float32Array(userVector),
    itemVectors: new Float32Array(itemVector),
  };
  const scores = new Float32Array(heads);
  const out = headNames.map(() => new Float64Array(samples.length));
  samples.forEach(({ userRow, itemRow, userDense, itemDense }, row) => {
    if (userVector > 0) users.gatherWorking(Uint32Array.of(userRow), 1, vectors.userVector);
    if (itemVector > 0) items.gatherWorking(Uint32Array.of(itemRow), 1, vectors.itemVectors);
    ranker.scoreSlot({ weights, userDense, itemDense, ...vectors, count: 1 }, scores);
    for (let h = 0; h < heads; h++) {
      const given = givenHead[h]!;
      out[h]![row] = (given < 0 ? 1 : scores[given]!) * scores[h]!;
    }
  });
  return out;
}
