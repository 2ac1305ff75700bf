import { describe, expect, test } from "bun:test";
import definition from "../../models/definition/default.ts";
import { featureCatalog } from "../../models/features/catalog.ts";
import { FeatureEncoder } from "../../models/features/encoder.ts";
import { rankerShapeOf } from "../../models/ranking/definition-shape.ts";
import { createRanker } from "../../models/ranking/ranker.ts";
import { decodeServed } from "../../models/training/served.ts";
import { recordOf } from "../stores/event-log.ts";
import { recommendOf } from "./testing/recommend-of.ts";
import {
  attributesOf,
  categoryCount,
  clicked,
  publishModel,
  smallWorld,
  startMs,
} from "./testing/small-world.ts";

async function lastServed(world: ReturnType<typeof smallWorld>) {
  const batch = await world.log.read("served", 0, 0, 1 << 24);
  expect(batch.count).toBeGreaterThan(0);
  return decodeServed(recordOf(batch, batch.count - 1));
}

const ids = (answer: { items: readonly { id: string }[] }) => answer.items.map(({ id }) => id);
const rowOf = (id: string) => Number(id.slice(1));

describe("ranking engine", () => {
  test("answers a known user with scored items of several routes, and remembers them", async () => {
    const world = smallWorld();
    publishModel(world.state, 3);
    clicked(world.state, 1, [3, 11, 19]);
    const answer = await world.engine.recommend(recommendOf({ explain: true }));
    expect(answer.requestId).toBe("00000001000000020000000300000004");
    expect(answer.model).toBe(3);
    expect(answer.index).toBe(1);
    expect(answer.degraded).toEqual([]);
    expect(answer.items.length).toBe(10);
    expect(new Set(ids(answer)).size).toBe(10);
    const scores = answer.items.map(({ score }) => score);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
    for (const { heads, routes, propensity } of answer.items) {
      expect(Object.keys(heads ?? {})).toEqual(["ctr", "like", "finish", "cvr", "watch"]);
      expect(routes.length).toBeGreaterThan(0);
      expect(propensity).toBeNull();
    }
    const recall = answer.explain?.find(({ stage }) => stage === "recall");
    expect(recall?.counts.itemToItem).toBeGreaterThan(0);
    expect(recall?.counts.categoryTrending).toBeGreaterThan(0);
    const catalog = featureCatalog(definition);
    expect(Object.keys(answer.features?.user ?? {})).toEqual([...catalog.userNames]);
    expect(answer.features?.user["user.recent50.clickShare"]).toBeGreaterThan(0);
    expect(Object.keys(answer.items[0]?.features ?? {})).toEqual([...catalog.itemNames]);
    const again = await world.engine.recommend(recommendOf());
    expect(again.features ?? again.items[0]?.features).toBeUndefined();
    expect(ids(again).filter((id) => ids(answer).includes(id))).toEqual([]);
  });

  test("the served record scores the same with the same version", async () => {
    const world = smallWorld();
    publishModel(world.state, 1);
    clicked(world.state, 1, [5, 6]);
    const answer = await world.engine.recommend(recommendOf());
    publishModel(world.state, 2);
    const served = await lastServed(world);
    expect([...served.items]).toEqual(ids(answer).map(rowOf));
    expect(served.modelVersion).toBe(1);
    expect(served.asOfMs).toBe(startMs);
    expect([...served.categories]).toEqual([...served.items].map((row) => row % categoryCount));
    const ranker = createRanker(rankerShapeOf(definition));
    const weights = new Float32Array(ranker.slotFloats);
    for (let slot = 0; slot < 4; slot++) {
      if (world.state.slots.version(slot) === 1) weights.set(world.state.slots.weights(slot));
    }
    const heads = new Float32Array(served.items.length * 5);
    const { userEmbedding, itemEmbedding } = definition.ranking;
    const count = served.items.length;
    const { userDense, itemDense } = served;
    const userVector = new Float32Array(userEmbedding);
    const itemVectors = new Float32Array(count * itemEmbedding);
    ranker.scoreSlot({ weights, userDense, itemDense, userVector, itemVectors, count }, heads);
    for (let i = 0; i < count; i++) {
      for (let h = 0; h < 5; h++) {
        expect(heads[h * count + i]).toBeCloseTo(served.heads[i * 5 + h] ?? Number.NaN, 5);
      }
    }
  });

  test("an unknown user and an anonymous session make no rows", async () => {
    const world = smallWorld();
    publishModel(world.state, 1);
    const before = world.state.users.size;
    const unknown = await world.engine.recommend(recommendOf({ user: "nobody" }));
    expect(unknown.items.length).toBe(10);
    expect(world.state.users.size).toBe(before);
    const recent = [{ item: "i42", type: 1, timeMs: startMs - 1_000 }];
    const request = recommendOf({ user: null, recent, explain: true, n: 50 });
    const session = await world.engine.recommend(request);
    const found = session.items.flatMap(({ id, routes }) =>
      routes.includes("itemToItem") ? [rowOf(id)] : [],
    );
    expect(found.length).toBeGreaterThan(0);
    for (const row of found) expect(row > 42 && row <= 62).toBe(true);
  });

  test("what may not be shown is not: hidden, deleted, expired, excluded, elsewhere", async () => {
    const world = smallWorld();
    publishModel(world.state, 1);
    const { itemAttributes } = world.state;
    const categories = (row: number) => Int32Array.of(row % categoryCount, -1, -1, -1);
    for (let row = 0; row < 400; row += 3) {
      const gone = [{ hidden: true }, { deleted: true }, { expiresAtMs: startMs }][(row % 9) / 3];
      itemAttributes.write(row, attributesOf({ categories: categories(row), ...gone }));
    }
    const exclude = Array.from({ length: 50 }, (_, i) => `i${i * 3 + 1}`);
    const request = recommendOf({ n: 100, exclude, categories: ["c1", "c4"], explain: true });
    const answer = await world.engine.recommend(request);
    expect(answer.items.length).toBeGreaterThan(0);
    for (const id of ids(answer)) {
      const row = rowOf(id);
      expect(row % 3).not.toBe(0);
      expect(exclude).not.toContain(id);
      expect([1, 4]).toContain(row % categoryCount);
    }
    const removed = answer.explain?.find(({ stage }) => stage === "filters")?.counts ?? {};
    for (const reason of ["hidden", "deleted", "expired"]) {
      expect(removed[`eligibility:${reason}`]).toBeGreaterThan(0);
    }
  });

  test("a category that nobody knows has no items", async () => {
    const world = smallWorld();
    const answer = await world.engine.recommend(recommendOf({ categories: ["nowhere"] }));
    expect(answer.items).toEqual([]);
  });

  test("without a model the answer says so and still has items", async () => {
    const world = smallWorld();
    const answer = await world.engine.recommend(recommendOf());
    expect(answer.degraded).toEqual(["model"]);
    expect(answer.model).toBeNull();
    expect(answer.items[0]?.heads).toBeNull();
    expect(answer.items.length).toBe(10);
    const served = await lastServed(world);
    expect(served.modelVersion).toBe(0);
    expect(served.userDense.length).toBe(new FeatureEncoder(definition).catalog.userWidth);
  });

  test("a small catalogue runs out: what was served longest ago comes again", async () => {
    const world = smallWorld({ items: 30 });
    publishModel(world.state, 1);
    const slates: string[][] = [];
    for (let i = 0; i < 5; i++) slates.push(ids(await world.engine.recommend(recommendOf())));
    expect(slates.map(({ length }) => length)).toEqual([10, 10, 10, 10, 10]);
    expect(new Set(slates.slice(0, 3).flat()).size).toBe(30);
    expect(new Set(slates[3])).toEqual(new Set(slates[0]));
  });

  test("rank gives back exactly the given items that exist and may be shown", async () => {
    const world = smallWorld();
    publishModel(world.state, 1);
    world.state.itemAttributes.write(7, attributesOf({ deleted: true, known: false }));
    const items = ["i5", "i7", "nowhere", "i300", "i12"];
    const { user, weights, details, explain, requestId } = recommendOf();
    const request = { user, weights, details, explain, requestId, items };
    const answer = await world.engine.rank(request);
    expect(ids(answer).sort()).toEqual(["i12", "i300", "i5"]);
    expect(answer.items.every(({ heads }) => heads !== null)).toBe(true);
    expect((await lastServed(world)).routes.every((mask) => mask === 0)).toBe(true);
  });

  test("similar and popular are lists of the same shape", async () => {
    const world = smallWorld();
    const requestId = [9, 9, 9, 9] as const;
    const near = await world.engine.similar({ requestId, item: "i40", n: 5, details: false });
    expect(ids(near)).toEqual(["i41", "i42", "i43", "i44", "i45"]);
    expect(near.degraded).toEqual([]);
    const unknown = { requestId, item: "nowhere", n: 5, details: false };
    await expect(world.engine.similar(unknown)).rejects.toThrow("no such item");
    const popular = { requestId, n: 3, category: null, details: false };
    expect(ids(await world.engine.popular(popular))).toEqual(["i0", "i1", "i2"]);
    const inCategory = await world.engine.popular({ ...popular, category: "c2" });
    expect(ids(inCategory)).toEqual(["i2", "i10", "i18"]);
  });

  test("details come from the documents, and a change is seen", async () => {
    const world = smallWorld();
    const requestId = [9, 9, 9, 9] as const;
    const request = { requestId, n: 2, category: null, details: true };
    const details = async () => (await world.engine.popular(request)).items.map((i) => i.details);
    expect(await details()).toEqual([{ title: "Item 0" }, { title: "Item 1" }]);
    world.documents.apply([{ kind: "item", row: 1, id: "i1", json: '{"title":"New"}' }], 1);
    expect((await details())[1]).toEqual({ title: "Item 1" });
    world.engine.documentsChanged([1]);
    expect((await details())[1]).toEqual({ title: "New" });
    const slate = await world.engine.recommend(recommendOf({ details: true }));
    for (const { id, details: one } of slate.items)
      expect(one).toEqual({ title: id === "i1" ? "New" : `Item ${rowOf(id)}` });
  });

  test("the request's weights order the slate", async () => {
    const world = smallWorld();
    publishModel(world.state, 1);
    const by = async (head: string, sign: number) => {
      const request = recommendOf({ user: null, weights: { [head]: sign } });
      const { items } = await world.engine.recommend(request);
      return items.map(({ heads }) => sign * (heads?.[head] ?? 0));
    };
    for (const sign of [1, -1]) {
      const values = await by("like", sign);
      expect(values).toEqual([...values].sort((a, b) => b - a));
    }
  });

  test("pins are given back", async () => {
    const world = smallWorld();
    publishModel(world.state, 1);
    for (let version = 2; version < 20; version++) {
      await Promise.all([1, 2, 3].map(() => world.engine.recommend(recommendOf())));
      expect(world.state.slots.acquire()).toBeGreaterThanOrEqual(0);
      publishModel(world.state, version);
      const answer = await world.engine.recommend(recommendOf());
      expect(answer.model).toBe(version);
    }
    expect(world.state.slots.oldestPinnedVersion()).toBe(19);
  });
});
