import definition from "../../models/definition/default.ts";
import { defineRecommender } from "../../models/definition/define.ts";

/** The default recommender with attribution of a second: samples come while a benchmark runs. */
export default defineRecommender({
  ...definition,
  interactions: definition.interactions.map((one) => ({
    ...one,
    attributionMs: Math.min(one.attributionMs, 1_000),
  })),
});
