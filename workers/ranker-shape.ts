import type { RecommenderDefinition } from "../models/definition/define.ts";
import { featureCatalog } from "../models/features/catalog.ts";
import type { RankerShape } from "../models/ranking/ranker.ts";

/** The ranker that a definition describes. */
export function rankerShape(definition: RecommenderDefinition): RankerShape {
  const { userWidth, itemWidth } = featureCatalog(definition);
  return { userWidth, itemWidth, heads: definition.heads, ...definition.ranking };
}
