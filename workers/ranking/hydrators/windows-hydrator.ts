import type { RecommenderDefinition } from "../../../models/definition/define.ts";
import { rowCells } from "../../../models/features/catalog.ts";
import type { FeedContext } from "../feed-context.ts";
import type { Hydrator } from "../pipeline/stages.ts";
import type { RankingState } from "../state.ts";

/**
 * Raw window counters as of the request's time: of each candidate, and once for each distinct
 * category of the candidates, alone and with the user.
 */
export function windowsHydrator(
  state: RankingState,
  definition: RecommenderDefinition,
): Hydrator<FeedContext> {
  const cells = rowCells(definition);
  return {
    name: "windows",
    hydrate({ candidates, attributes, ranked, user, nowMs }) {
      const { rows, count } = candidates;
      const items = { out: ranked.itemCounts, offsets: ranked.itemOffsets };
      state.windows.item.read(rows, count, nowMs, items);
      const { distinct } = ranked;
      distinct.find(attributes.categories, count);
      ranked.reserveCategories(distinct.distinct, cells);
      const { pairRows } = ranked;
      const categories = { out: ranked.categoryCounts, offsets: ranked.categoryOffsets };
      state.windows.category.read(distinct.rows, distinct.distinct, nowMs, categories);
      if (user.row < 0) pairRows.fill(-1, 0, distinct.distinct);
      else state.userCategoryPairs.findPairs(user.row, distinct.rows, distinct.distinct, pairRows);
      const pairs = { out: ranked.pairCounts, offsets: ranked.pairOffsets };
      state.windows.userCategory.read(pairRows, distinct.distinct, nowMs, pairs);
      return undefined;
    },
  };
}
