import type { RecommenderDefinition } from "../../../models/definition/define.ts";
import { rowCells } from "../../../models/features/catalog.ts";
import type { FeedContext } from "../feed-context.ts";
import type { Hydrator } from "../pipeline/stages.ts";
import type { RankingState } from "../state.ts";

/**
 * Raw window counters and aggregates as of the request's time: of each candidate, and once for
 * each distinct category of the candidates, alone and with the user.
 */
export function windowsHydrator(
  state: RankingState,
  definition: RecommenderDefinition,
): Hydrator<FeedContext> {
  const cells = rowCells(definition);
  return {
    name: "windows",
    hydrate({ candidates, attributes, ranked, aggregates, user, nowMs }) {
      const { rows, count } = candidates;
      ranked.reserveOffsets(state.windows.item.partials);
      const items = { out: ranked.itemCounts, offsets: ranked.itemOffsets };
      state.windows.item.read(rows, count, nowMs, items);
      aggregates.item.readRows(state.aggregates.item, { rows, count }, nowMs);
      const { distinct } = ranked;
      distinct.find(attributes.categories, count);
      ranked.reserveCategories(distinct.distinct, cells, state.windows.category.partials);
      const categories = { out: ranked.categoryCounts, offsets: ranked.categoryOffsets };
      state.windows.category.read(distinct.rows, distinct.distinct, nowMs, categories);
      const ofCategories = { rows: distinct.rows, count: distinct.distinct };
      aggregates.category.readRows(state.aggregates.category, ofCategories, nowMs);
      const ofUser = { userRow: user.row, categories: distinct.rows, count: distinct.distinct };
      const pairs = { out: ranked.pairCounts, offsets: ranked.pairOffsets };
      state.windows.userCategory.read(ofUser, nowMs, pairs);
      aggregates.userCategory.readPairs(state.aggregates.userCategory, ofUser, nowMs);
      return undefined;
    },
  };
}
