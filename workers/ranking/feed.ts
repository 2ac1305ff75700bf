import type { FeedComponents } from "./feed-components.ts";
import type { FeedContext } from "./feed-context.ts";
import type { Stage } from "./pipeline/stages.ts";

/** The product: what happens to a request for a feed, in order. */
export function feedStages(c: FeedComponents): readonly Stage<FeedContext>[] {
  return [
    { role: "queryHydrator", name: "query", components: [c.pins, c.user, c.preferredCategories] },
    { role: "source", name: "recall", components: c.routes },
    { role: "hydrator", name: "attributes", components: [c.itemAttributes] },
    {
      role: "filter",
      name: "filters",
      components: [c.eligibility, c.excluded, c.category, c.seen],
    },
    { role: "filter", name: "pre-rank", components: [c.rankedMax] },
    { role: "hydrator", name: "prefetch", components: [c.detailsPrefetch] },
    { role: "hydrator", name: "windows", components: [c.windows] },
    { role: "hydrator", name: "features", components: [c.features] },
    { role: "scorer", name: "model", components: [c.model] },
    { role: "scorer", name: "value", components: [c.value] },
    { role: "selector", name: "slate", components: [c.slate] },
    {
      role: "sideEffect",
      name: "side-effects",
      components: [c.servedRecord, c.seenRecord, c.detailsFetch],
    },
  ];
}

/** The given items, ranked for the user. */
export function rankStages(c: FeedComponents): readonly Stage<FeedContext>[] {
  return [
    { role: "queryHydrator", name: "query", components: [c.pins, c.user, c.preferredCategories] },
    { role: "source", name: "recall", components: [c.given] },
    { role: "hydrator", name: "attributes", components: [c.itemAttributes] },
    { role: "filter", name: "filters", components: [c.givenEligibility] },
    { role: "hydrator", name: "prefetch", components: [c.detailsPrefetch] },
    { role: "hydrator", name: "windows", components: [c.windows] },
    { role: "hydrator", name: "features", components: [c.givenFeatures] },
    { role: "scorer", name: "model", components: [c.model] },
    { role: "scorer", name: "value", components: [c.value] },
    { role: "selector", name: "slate", components: [c.slate] },
    { role: "sideEffect", name: "side-effects", components: [c.servedRecord, c.detailsFetch] },
  ];
}

/** Items like a given one, by the routes that start from an item. */
export function similarStages(c: FeedComponents): readonly Stage<FeedContext>[] {
  return [
    { role: "queryHydrator", name: "query", components: [c.pins, c.givenAsRecent] },
    { role: "source", name: "recall", components: c.similarRoutes },
    { role: "hydrator", name: "attributes", components: [c.itemAttributes] },
    { role: "filter", name: "filters", components: [c.listEligibility, c.notGiven] },
    { role: "filter", name: "pre-rank", components: [c.rankedMax] },
    { role: "scorer", name: "value", components: [c.preRank] },
    { role: "selector", name: "slate", components: [c.slate] },
    { role: "sideEffect", name: "side-effects", components: [c.detailsFetch] },
  ];
}

/** What many take to at the moment, everywhere or in one category. */
export function popularStages(c: FeedComponents): readonly Stage<FeedContext>[] {
  return [
    { role: "queryHydrator", name: "query", components: [c.pins, c.preferredCategories] },
    { role: "source", name: "recall", components: c.popularRoutes },
    { role: "hydrator", name: "attributes", components: [c.itemAttributes] },
    { role: "filter", name: "filters", components: [c.listEligibility, c.category] },
    { role: "filter", name: "pre-rank", components: [c.rankedMax] },
    { role: "scorer", name: "value", components: [c.preRank] },
    { role: "selector", name: "slate", components: [c.slate] },
    { role: "sideEffect", name: "side-effects", components: [c.detailsFetch] },
  ];
}
