import { assert } from "../core/assert.ts";
import {
  type FeatureKind,
  featuresOf,
  type RecommenderDefinition,
  type ScopeName,
  type WindowFeature,
} from "../definition/define.ts";
import { aggregateColumns, aggregatesOf } from "./aggregates.ts";

/** One dense input: where it comes from and what it is when nothing is known. */
export interface CatalogEntry {
  readonly name: string;
  readonly scope: ScopeName | "context" | "document" | "recent" | "route";
  /** A window of the definition, `total`, or none. */
  readonly window: string | null;
  readonly kind: FeatureKind | "number" | "share" | "flag";
  /** The value at zero counts, or where the source is missing. */
  readonly missing: number;
}

export interface FeatureCatalog {
  readonly userWidth: number;
  readonly itemWidth: number;
  readonly userNames: readonly string[];
  readonly itemNames: readonly string[];
  readonly user: readonly CatalogEntry[];
  readonly item: readonly CatalogEntry[];
}

/** Window features of one scope as flat columns; made once, read in hot loops. */
export interface ScopePlan {
  readonly size: number;
  /** Aggregates of a raw row. */
  readonly aggregates: number;
  /** `kindCode` of each. */
  readonly kinds: Uint8Array;
  /**
   * Cell of the counted interaction, and of the impressions of the same window, in a raw row; of
   * the kinds that are made from no counter, the aggregate's column.
   */
  readonly cells: Uint16Array;
  readonly impressionCells: Uint16Array;
  /** rateLogit: prior weight x rate, and prior weight x (1 - rate). */
  readonly priorHits: Float64Array;
  readonly priorMisses: Float64Array;
  /** Aggregates: what their value is divided by, so that seconds are seconds. */
  readonly scales: Float64Array;
  /** Rates that are smoothed towards their category's. */
  readonly towardsCategory: readonly CategoryPrior[];
}

/** A rate feature whose prior is the category's rate; cells are of a raw category row. */
export interface CategoryPrior {
  /** Index of the feature in its scope. */
  readonly feature: number;
  readonly rate: number;
  readonly weight: number;
  readonly hitCell: number;
  readonly shownCell: number;
}

export const kindCode = {
  ...{ logCount: 0, rateLogit: 1, meanValue: 2, maxValue: 3, logDistinct: 4, logDecayed: 5 },
} as const;

/** Prior of a rate that names none. */
const defaultPrior = { rate: 0.1, weight: 10 };

/** A mean over impressions is drawn to zero by so many impressions of nothing. */
export const meanPriorWeight = 2;

/** Watch seconds are counted in 1/64 s, so that counters are whole numbers. */
export const secondsScale = 64;

const userExtras = ["hourSin", "hourCos", "recent10.clickShare", "recent50.clickShare", "logGap"];
const itemExtras = [
  "logAgeHours",
  "ageKnown",
  "logDuration",
  "durationKnown",
  "recent50.categoryShare",
  "recent10.categoryShare",
  "recent50.authorShare",
  "itemToItemScore",
  "vectorScore",
];
export const userExtraCount = userExtras.length;
export const itemExtraCount = itemExtras.length;

/** Cells of a raw counter row: [window][counter], the last window is the total. */
export function rowCells(definition: RecommenderDefinition): number {
  return (definition.windows.length + 1) * definition.interactions.length;
}

/** Index of an interaction, -1 where the definition has none of that name. */
export function interactionIndex(definition: RecommenderDefinition, name: string): number {
  return definition.interactions.findIndex((interaction) => interaction.name === name);
}

/** The interaction that says an item was shown: the denominator of every rate. */
export function impressionIndex(definition: RecommenderDefinition): number {
  return interactionIndex(definition, "impression");
}

function windowStart(definition: RecommenderDefinition, feature: WindowFeature): number {
  const found = definition.windows.findIndex((window) => window.name === feature.window);
  assert(found >= 0 || feature.window === "total", `${feature.name}: no window ${feature.window}`);
  return (found < 0 ? definition.windows.length : found) * definition.interactions.length;
}

export function scopePlan(definition: RecommenderDefinition, scope: ScopeName): ScopePlan {
  const features = featuresOf(definition, scope);
  const columns = aggregateColumns(definition, scope);
  const impression = impressionIndex(definition);
  const plan: ScopePlan = {
    size: features.length,
    aggregates: aggregatesOf(definition, scope).length,
    kinds: new Uint8Array(features.length),
    cells: new Uint16Array(features.length),
    impressionCells: new Uint16Array(features.length),
    priorHits: new Float64Array(features.length),
    priorMisses: new Float64Array(features.length),
    scales: new Float64Array(features.length).fill(1),
    towardsCategory: categoryPriors(definition, features),
  };
  features.forEach((feature, i) => {
    const start = windowStart(definition, feature);
    const counter = interactionIndex(definition, feature.interaction);
    assert(counter >= 0, `${feature.name}: no interaction ${feature.interaction}`);
    const prior = feature.prior ?? defaultPrior;
    plan.kinds[i] = kindCode[feature.kind];
    plan.cells[i] = columns[i] ?? start + counter;
    const { value } = definition.interactions[counter]!;
    if (value === "seconds" && feature.kind !== "logDistinct") plan.scales[i] = secondsScale;
    // Without an impression counter the hits are their own denominator.
    plan.impressionCells[i] = start + (impression < 0 ? counter : impression);
    plan.priorHits[i] = prior.weight * prior.rate;
    plan.priorMisses[i] = prior.weight * (1 - prior.rate);
  });
  return plan;
}

function categoryPriors(
  definition: RecommenderDefinition,
  features: readonly WindowFeature[],
): CategoryPrior[] {
  const total = definition.windows.length * definition.interactions.length;
  const impression = impressionIndex(definition);
  return features.flatMap(({ name, scope, interaction, prior, kind }, feature) => {
    if (prior?.towards === undefined) return [];
    const fits = kind === "rateLogit" && (scope === "item" || scope === "userCategory");
    assert(fits, `${name}: only rates of items and user x category have a category`);
    assert(impression >= 0, `${name}: a category's rate needs impressions`);
    const hitCell = total + interactionIndex(definition, interaction);
    const { rate, weight } = prior;
    return [{ feature, rate, weight, hitCell, shownCell: total + impression }];
  });
}

function windowEntry(feature: WindowFeature): CatalogEntry {
  const rate = (feature.prior ?? defaultPrior).rate;
  const missing = feature.kind === "rateLogit" ? Math.log(rate / (1 - rate)) : 0;
  const { name, scope, window, kind } = feature;
  return { name, scope, window, kind, missing };
}

function extraEntry(owner: "user" | "item", name: string): CatalogEntry {
  const scope = /^recent/.test(name)
    ? "recent"
    : /Score$/.test(name)
      ? "route"
      : owner === "user"
        ? "context"
        : "document";
  const kind = /Share$/.test(name) ? "share" : /Known$/.test(name) ? "flag" : "number";
  return { name: `${owner}.${name}`, scope, window: null, kind, missing: 0 };
}

/**
 * The dense layout of a definition. userDense: user-scope window features in the definition's
 * order, the global ones, then the user extras. itemDense: item, category, user x category
 * features, then extras.
 */
export function featureCatalog(definition: RecommenderDefinition): FeatureCatalog {
  const entries = (scope: ScopeName) => featuresOf(definition, scope).map(windowEntry);
  const user = [
    ...entries("user"),
    ...entries("global"),
    ...userExtras.map((name) => extraEntry("user", name)),
  ];
  const item = [
    ...entries("item"),
    ...entries("category"),
    ...entries("userCategory"),
    ...itemExtras.map((name) => extraEntry("item", name)),
  ];
  return {
    userWidth: user.length,
    itemWidth: item.length,
    userNames: user.map((entry) => entry.name),
    itemNames: item.map((entry) => entry.name),
    user,
    item,
  };
}
