import {
  featuresOf,
  type HeadDefinition,
  type RecommenderDefinition,
  type WindowFeature,
} from "../definition/define.ts";
import { featureCatalog } from "../features/catalog.ts";

/** Where a ranker starts from, before it has seen a sample. */
export interface RankerStart {
  /** What each raw input is where nothing is known: the first means of the normaliser. */
  readonly userMeans: readonly number[];
  readonly itemMeans: readonly number[];
  /** What each head predicts where nothing is known; null where the definition is silent. */
  readonly rates: readonly (number | null)[];
  /** First weights of the linear skips, all others are 0. */
  readonly skips: readonly { head: number; itemInput: number; weight: number }[];
}

/**
 * Weight of a smoothed rate of the whole life, as a logit: the item's, and the user's with it. Both
 * are drawn to what is usual as long as little is known, so they count in full.
 */
const rateWeights = { item: 1, userCategory: 1 } as const;
/**
 * Where the user's rate is smoothed towards the category's, what counts is how far it is from it:
 * the category's own rate is in the item's.
 */
const categoryWeight = -rateWeights.userCategory;
/**
 * What says that a candidate is near to what the user took to of late: its weight, and what it is
 * in the middle, so that a near candidate counts as better and a far one as worse than the rate.
 */
const nearness: Readonly<Record<string, { weight: number; middle: number }>> = {
  "item.itemToItemScore": { weight: 0.2, middle: 0.3 },
  "item.vectorScore": { weight: 0.1, middle: 0.8 },
  "item.recent50.categoryShare": { weight: 0.5, middle: 0.2 },
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
    itemMeans: catalog.item.map(({ name, missing }) => nearness[name]?.middle ?? missing),
    rates: definition.heads.map((head) => priorRateOf(definition, head)),
    skips,
  };
}

function skipsOf(
  definition: RecommenderDefinition,
  { interaction }: HeadDefinition,
  itemNames: readonly string[],
  head: number,
) {
  const weights: Record<string, number> = {};
  let isLift = false;
  for (const [name, { weight }] of Object.entries(nearness)) weights[name] = weight;
  for (const scope of ["item", "userCategory"] as const) {
    for (const feature of featuresOf(definition, scope)) {
      const isOwn = feature.kind === "rateLogit" && feature.interaction === interaction;
      if (!isOwn || feature.window !== "total") continue;
      weights[feature.name] = rateWeights[scope];
      if (scope === "userCategory" && feature.prior?.towards === "category") isLift = true;
    }
  }
  for (const feature of isLift ? featuresOf(definition, "category") : []) {
    const isOwn = feature.kind === "rateLogit" && feature.interaction === interaction;
    if (isOwn && feature.window === "total") weights[feature.name] = categoryWeight;
  }
  return Object.entries(weights)
    .map(([name, weight]) => ({ head, itemInput: itemNames.indexOf(name), weight }))
    .filter(({ itemInput }) => itemInput >= 0);
}

/** The prior rate of the head's interaction, as the definition smooths an item's own rate with. */
function priorRateOf(definition: RecommenderDefinition, head: HeadDefinition): number | null {
  if (head.kind !== "binary" || head.given !== undefined) return null;
  const isOwn = (feature: WindowFeature) =>
    feature.kind === "rateLogit" && feature.interaction === head.interaction;
  return featuresOf(definition, "item").find(isOwn)?.prior?.rate ?? null;
}
