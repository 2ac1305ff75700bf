import type { HeadDefinition, RecommenderDefinition } from "../definition/define.ts";
import { featureCatalog, featuresOf } from "../features/catalog.ts";

/** Where a ranker starts from, before it has seen a sample. */
export interface RankerStart {
  /** What each raw input is where nothing is known: the first means of the normaliser. */
  readonly userMeans: readonly number[];
  readonly itemMeans: readonly number[];
  /** First weights of the linear skips, all others are 0. */
  readonly skips: readonly { head: number; itemInput: number; weight: number }[];
}

/** Weight of a smoothed rate of the whole life, as a logit: what the item did, what the user does. */
const rateWeights = { item: 1, userCategory: 0.7 } as const;
/** What says that a candidate is near to what the user took to of late. */
const nearness: Readonly<Record<string, number>> = {
  "item.itemToItemScore": 0.5,
  "item.vectorScore": 0.6,
  "item.recent50.categoryShare": 0.7,
};

/**
 * A ranker that orders well before it has learned: each binary head starts as a linear model of the
 * smoothed rates of its own interaction and of nearness to the recent items, which training then
 * corrects like any other weight. Fresh random towers say nothing (their outputs start at 0), so
 * they cannot scramble what recall found (the zero start of residual branches: Goyal et al. 2017,
 * Zhang et al. 2019).
 */
export function coldStartOf(definition: RecommenderDefinition): RankerStart {
  const catalog = featureCatalog(definition);
  const skips = definition.heads.flatMap((head, h) =>
    head.kind === "binary" ? skipsOf(definition, head, catalog.itemNames, h) : [],
  );
  return {
    userMeans: catalog.user.map(({ missing }) => missing),
    itemMeans: catalog.item.map(({ missing }) => missing),
    skips,
  };
}

function skipsOf(
  definition: RecommenderDefinition,
  { interaction }: HeadDefinition,
  itemNames: readonly string[],
  head: number,
) {
  const weights = { ...nearness };
  for (const scope of ["item", "userCategory"] as const) {
    for (const feature of featuresOf(definition, scope)) {
      const isOwn = feature.kind === "rateLogit" && feature.interaction === interaction;
      if (isOwn && feature.window === "total") weights[feature.name] = rateWeights[scope];
    }
  }
  return Object.entries(weights)
    .map(([name, weight]) => ({ head, itemInput: itemNames.indexOf(name), weight }))
    .filter(({ itemInput }) => itemInput >= 0);
}
