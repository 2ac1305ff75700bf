import { expect, test } from "bun:test";
import { Random } from "../core/random.ts";
import definition from "../definition/default.ts";
import { featureCatalog } from "../features/catalog.ts";
import { coldStartOf } from "./cold-start.ts";
import { rankerShapeOf } from "./definition-shape.ts";
import { createRanker } from "./ranker.ts";

const catalog = featureCatalog(definition);
const { itemWidth, itemNames } = catalog;
const start = coldStartOf(definition);

/** Head columns of a ranker that has learned nothing, for items unlike "nothing known". */
function score(items: readonly Readonly<Record<string, number>>[], seed: number) {
  const ranker = createRanker(rankerShapeOf(definition));
  const weights = new Float32Array(ranker.floats);
  ranker.initialise(new Random(seed), weights);
  const count = items.length;
  const itemDense = new Float32Array(count * itemWidth);
  for (const [i, item] of items.entries()) {
    itemDense.set(
      start.itemMeans.map((mean, j) => item[itemNames[j] ?? ""] ?? mean),
      i * itemWidth,
    );
  }
  const heads = new Float32Array(count * definition.heads.length);
  ranker.score(
    {
      ...{ weights, itemDense, count },
      userDense: Float32Array.from(catalog.user, ({ missing }) => missing),
      userVector: new Float32Array(definition.ranking.userEmbedding),
      itemVectors: new Float32Array(count * definition.ranking.itemEmbedding),
    },
    heads,
  );
  return (name: string) => {
    const h = definition.heads.findIndex((head) => head.name === name);
    return [...heads.subarray(h * count, (h + 1) * count)];
  };
}

test("a ranker that has learned nothing knows of no difference where there is none", () => {
  for (const seed of [1, 2, 3]) {
    const heads = score([{}], seed);
    expect(heads("like")[0]).toBeCloseTo(0.02, 6);
    expect(heads("finish")[0]).toBeCloseTo(0.05, 6);
    const [a, b] = score([{}, { "item.logDuration": 3, "item.1h.clickRate": 1 }], seed)("ctr");
    expect(a).toBeCloseTo(0.1, 6);
    expect(b).toBeCloseTo(0.1, 6);
  }
});

test("it orders by smoothed rates of the head's own interaction and by nearness", () => {
  const items = [
    {},
    { "item.total.clickRate": -1 },
    { "item.total.clickRate": -1, "userCategory.total.clickRate": -1 },
    { "item.vectorScore": 1.5 },
    { "item.total.likeRate": -2 },
  ];
  for (const item of items) for (const name of Object.keys(item)) expect(itemNames).toContain(name);
  for (const seed of [1, 2, 3]) {
    const heads = score(items, seed);
    const [none, liked, ofTaste, near, otherHead] = heads("ctr");
    expect(liked).toBeGreaterThan(none!);
    expect(ofTaste).toBeGreaterThan(liked!);
    expect(near).toBeGreaterThan(none!);
    expect(otherHead).toBe(none!);
    expect(heads("like")[4]).toBeGreaterThan(heads("like")[0]!);
  }
});
