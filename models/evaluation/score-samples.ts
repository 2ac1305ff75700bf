import type { Ranker } from "../ranking/ranker.ts";
import type { VectorRows } from "../training/embedding-updates.ts";
import type { Sample } from "../training/sample.ts";

/** What is to be judged: weights with the working embeddings of the same trainer. */
export interface ScoredModel {
  readonly ranker: Ranker;
  readonly weights: Float32Array;
  readonly users: VectorRows;
  readonly items: VectorRows;
}

const rowsAtOnce = 512;

/**
 * Predictions of every head, one column a head, by the serving path (no position input). Binary
 * heads: probabilities, those with `given` of the product over all impressions, as their labels
 * are. Seconds heads: seconds.
 */
export function scoreSamples(model: ScoredModel, samples: readonly Sample[]): Float64Array[] {
  const { layout } = model.ranker;
  const out = layout.headNames.map(() => new Float64Array(samples.length));
  for (let from = 0; from < samples.length; from += rowsAtOnce) {
    const part = samples.slice(from, from + rowsAtOnce);
    const scores = scorePart(model, part);
    for (let h = 0; h < layout.heads; h++) {
      const given = layout.givenHead[h]!;
      for (let r = 0; r < part.length; r++) {
        const rate = given < 0 ? 1 : scores[given * part.length + r]!;
        out[h]![from + r] = rate * scores[h * part.length + r]!;
      }
    }
  }
  return out;
}

function scorePart(model: ScoredModel, part: readonly Sample[]): Float32Array {
  const { ranker, weights } = model;
  const { userDense, itemDense, userVector, itemVector, heads } = ranker.layout;
  const count = part.length;
  const input = {
    ...{ weights, count, userRows: count },
    userDense: new Float32Array(count * userDense),
    itemDense: new Float32Array(count * itemDense),
    userVector: new Float32Array(count * userVector),
    itemVectors: new Float32Array(count * itemVector),
  };
  part.forEach((sample, r) => {
    input.userDense.set(sample.userDense, r * userDense);
    input.itemDense.set(sample.itemDense, r * itemDense);
  });
  const rowsOf = (name: "userRow" | "itemRow") => Uint32Array.from(part, (one) => one[name]);
  if (userVector > 0) model.users.gatherWorking(rowsOf("userRow"), count, input.userVector);
  if (itemVector > 0) model.items.gatherWorking(rowsOf("itemRow"), count, input.itemVectors);
  const out = new Float32Array(count * heads);
  ranker.score(input, out);
  return out;
}
