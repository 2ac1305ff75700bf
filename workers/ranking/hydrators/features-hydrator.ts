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
      const { ranked, nowMs } = context;
      encoder.encodeUser(userInputs(context), ranked.userDense);
      encoder.encodeItems(candidateInputs(context, routes), nowMs, ranked.itemDense);
      ranked.encoded = true;
      return undefined;
    },
  };
}

function userInputs({ user, aggregates, nowMs }: FeedContext) {
  const { counts, globalCounts, recent, recentCount, recentAttributes: recentItems } = user;
  const ofUser = { counts, aggregates: aggregates.user.values };
  const ofAll = { globalCounts, globalAggregates: aggregates.global.values };
  return { asOfMs: nowMs, ...ofUser, ...ofAll, recent, recentCount, recentItems };
}

function candidateInputs(context: FeedContext, routes: ScoredRoutes) {
  const { candidates, attributes, ranked, aggregates } = context;
  return {
    count: candidates.count,
    itemCounts: ranked.itemCounts,
    itemAggregates: aggregates.item.values,
    items: attributes,
    distinct: ranked.distinct.distinct,
    distinctRows: ranked.distinct.rows,
    categoryCounts: ranked.categoryCounts,
    categoryAggregates: aggregates.category.values,
    pairCounts: ranked.pairCounts,
    pairAggregates: aggregates.userCategory.values,
    slots: ranked.distinct.slots,
    itemToItem: candidates.scores[routes.itemToItem] ?? ranked.noScores,
    vector: candidates.scores[routes.vector] ?? ranked.noScores,
  };
}
