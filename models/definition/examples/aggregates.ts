import feed from "../default.ts";
import {
  type DistinctOf,
  defineRecommender,
  type ScopeName,
  scopeNames,
  type WindowFeature,
} from "../define.ts";

/** The video feed with every other kind of aggregate in every scope, and with the global scope. */

const HOUR = 3_600_000;

function decayed(scope: ScopeName, interaction: string, hours: number): WindowFeature {
  const [name, kind] = [`${scope}.${interaction}Decayed${hours}h`, "logDecayed"] as const;
  return { name, scope, window: "total", kind, interaction, halfLifeMs: hours * HOUR };
}

function distinct(scope: ScopeName, window: string, of: DistinctOf): WindowFeature {
  const [interaction, kind] = ["click", "logDistinct"] as const;
  return { name: `${scope}.${window}.${of}sClicked`, scope, window, kind, interaction, of };
}

function longest(scope: ScopeName, window: string): WindowFeature {
  const name = `${scope}.${window}.watchMax`;
  return { name, scope, window, kind: "maxValue", interaction: "watch" };
}

const global: readonly WindowFeature[] = (["1m", "1h"] as const).flatMap((window) => [
  {
    ...{ name: `global.${window}.clickRate`, scope: "global", window, kind: "rateLogit" },
    ...{ interaction: "click", prior: { rate: 0.1, weight: 100 } },
  },
  {
    ...{ name: `global.${window}.impressionCount`, scope: "global", window, kind: "logCount" },
    interaction: "impression",
  },
]);

export default defineRecommender({
  ...feed,
  name: "video-feed-aggregates",
  features: [
    ...feed.features,
    ...global,
    ...scopeNames.flatMap((scope) => [
      decayed(scope, "impression", 1),
      decayed(scope, "click", 6),
      decayed(scope, "watch", 24),
      longest(scope, "1h"),
      longest(scope, "total"),
    ]),
    distinct("user", "1h", "item"),
    distinct("user", "1d", "category"),
    distinct("item", "10m", "user"),
    distinct("item", "total", "user"),
    distinct("category", "1h", "user"),
    distinct("category", "1h", "item"),
    distinct("userCategory", "1d", "item"),
    distinct("global", "1m", "user"),
    distinct("global", "1h", "user"),
    distinct("global", "10m", "item"),
    distinct("global", "1h", "category"),
  ],
});
