import definition from "../../models/definition/default.ts";

/** The default recommender with attribution of a second: samples come while a benchmark runs. */
export default {
  ...definition,
  interactions: definition.interactions.map((one) => ({
    ...one,
    attributionMs: Math.min(one.attributionMs, 1_000),
  })),
};
