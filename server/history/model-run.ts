import type { RecommenderDefinition } from "../../models/definition/define.ts";
import type { JudgedHead } from "../../models/evaluation/head-report.ts";
import { type ComparedModel, rankingBy } from "../../models/ranking/model-types.ts";
import { judgedHeads, type RankingData, type TrainOptions, trainRanking } from "./ranking-run.ts";

/**
 * Trains a model on the data and predicts the held rows: the definition's own, or the same with
 * another model. `single-task` trains a model with one trunk for each head alone (the loss of all
 * others weighs nothing) and takes from each the head that it was trained for.
 */
export function judgedModel(
  data: RankingData,
  options: TrainOptions & { readonly model?: ComparedModel },
): JudgedHead[] {
  const { definition, model } = options;
  if (model === undefined) return judgedHeads(data, trainRanking(data, options));
  if (model !== "single-task") {
    const ranking = rankingBy(definition.ranking, model);
    const own = { ...options, definition: { ...definition, ranking } };
    return judgedHeads(data, trainRanking(data, own));
  }
  return definition.heads.flatMap((_, h) => {
    const own = { ...options, definition: singleTask(definition, h) };
    return judgedHeads(data, trainRanking(data, own)).slice(h, h + 1);
  });
}

/** The definition with one trunk, trained on head `h` alone. */
export function singleTask(definition: RecommenderDefinition, h: number): RecommenderDefinition {
  const lossWeights = Object.fromEntries(definition.heads.map(({ name }, i) => [name, +(i === h)]));
  const ranking = { ...rankingBy(definition.ranking, "shared-bottom"), lossWeights };
  return { ...definition, ranking };
}
