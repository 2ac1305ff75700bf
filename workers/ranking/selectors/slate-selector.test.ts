import { describe, expect, test } from "bun:test";
import { Random } from "../../../models/core/random.ts";
import definition from "../../../models/definition/default.ts";
import { FeatureEncoder } from "../../../models/features/encoder.ts";
import { limits } from "../../../models/limits.ts";
import { FeedContext, type FeedRequest } from "../feed-context.ts";
import { recommendOf } from "../testing/recommend-of.ts";
import { slateSelector } from "./slate-selector.ts";
import { topIndexes } from "./top-indexes.ts";

const encoder = new FeatureEncoder(definition);
const context = new FeedContext({ definition, encoder, quotas: [64], reader: 0 });

function fill(values: readonly number[], n: number, categories: readonly number[] = []): void {
  const request: FeedRequest = { kind: "recommend", ...recommendOf({ n }), given: [] };
  context.begin(request, 0, 1_000);
  const columns = context.candidates.columnsOf(0);
  values.forEach((value, i) => {
    columns.rows[i] = 100 + i;
    context.ranked.values[i] = value;
    context.attributes.categories[i * limits.itemCategoriesMax] = categories[i] ?? -1;
  });
  context.candidates.merge(0, values.length);
}

function slate(rules: { explorationShare?: number; categoryPenalty?: number }, random: Random) {
  const whole = { explorationShare: 0, categoryPenalty: 0, ...rules };
  slateSelector(random, whole).select(context);
  const { selected, selectedCount, propensities } = context.candidates;
  return {
    places: [...selected.subarray(0, selectedCount)],
    propensities: [...propensities.subarray(0, selectedCount)],
  };
}

describe("top indexes", () => {
  test("agree with a stable sort at every size", () => {
    const random = new Random(5);
    for (let round = 0; round < 300; round++) {
      const count = random.int(60);
      const k = random.int(70);
      const values = Float32Array.from({ length: count }, () => random.int(12));
      const out = new Int32Array(64);
      const found = topIndexes({ values, count, k }, out);
      const oracle = [...values.keys()].sort(
        (a, b) => (values[b] ?? 0) - (values[a] ?? 0) || a - b,
      );
      expect([...out.subarray(0, found)]).toEqual(oracle.slice(0, Math.min(k, count)));
    }
  });
});

describe("slate selector", () => {
  test("the best come first, of equals the one found first; nothing is randomised", () => {
    fill([1, 5, 3, 5, 2], 3);
    const { places, propensities } = slate({}, new Random(1));
    expect(places).toEqual([1, 3, 2]);
    expect(propensities.every(Number.isNaN)).toBe(true);
  });

  test("each candidate comes last as often as its propensity says", () => {
    const random = new Random(9);
    const values = [9, 8, 5, 4, 3, 2];
    const share = 0.3;
    const rounds = 20_000;
    const seen = new Float64Array(values.length);
    const told = new Float64Array(values.length).fill(Number.NaN);
    for (let i = 0; i < rounds; i++) {
      fill(values, 3);
      const { places, propensities } = slate({ explorationShare: share }, random);
      expect(places.slice(0, 2)).toEqual([0, 1]);
      expect(propensities.slice(0, 2).every(Number.isNaN)).toBe(true);
      const last = places[2] ?? -1;
      seen[last] = (seen[last] ?? 0) + 1 / rounds;
      told[last] = propensities[2] ?? Number.NaN;
    }
    const left = [...told.subarray(2)];
    expect(left.reduce((sum, one) => sum + one, 0)).toBeCloseTo(1, 5);
    for (let i = 2; i < values.length; i++) {
      expect(Math.abs((seen[i] ?? 0) - (told[i] ?? 0))).toBeLessThan(0.015);
    }
  });

  test("when everything is in the slate there is nothing to draw", () => {
    fill([1, 2], 5);
    const { places, propensities } = slate({ explorationShare: 1 }, new Random(1));
    expect(places).toEqual([1, 0]);
    expect(propensities.every(Number.isNaN)).toBe(true);
  });

  test("a category penalty lets others in", () => {
    const values = [10, 9, 8, 7, 1];
    const categories = [1, 1, 1, 2, 3];
    fill(values, 3, categories);
    expect(slate({}, new Random(1)).places).toEqual([0, 1, 2]);
    fill(values, 3, categories);
    expect(slate({ categoryPenalty: 0.5 }, new Random(1)).places).toEqual([0, 3, 1]);
  });
});
