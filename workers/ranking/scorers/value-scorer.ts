import type { ValueModel } from "../../../models/ranking/value-model.ts";
import type { FeedContext } from "../feed-context.ts";
import type { Scorer } from "../pipeline/stages.ts";

/** Heads -> one value a candidate; the pre-rank where no model scored. */
export function valueScorer(model: ValueModel): Scorer<FeedContext> {
  const weights = new Float64Array(model.headCount);
  return {
    name: "value",
    essential: true,
    score({ candidates, ranked, request }) {
      const { values, heads } = ranked;
      const { count } = candidates;
      if (!ranked.scored) {
        values.set(candidates.preRank.subarray(0, count));
        return undefined;
      }
      model.weights(request.weights, weights);
      model.score(heads, weights, count, values);
      for (let i = 0; i < count; i++) {
        // A number that is none would have no place in the order.
        if (!Number.isFinite(values[i])) values[i] = Number.NEGATIVE_INFINITY;
      }
      return undefined;
    },
  };
}

/** For lists that no model orders: the pre-rank is the value. */
export function preRankScorer(): Scorer<FeedContext> {
  return {
    name: "pre-rank",
    essential: true,
    score({ candidates, ranked }) {
      ranked.values.set(candidates.preRank.subarray(0, candidates.count));
      return undefined;
    },
  };
}
