import type { FeedContext } from "../feed-context.ts";
import type { Scorer } from "../pipeline/stages.ts";
import type { RankingState, ScoringRanker } from "../state.ts";

/**
 * Embeddings as of the pinned version, then the ranker's heads for all candidates in one call.
 * The request's features, as they were read, go in; nothing is parsed or rebuilt here.
 */
export function modelScorer(state: RankingState, ranker: ScoringRanker): Scorer<FeedContext> {
  const userRow = new Int32Array(1);
  return {
    name: "model",
    applies: ({ modelVersion, ranked, candidates }) =>
      modelVersion > 0 && ranked.encoded && candidates.count > 0,
    score({ candidates, ranked, slot, modelVersion, user }) {
      const { rows, count } = candidates;
      const { userDense, itemDense, userVector, itemVectors } = ranked;
      userRow[0] = user.row;
      state.userVectors.gather(userRow, 1, modelVersion, userVector);
      state.itemVectors.gather(rows, count, modelVersion, itemVectors);
      const weights = state.slots.weights(slot);
      const inputs = { weights, userDense, itemDense, userVector, itemVectors, count };
      ranker.score(inputs, ranked.heads);
      ranked.scored = true;
      ranked.version = ranker.version ?? modelVersion;
      return undefined;
    },
  };
}
