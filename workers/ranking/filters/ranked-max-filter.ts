import { limits } from "../../../models/limits.ts";
import type { FeedContext } from "../feed-context.ts";
import type { Filter } from "../pipeline/stages.ts";
import { selectTop } from "../selectors/top-indexes.ts";

/** Keeps the `max` best of the pre-rank: the model's cost is per candidate. */
export function rankedMaxFilter(max: number): Filter<FeedContext> {
  const order = new Int32Array(limits.candidatesMax);
  return {
    name: "ranked-max",
    reasons: ["preRank"],
    failsClosed: true,
    applies: ({ candidates }) => candidates.count > max,
    filter({ candidates }, out, base) {
      const { preRank, count } = candidates;
      for (let i = 0; i < count; i++) order[i] = i;
      selectTop({ values: preRank, count, k: max }, order);
      for (let i = max; i < count; i++) out[order[i]] = base;
      return undefined;
    },
  };
}
