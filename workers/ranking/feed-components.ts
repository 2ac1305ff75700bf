import { assert } from "../../models/core/assert.ts";
import type { Clock } from "../../models/core/clock.ts";
import type { Random } from "../../models/core/random.ts";
import type { RecommenderDefinition, RouteName } from "../../models/definition/define.ts";
import type { FeatureEncoder } from "../../models/features/encoder.ts";
import { limits } from "../../models/limits.ts";
import type { SlateRules } from "../../models/ranking/slate-rules.ts";
import { ValueModel } from "../../models/ranking/value-model.ts";
import type { DetailsCache } from "./details-cache.ts";
import { categoryFilter } from "./filters/category-filter.ts";
import { eligibilityFilter } from "./filters/eligibility-filter.ts";
import { excludedFilter } from "./filters/excluded-filter.ts";
import { notGivenFilter } from "./filters/not-given-filter.ts";
import { rankedMaxFilter } from "./filters/ranked-max-filter.ts";
import { seenFilter } from "./filters/seen-filter.ts";
import { detailsPrefetch } from "./hydrators/details-prefetch.ts";
import { featuresHydrator } from "./hydrators/features-hydrator.ts";
import { itemAttributesHydrator } from "./hydrators/item-attributes-hydrator.ts";
import { windowsHydrator } from "./hydrators/windows-hydrator.ts";
import { givenAsRecentHydrator } from "./query-hydrators/given-as-recent-hydrator.ts";
import { pinsHydrator } from "./query-hydrators/pins-hydrator.ts";
import { preferredCategoriesHydrator } from "./query-hydrators/preferred-categories-hydrator.ts";
import { userHydrator } from "./query-hydrators/user-hydrator.ts";
import { modelScorer } from "./scorers/model-scorer.ts";
import { preRankScorer, valueScorer } from "./scorers/value-scorer.ts";
import { slateSelector } from "./selectors/slate-selector.ts";
import { detailsFetch } from "./side-effects/details-fetch.ts";
import { seenRecord } from "./side-effects/seen-record.ts";
import { servedRecord } from "./side-effects/served-record.ts";
import { givenItems } from "./sources/given-items.ts";
import type { RecallSource } from "./sources/query.ts";
import { recallRoute } from "./sources/recall-route.ts";
import type { Generations, Metrics, RankingState, ScoringRanker, ServedLog } from "./state.ts";

/** Everything that the components are made from. */
export interface FeedParts {
  readonly definition: RecommenderDefinition;
  readonly state: RankingState;
  readonly encoder: FeatureEncoder;
  readonly ranker: ScoringRanker;
  readonly routes: readonly RecallSource[];
  readonly generations: Generations;
  readonly log: ServedLog;
  readonly servedWriter: number;
  /** Answer only once readers can see the served record (virtual time). */
  readonly waitsForServed: boolean;
  readonly details: DetailsCache;
  /** Fetch documents of the front of the pre-rank while the model runs. */
  readonly prefetches: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly rules: SlateRules;
  readonly metrics: Metrics;
}

export type FeedComponents = ReturnType<typeof feedComponents>;

/** Routes that know an item by what users did with it; it needs no document to be found. */
const idRoutes: readonly RouteName[] = ["itemToItem", "vector", "trending"];
const allSources = 0xffff_ffff;

function routesNamed(parts: FeedParts, names: readonly RouteName[]) {
  const { definition, routes } = parts;
  return definition.routes
    .filter(({ name }) => names.includes(name))
    .map(({ name, quota }) => {
      const route = routes.find((one) => one.name === name);
      // A missing route would shift the bits of those behind it.
      assert(route !== undefined, `no source for the route ${name}`);
      return recallRoute(route, quota);
    });
}

function bit(definition: RecommenderDefinition, name: RouteName): number {
  return definition.routes.findIndex((route) => route.name === name);
}

function eligibilities(definition: RecommenderDefinition) {
  const bits = idRoutes.map((name) => bit(definition, name)).filter((one) => one >= 0);
  return {
    eligibility: eligibilityFilter(bits.reduce((mask, one) => mask | (1 << one), 0)),
    /** A client that names an item knows it; a list made of interactions likewise. */
    givenEligibility: eligibilityFilter(allSources),
    listEligibility: eligibilityFilter(allSources),
  };
}

function hydrators({ definition, state, encoder, details, prefetches }: FeedParts) {
  const scored = {
    itemToItem: bit(definition, "itemToItem"),
    vector: bit(definition, "vector"),
  };
  return {
    itemAttributes: itemAttributesHydrator(state),
    windows: windowsHydrator(state, definition),
    features: featuresHydrator(encoder, scored),
    givenFeatures: featuresHydrator(encoder, { itemToItem: -1, vector: -1 }),
    detailsPrefetch: detailsPrefetch(details, prefetches),
  };
}

/** One of each component of the product, for one thread. */
export function feedComponents(parts: FeedParts) {
  const { definition, state, clock, metrics, log } = parts;
  const every = definition.routes.map(({ name }) => name);
  return {
    pins: pinsHydrator({ slots: state.slots, generations: parts.generations }),
    user: userHydrator(state),
    preferredCategories: preferredCategoriesHydrator(state, definition),
    givenAsRecent: givenAsRecentHydrator(state.items, definition),
    routes: routesNamed(parts, every),
    similarRoutes: routesNamed(parts, ["itemToItem", "vector"]),
    popularRoutes: routesNamed(parts, ["trending", "categoryTrending"]),
    given: givenItems(state.items),
    ...hydrators(parts),
    ...eligibilities(definition),
    excluded: excludedFilter(state.items),
    seen: seenFilter(state.seen),
    category: categoryFilter(),
    notGiven: notGivenFilter(state.items),
    rankedMax: rankedMaxFilter(definition.rankedMax),
    model: modelScorer(state, parts.ranker),
    value: valueScorer(new ValueModel(definition)),
    preRank: preRankScorer(),
    slate: slateSelector(parts.random, parts.rules),
    servedRecord: servedRecord({
      ...{ log, clock, metrics },
      ...{ writer: parts.servedWriter, partitions: state.windows.item.partials },
      waits: parts.waitsForServed,
    }),
    seenRecord: seenRecord(state.seen),
    detailsFetch: detailsFetch(parts.details),
  };
}

/**
 * Most candidates of source s, whichever kind of request it belongs to: the definition's routes,
 * and the given items in the place of the first.
 */
export function sourceQuotas(definition: RecommenderDefinition): number[] {
  const largest = Math.max(...definition.routes.map(({ quota }) => quota));
  const quotas = definition.routes.map(() => largest);
  quotas[0] = Math.max(largest, limits.rankItemsMax);
  return quotas;
}
