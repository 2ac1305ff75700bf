import { defineRecommender, type RatePrior, type ScopeName, type WindowFeature } from "./define.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Prior rate of each binary interaction, a feed's usual order of magnitude. */
const priors: Readonly<Record<string, number>> = {
  click: 0.1,
  like: 0.02,
  finish: 0.05,
  convert: 0.005,
};

function rate(scope: ScopeName, window: string, interaction: string): WindowFeature {
  return {
    name: `${scope}.${window}.${interaction}Rate`,
    scope,
    window,
    kind: "rateLogit",
    interaction,
    prior: priorOf(scope, window, interaction),
  };
}

/**
 * The priors are guesses; the category's rate is known after a few slates. User x category are few,
 * so all are smoothed towards it; of items, which cost a logarithm each, what orders a cold slate.
 */
function priorOf(scope: ScopeName, window: string, interaction: string): RatePrior {
  const prior = { rate: priors[interaction] ?? 0.1, weight: 10 };
  if (scope === "userCategory") return { ...prior, towards: "category" };
  const ordersCold = scope === "item" && window === "total" && interaction === "click";
  return ordersCold ? { ...prior, weight: 30, towards: "category" } : prior;
}

function count(scope: ScopeName, window: string, interaction = "impression"): WindowFeature {
  return {
    name: `${scope}.${window}.${interaction}Count`,
    scope,
    window,
    kind: "logCount",
    interaction,
  };
}

function mean(scope: ScopeName, window: string): WindowFeature {
  return {
    name: `${scope}.${window}.watchMean`,
    scope,
    window,
    kind: "meanValue",
    interaction: "watch",
  };
}

/** The default product: a video feed. */
export default defineRecommender({
  name: "video-feed",
  interactions: [
    { name: "impression", value: "none", attributionMs: 2 * MINUTE },
    { name: "click", value: "none", attributionMs: 30 * SECOND },
    { name: "like", value: "none", attributionMs: 2 * MINUTE },
    { name: "finish", value: "none", attributionMs: 2 * MINUTE },
    { name: "watch", value: "seconds", attributionMs: 2 * MINUTE },
    { name: "convert", value: "amount", attributionMs: 24 * HOUR },
  ],
  heads: [
    { name: "ctr", interaction: "click", kind: "binary" },
    { name: "like", interaction: "like", kind: "binary" },
    { name: "finish", interaction: "finish", kind: "binary" },
    {
      name: "cvr",
      interaction: "convert",
      kind: "binary",
      given: "ctr",
      // It may come hours after the item's sample has left.
      delayed: "fakeNegative",
    },
    { name: "watch", interaction: "watch", kind: "seconds" },
  ],
  windows: [
    { name: "1m", paneMs: 10 * SECOND, panes: 6 },
    { name: "10m", paneMs: MINUTE, panes: 10 },
    { name: "1h", paneMs: 5 * MINUTE, panes: 12 },
    { name: "1d", paneMs: HOUR, panes: 24 },
  ],
  features: [
    count("user", "1h"),
    count("user", "total"),
    rate("user", "10m", "click"),
    rate("user", "1h", "click"),
    rate("user", "1d", "click"),
    rate("user", "total", "click"),
    rate("user", "total", "like"),
    rate("user", "total", "finish"),
    rate("user", "total", "convert"),
    mean("user", "1h"),
    mean("user", "total"),
    count("item", "1m"),
    count("item", "10m"),
    count("item", "1h"),
    count("item", "1d"),
    count("item", "total"),
    rate("item", "10m", "click"),
    rate("item", "1h", "click"),
    rate("item", "1d", "click"),
    rate("item", "total", "click"),
    rate("item", "1d", "like"),
    rate("item", "total", "like"),
    rate("item", "1d", "finish"),
    rate("item", "total", "finish"),
    rate("item", "total", "convert"),
    mean("item", "1d"),
    mean("item", "total"),
    count("category", "1h"),
    rate("category", "10m", "click"),
    rate("category", "1h", "click"),
    rate("category", "1d", "click"),
    rate("category", "total", "click"),
    count("userCategory", "10m"),
    count("userCategory", "1h"),
    count("userCategory", "total"),
    rate("userCategory", "10m", "click"),
    rate("userCategory", "1h", "click"),
    rate("userCategory", "1d", "click"),
    rate("userCategory", "total", "click"),
    rate("userCategory", "total", "like"),
    rate("userCategory", "total", "finish"),
    mean("userCategory", "total"),
  ],
  routes: [
    { name: "itemToItem", quota: 200 },
    { name: "vector", quota: 200 },
    { name: "categoryTrending", quota: 150 },
    { name: "trending", quota: 100 },
    { name: "fresh", quota: 100 },
  ],
  valueWeights: { ctr: 1, like: 0.5, finish: 0.3, cvr: 1, watch: 0.05 },
  ranking: {
    userEmbedding: 16,
    itemEmbedding: 16,
    experts: 4,
    expertLayers: [64, 32],
    towerLayers: [16],
    positions: 20,
  },
  negatives: "served",
  rankedMax: 500,
  slateDefault: 20,
});
