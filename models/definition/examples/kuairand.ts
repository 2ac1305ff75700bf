import { defineRecommender, type ScopeName, type WindowFeature } from "../define.ts";

/**
 * Short videos as in the public KuaiRand data: what is tapped, watched for long, and whose author
 * is visited. Categories are buckets of the video's length (server/import/kuairand.map.json), so
 * that rates of user x category say how a user takes to videos of that length.
 */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Rates of the rows that the data hold: liked or hated videos only, so far from a feed's. */
const priors: Readonly<Record<string, number>> = { click: 0.66, finish: 0.46, profileEnter: 0.054 };
const priorWeights: Readonly<Record<ScopeName, number>> = {
  user: 10,
  item: 10,
  category: 10,
  userCategory: 5,
  global: 100,
};

function rates(scope: ScopeName, window: string): WindowFeature[] {
  return Object.entries(priors).map(([interaction, rate]) => ({
    ...{ name: `${scope}.${window}.${interaction}Rate`, scope, window, kind: "rateLogit" as const },
    ...{ interaction, prior: { rate, weight: priorWeights[scope] } },
  }));
}

function count(scope: ScopeName, window: string): WindowFeature {
  const name = `${scope}.${window}.impressionCount`;
  return { name, scope, window, kind: "logCount", interaction: "impression" };
}

function mean(scope: ScopeName, window: string): WindowFeature {
  const name = `${scope}.${window}.watchMean`;
  return { name, scope, window, kind: "meanValue", interaction: "watch" };
}

export default defineRecommender({
  name: "kuairand",
  interactions: [
    { name: "impression", value: "none", attributionMs: 2 * MINUTE },
    { name: "click", value: "none", attributionMs: 2 * MINUTE },
    { name: "finish", value: "none", attributionMs: 2 * MINUTE },
    { name: "profileEnter", value: "none", attributionMs: 2 * MINUTE },
    { name: "watch", value: "seconds", attributionMs: 2 * MINUTE },
    { name: "like", value: "none", attributionMs: 2 * MINUTE },
  ],
  heads: [
    { name: "click", interaction: "click", kind: "binary" },
    { name: "longView", interaction: "finish", kind: "binary" },
    { name: "profileEnter", interaction: "profileEnter", kind: "binary" },
    // Videos of unknown length were played in another way: their seconds say nothing. Judged by the
    // error of log1p seconds, which the middle has the least of.
    { name: "watch", interaction: "watch", kind: "seconds", answer: "middle", needsDuration: true },
  ],
  windows: [
    { name: "10m", paneMs: MINUTE, panes: 10 },
    { name: "1h", paneMs: 5 * MINUTE, panes: 12 },
    { name: "1d", paneMs: HOUR, panes: 24 },
    { name: "3d", paneMs: 6 * HOUR, panes: 12 },
  ],
  features: [
    count("user", "1h"),
    count("user", "1d"),
    count("user", "total"),
    ...rates("user", "10m"),
    ...rates("user", "1h"),
    ...rates("user", "1d"),
    ...rates("user", "3d"),
    ...rates("user", "total"),
    mean("user", "1h"),
    mean("user", "1d"),
    mean("user", "total"),
    count("item", "1d"),
    count("item", "total"),
    ...rates("item", "1d"),
    ...rates("item", "total"),
    mean("item", "total"),
    count("category", "total"),
    ...rates("category", "1d"),
    ...rates("category", "total"),
    mean("category", "total"),
    count("userCategory", "1d"),
    count("userCategory", "total"),
    ...rates("userCategory", "1d"),
    ...rates("userCategory", "total"),
    mean("userCategory", "1d"),
    mean("userCategory", "total"),
  ],
  routes: [
    { name: "itemToItem", quota: 200 },
    { name: "vector", quota: 200 },
    { name: "categoryTrending", quota: 150 },
    { name: "trending", quota: 100 },
    { name: "fresh", quota: 100 },
  ],
  valueWeights: { click: 1, longView: 1, profileEnter: 1, watch: 0.05 },
  ranking: {
    userEmbedding: 8,
    itemEmbedding: 8,
    experts: 4,
    expertLayers: [64, 32],
    towerLayers: [16],
    positions: 20,
  },
  negatives: "impression",
  rankedMax: 500,
  slateDefault: 20,
});
