import type { Aggregate } from "../../native/index.ts";
import { assert } from "../core/assert.ts";
import {
  type DistinctOf,
  featuresOf,
  type RecommenderDefinition,
  type ScopeName,
  type WindowFeature,
} from "../definition/define.ts";
import { limits } from "../limits.ts";

/** What the values of an aggregate's updates are: an amount, or the row of one of these. */
export const aggregateSource = { amount: 0, user: 1, item: 2, category: 3 } as const;

/** What differs between the facts of one row; an item's categories hardly change. */
const distinctOf: Readonly<Record<ScopeName, readonly DistinctOf[]>> = {
  user: ["item", "category"],
  item: ["user"],
  category: ["user", "item"],
  userCategory: ["item"],
  global: ["user", "item", "category"],
};

/** The aggregates that the features of a scope ask for, each once; empty where there are none. */
export function aggregatesOf(definition: RecommenderDefinition, scope: ScopeName): Aggregate[] {
  return [...byKey(definition, scope).values()];
}

/** Feature of the scope -> column in a row of its aggregates; undefined where counters make it. */
export function aggregateColumns(
  definition: RecommenderDefinition,
  scope: ScopeName,
): readonly (number | undefined)[] {
  const keys = [...byKey(definition, scope).keys()];
  return featuresOf(definition, scope).map((feature) => {
    const aggregate = aggregateOf(definition, feature);
    return aggregate === null ? undefined : keys.indexOf(JSON.stringify(aggregate));
  });
}

/**
 * By counter, the sources of values that the aggregates of a scope take: bit s for source s. A fact
 * makes one update for each.
 */
export function wantedSources(definition: RecommenderDefinition, scope: ScopeName): Uint8Array {
  const wanted = new Uint8Array(definition.interactions.length);
  for (const { counter, source } of aggregatesOf(definition, scope))
    wanted[counter]! |= 1 << source;
  return wanted;
}

/** Updates that one item of a slate makes at most, over all tables; `counter`: impressions. */
export function updatesPerItem(definition: RecommenderDefinition, counter: number): number {
  const asked = (scope: ScopeName) => {
    const mask = wantedSources(definition, scope)[counter] ?? 0;
    return Object.values(aggregateSource).filter((source) => ((mask >> source) & 1) === 1).length;
  };
  const categories = limits.itemCategoriesMax;
  const ofCategories = categories * (2 + asked("category") + asked("userCategory"));
  // An owner meets the item and its categories.
  const ofOwners = (1 + categories) * (Math.sign(asked("user")) + Math.sign(asked("global")));
  return 1 + asked("item") + ofCategories + ofOwners;
}

function byKey(definition: RecommenderDefinition, scope: ScopeName): Map<string, Aggregate> {
  const found = new Map<string, Aggregate>();
  for (const feature of featuresOf(definition, scope)) {
    const aggregate = aggregateOf(definition, feature);
    if (aggregate !== null) found.set(JSON.stringify(aggregate), aggregate);
  }
  return found;
}

/** What a feature is made from; null: from counters. */
function aggregateOf(definition: RecommenderDefinition, feature: WindowFeature): Aggregate | null {
  const { kind, name, interaction, scope, halfLifeMs = 0 } = feature;
  const counter = definition.interactions.findIndex((one) => one.name === interaction);
  const amount = { counter, source: aggregateSource.amount };
  if (kind === "logDecayed") {
    assert(halfLifeMs > 0, `${name}: a decayed count needs halfLifeMs`);
    assert(feature.window === "total", `${name}: a decayed count has no window but total`);
    return { ...amount, kind: "decayed", halfLifeMs };
  }
  const window = definition.windows.find((one) => one.name === feature.window);
  const panes = window === undefined ? null : { paneMs: window.paneMs, panes: window.panes };
  if (kind === "maxValue") {
    const seconds = definition.interactions[counter]?.value === "seconds";
    assert(seconds, `${name}: only interactions in seconds have a largest value`);
    return { ...amount, kind: "max", window: panes };
  }
  if (kind !== "logDistinct") return null;
  const { of } = feature;
  const fits = of !== undefined && distinctOf[scope].includes(of);
  assert(fits, `${name}: ${scope} counts distinct ${distinctOf[scope].join(" or ")}`);
  return { counter, source: aggregateSource[of], kind: "distinct", window: panes };
}
