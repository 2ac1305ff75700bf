import type { RecommenderDefinition } from "../definition/define.ts";
import { featureCatalog } from "../features/catalog.ts";
import type { RankerShape } from "./layout.ts";

/** The shape of a definition's ranker: widths from its feature catalogue. */
export function rankerShapeOf(definition: RecommenderDefinition): RankerShape {
  const { userWidth, itemWidth } = featureCatalog(definition);
  return { userWidth, itemWidth, heads: definition.heads, ...definition.ranking };
}
