import type { RecommenderDefinition } from "../../../models/definition/define.ts";
import { InteractionWeights } from "../../../models/recall/interaction-weights.ts";
import { CategoryTrendingSource } from "./category-trending.ts";
import { FreshSource } from "./fresh.ts";
import { ItemToItemSource } from "./item-to-item.ts";
import type { ListTable } from "./list-table.ts";
import type { RecallSource } from "./query.ts";
import { TrendingSource } from "./trending.ts";
import { VectorSource } from "./vector.ts";

/** One of each route, for one thread. */
export function recallSources(
  { interactions }: RecommenderDefinition,
  lists: { readonly trending: ListTable; readonly fresh: ListTable },
): RecallSource[] {
  const weights = new InteractionWeights(interactions);
  return [
    new ItemToItemSource(weights),
    new VectorSource(weights),
    new TrendingSource(lists.trending),
    new CategoryTrendingSource(lists.trending),
    new FreshSource(lists.fresh),
  ];
}
