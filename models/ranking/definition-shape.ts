import type { RecommenderDefinition } from "../definition/define.ts";
import { featureCatalog } from "../features/catalog.ts";
import { coldStartOf } from "./cold-start.ts";
import type { RankerShape } from "./layout.ts";

/** The shape of a definition's ranker: widths from its feature catalogue, and where it starts. */
export function rankerShapeOf(definition: RecommenderDefinition): RankerShape {
  const { userWidth, itemWidth } = featureCatalog(definition);
  const start = coldStartOf(definition);
  return { userWidth, itemWidth, start, heads: definition.heads, ...definition.ranking };
}
