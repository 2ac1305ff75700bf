import type { FeedContext } from "../feed-context.ts";
import type { Filter } from "../pipeline/stages.ts";
import { topIndexes } from "../selectors/top-indexes.ts";

/** Keeps the `max` best of the pre-rank: the model's cost is per candidate. */
export function rankedMaxFilter(max: number): Filter<FeedContext> {
  const best = new Int32Array(max);
  return {
    name: "ranked-max",
    reasons: ["preRank"],
    failsClosed: true,
    applies: ({ candidates }) => candidates.count > max,
    filter({ candidates }, out, base) {
      const { preRank, count } = candidates;
      const kept = topIndexes({ values: preRank, count, k: max }, best);
      out.fill(base, 0, count);
      for (let i = 0; i < kept; i++) out[best[i]] = 0;
      return undefined;
    },
  };
}
