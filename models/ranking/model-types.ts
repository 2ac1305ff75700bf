import type { ModelType, RankingDefinition } from "../definition/define.ts";

/** What rankers are compared by: the models, and one model for each head alone. */
export const comparedModels = ["mmoe", "ple", "shared-bottom", "single-task"] as const;
export type ComparedModel = (typeof comparedModels)[number];

/**
 * The same ranking by another model, its layers as wide. A shared bottom (Caruana 1997) is the
 * baseline of multi-task ranking: a mixture with a single expert, whose gate has nothing to choose.
 * PLE gets an expert of each head's own, half as many shared ones as the mixture, and two levels of
 * half its layers, so that it is as deep (models/README.md, D15).
 */
export function rankingBy(ranking: RankingDefinition, model: ModelType): RankingDefinition {
  if ((ranking.model ?? "mmoe") === model) return ranking;
  const { headExperts: _, levels: __, ...rest } = ranking;
  if (model === "shared-bottom") return { ...rest, model, experts: 1 };
  if (model === "mmoe") return { ...rest, model };
  const expertLayers = rest.expertLayers.slice(0, Math.ceil(rest.expertLayers.length / 2));
  const experts = Math.ceil(rest.experts / 2);
  return { ...rest, model, expertLayers, experts, headExperts: 1, levels: 2 };
}
