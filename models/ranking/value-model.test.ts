import { describe, expect, test } from "bun:test";
import definition from "../definition/default.ts";
import { ValueModel } from "./value-model.ts";

/** Two candidates: ctr, like, finish, cvr, watch. */
const heads = Float32Array.from([0.5, 0.1, 0.2, 0, 0, 1, 0.3, 0.1, 10, -3]);

function scores(weights: Record<string, number> | null): number[] {
  const model = new ValueModel(definition);
  const byHead = new Float64Array(model.headCount);
  model.weights(weights, byHead);
  const out = new Float32Array(2).fill(9);
  model.score(heads, byHead, 2, out);
  return [...out];
}

describe("value model", () => {
  test("sums weighted heads: rates, a rate given another, seconds", () => {
    const [first = 0, second = 0] = scores(null);
    expect(first).toBeCloseTo(0.5 + 0.5 * 0.2 + 0 + 0.3 * 0.5 + 0.05 * Math.log1p(10));
    // Negative seconds are no seconds.
    expect(second).toBeCloseTo(0.1 + 0.3 + 0.1 * 0.1);
  });

  test("a request's weights replace the definition's", () => {
    expect(scores({ like: 2 })[0]).toBeCloseTo(0.4);
    expect(scores({})).toEqual([0, 0]);
    expect(scores({ ctr: -1 })[1]).toBeCloseTo(-0.1);
  });

  test("inherited names are no heads", () => {
    expect(scores(Object.create({ ctr: 5 }))).toEqual([0, 0]);
  });
});
