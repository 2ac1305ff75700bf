import type { FeatureEncoder } from "../../../models/features/encoder.ts";
import type { FeedContext } from "../feed-context.ts";
import type { Hydrator } from "../pipeline/stages.ts";

/** Bits of the sources whose scores are features; -1 where this kind of request has none. */
export interface ScoredRoutes {
  readonly itemToItem: number;
  readonly vector: number;
}

/** Turns what was read into model inputs. */
export function featuresHydrator(
  encoder: FeatureEncoder,
  routes: ScoredRoutes,
): Hydrator<FeedContext> {
  return {
    name: "features",
    hydrate(context) {
      if (context.degraded.includes("windows")) return undefined;
      const { user, ranked, nowMs } = context;
      const { counts, recent, recentCount, recentAttributes: recentItems } = user;
      const inputs = { asOfMs: nowMs, counts, recent, recentCount, recentItems };
      encoder.encodeUser(inputs, ranked.userDense);
      encoder.encodeItems(candidateInputs(context, routes), nowMs, ranked.itemDense);
      ranked.encoded = true;
      return undefined;
    },
  };
}

function candidateInputs({ candidates, attributes, ranked }: FeedContext, routes: ScoredRoutes) {
  return {
    count: candidates.count,
    itemCounts: ranked.itemCounts,
    items: attributes,
    distinct: ranked.distinct.distinct,
    distinctRows: ranked.distinct.rows,
    categoryCounts: ranked.categoryCounts,
    pairCounts: ranked.pairCounts,
    slots: ranked.distinct.slots,
    itemToItem: candidates.scores[routes.itemToItem] ?? ranked.noScores,
    vector: candidates.scores[routes.vector] ?? ranked.noScores,
  };
}
