import { RecError } from "../core/errors.ts";
import type {
  HeadDefinition,
  RankingDefinition,
  RecommenderDefinition,
} from "../definition/define.ts";
import { featureCatalog } from "../features/catalog.ts";
import { coldStartOf } from "./cold-start.ts";
import type { RankerShape } from "./layout.ts";

/** The shape of a definition's ranker: widths from its feature catalogue, and where it starts. */
export function rankerShapeOf(definition: RecommenderDefinition): RankerShape {
  const { userWidth, itemWidth } = featureCatalog(definition);
  const start = coldStartOf(definition);
  const { lossWeights: _, ...ranking } = definition.ranking;
  return { userWidth, itemWidth, start, heads: definition.heads, ...ranking };
}

/**
 * How a definition weighs its heads' losses, as a trainer takes it: learned, or a number for each
 * head in their order. Throws REC_RANKER_SHAPE for a name that is no head, a head without a weight,
 * and a weight that is negative or not finite.
 */
export function lossWeightsOf(
  heads: readonly HeadDefinition[],
  lossWeights: RankingDefinition["lossWeights"],
): "uncertainty" | number[] {
  if (lossWeights === undefined || lossWeights === "uncertainty") return "uncertainty";
  const refuse = (message: string): never => {
    throw new RecError("REC_RANKER_SHAPE", message, { path: "ranking.lossWeights" });
  };
  const unknown = Object.keys(lossWeights).find((name) => !heads.some((h) => h.name === name));
  if (unknown !== undefined) refuse(`"${unknown}" is not a head`);
  return heads.map(({ name }) => {
    const weight = lossWeights[name] ?? refuse(`head "${name}" has no weight`);
    return weight >= 0 && Number.isFinite(weight) ? weight : refuse(`"${name}": ${weight}`);
  });
}
