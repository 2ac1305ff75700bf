import { describe, expect, test } from "bun:test";
import { Random } from "../core/random.ts";
import { featuresOf, type ScopeName } from "../definition/define.ts";
import definition from "../definition/examples/aggregates.ts";
import { limits } from "../limits.ts";
import { aggregateColumns, aggregatesOf } from "./aggregates.ts";
import { featureCatalog } from "./catalog.ts";
import { DistinctCategories } from "./distinct-categories.ts";
import {
  encodePlainly,
  type PlainCounts,
  type PlainInputs,
  type PlainRow,
} from "./encoder.oracle.ts";
import { FeatureEncoder } from "./encoder.ts";
import { sequenceWords, writeSequenceRecord } from "./sequence-record.ts";

const perItem = limits.itemCategoriesMax;
const windowNames = [...definition.windows.map((window) => window.name), "total"];
const interactionNames: string[] = definition.interactions.map((interaction) => interaction.name);
const startMs = Date.UTC(2026, 0, 5, 17, 30);

function randomCounts(random: Random): PlainCounts {
  const scale = random.next() < 0.3 ? 0 : 10 ** (random.next() * 5);
  const counts: Record<string, Record<string, number>> = {};
  for (const window of windowNames) {
    const row: Record<string, number> = {};
    for (const name of interactionNames) row[name] = Math.floor(random.next() * scale);
    counts[window] = row;
  }
  return counts;
}

function randomRow(random: Random): PlainRow {
  const value = () => (random.int(3) === 0 ? 0 : random.int(9_000));
  const aggregates = definition.features.map(({ name }) => [name, value()] as const);
  return { counts: randomCounts(random), aggregates: Object.fromEntries(aggregates) };
}

/** The aggregates of a scope as its table holds them: seconds in 1/64 s. */
function rawAggregates(scope: ScopeName, { aggregates }: PlainRow): number[] {
  const raw = aggregatesOf(definition, scope).map(() => 0);
  const columns = aggregateColumns(definition, scope);
  for (const [i, feature] of featuresOf(definition, scope).entries()) {
    const column = columns[i];
    if (column === undefined) continue;
    const seconds = feature.interaction === "watch";
    raw[column] = (aggregates[feature.name] ?? 0) * (seconds ? 64 : 1);
  }
  return raw;
}

function randomInputs(random: Random, items: number): PlainInputs {
  const categories = Array.from({ length: 7 }, (_, row) => ({
    row: row * 3,
    own: randomRow(random),
    pair: randomRow(random),
  }));
  const pick = () => categories.filter(() => random.next() < 0.3).slice(0, perItem);
  return {
    asOfMs: startMs + random.next() * 86_400_000,
    user: randomRow(random),
    global: randomRow(random),
    recent: Array.from({ length: random.int(51) }, (_, i) => ({
      type: interactionNames[1 + random.int(5)] ?? "",
      timeMs: startMs - 60_000 + i * 1_000,
      categories: pick().map((category) => category.row),
      author: random.int(5),
    })),
    items: Array.from({ length: items }, () => ({
      own: randomRow(random),
      categories: pick(),
      publishedAtMs: random.int(3) === 0 ? 0 : startMs - random.int(1e9),
      durationSeconds: random.int(3) === 0 ? 0 : random.int(500),
      author: random.int(5),
      itemToItem: Math.fround(random.normal()),
      vector: Math.fround(random.normal()),
    })),
  };
}

function rawRow({ counts }: PlainRow): number[] {
  return windowNames.flatMap((window) =>
    interactionNames.map((name) => counts[window]?.[name] ?? 0),
  );
}

function attributeColumns(
  items: readonly { categories: readonly number[]; author: number }[],
  more: { publishedAtMs: number; durationSeconds: number }[],
) {
  const categories = new Int32Array(items.length * perItem).fill(-1);
  items.forEach((item, i) => {
    item.categories.forEach((row, j) => {
      categories[i * perItem + j] = row;
    });
  });
  return {
    categories,
    publishedAtMs: Float64Array.from(more, (item) => item.publishedAtMs),
    durationSeconds: Float32Array.from(more, (item) => item.durationSeconds),
    authorHash: Uint32Array.from(items, (item) => item.author),
  };
}

/** The same inputs as columns, as the hydrators make them. */
function columns(inputs: PlainInputs) {
  const recent = new Uint32Array(inputs.recent.length * sequenceWords);
  inputs.recent.forEach((one, i) => {
    const record = { itemRow: i, type: interactionNames.indexOf(one.type), timeMs: one.timeMs };
    writeSequenceRecord(record, recent, i);
  });
  const plainItems = inputs.items.map((item) => ({
    categories: item.categories.map((category) => category.row),
    author: item.author,
  }));
  const items = attributeColumns(plainItems, [...inputs.items]);
  const found = new DistinctCategories({ itemsMax: inputs.items.length });
  found.find(items.categories, inputs.items.length);
  const rows = [...found.rows.subarray(0, found.distinct)];
  const all = inputs.items.flatMap((item) => item.categories);
  const of = (row: number) => {
    const found = all.find((category) => category.row === row);
    if (found === undefined) throw new Error(`no category ${row}`);
    return found;
  };
  return {
    user: {
      asOfMs: inputs.asOfMs,
      counts: Uint32Array.from(rawRow(inputs.user)),
      aggregates: Float64Array.from(rawAggregates("user", inputs.user)),
      globalCounts: Uint32Array.from(rawRow(inputs.global)),
      globalAggregates: Float64Array.from(rawAggregates("global", inputs.global)),
      recent,
      recentCount: inputs.recent.length,
      recentItems: attributeColumns(inputs.recent, []),
    },
    items: {
      count: inputs.items.length,
      itemCounts: Uint32Array.from(inputs.items.flatMap((item) => rawRow(item.own))),
      itemAggregates: Float64Array.from(
        inputs.items.flatMap((item) => rawAggregates("item", item.own)),
      ),
      items,
      distinct: found.distinct,
      distinctRows: found.rows,
      categoryCounts: Uint32Array.from(rows.flatMap((row) => rawRow(of(row).own))),
      categoryAggregates: Float64Array.from(
        rows.flatMap((row) => rawAggregates("category", of(row).own)),
      ),
      pairCounts: Uint32Array.from(rows.flatMap((row) => rawRow(of(row).pair))),
      pairAggregates: Float64Array.from(
        rows.flatMap((row) => rawAggregates("userCategory", of(row).pair)),
      ),
      slots: found.slots,
      itemToItem: Float32Array.from(inputs.items, (item) => item.itemToItem),
      vector: Float32Array.from(inputs.items, (item) => item.vector),
    },
  };
}

function encode(encoder: FeatureEncoder, inputs: PlainInputs) {
  const { user, items } = columns(inputs);
  const userDense = new Float32Array(encoder.catalog.userWidth);
  const itemDense = new Float32Array(items.count * encoder.catalog.itemWidth);
  encoder.encodeUser(user, userDense);
  encoder.encodeItems(items, inputs.asOfMs, itemDense);
  return { userDense, itemDense };
}

function expectClose(got: Float32Array, want: readonly number[], names: readonly string[]) {
  expect(got.length).toBe(want.length);
  const wrong = want.flatMap((value, i) => {
    const tolerance = 1e-5 * (1 + Math.abs(value));
    const near = Math.abs((got[i] ?? Number.NaN) - value) <= tolerance;
    return near ? [] : [`${names[i % names.length]}: ${got[i]} instead of ${value}`];
  });
  expect(wrong).toEqual([]);
}

describe("feature encoder", () => {
  test("equals the plain computation on random inputs", () => {
    const encoder = new FeatureEncoder(definition);
    const random = new Random(7);
    for (let round = 0; round < 40; round++) {
      const inputs = randomInputs(random, random.int(20));
      const got = encode(encoder, inputs);
      const want = encodePlainly(definition, inputs);
      expectClose(got.userDense, want.userDense, encoder.catalog.userNames);
      expectClose(got.itemDense, want.itemDense, encoder.catalog.itemNames);
    }
  });

  test("is deterministic and keeps nothing from one user to the next", () => {
    const random = new Random(8);
    const first = randomInputs(random, 30);
    const encoder = new FeatureEncoder(definition);
    const once = encode(encoder, first);
    encode(encoder, randomInputs(random, 50));
    expect(encode(encoder, first)).toEqual(once);
    expect(encode(new FeatureEncoder(definition), first)).toEqual(once);
  });

  test("gives the catalog's missing values for what nobody knows", () => {
    const encoder = new FeatureEncoder(definition);
    const none = { counts: {}, aggregates: {} };
    const unknown = {
      own: none,
      categories: [],
      publishedAtMs: 0,
      durationSeconds: 0,
      author: 0,
      itemToItem: 0,
      vector: 0,
    };
    const inputs = { asOfMs: startMs, user: none, global: none, recent: [], items: [unknown] };
    const { itemDense } = encode(encoder, inputs);
    const missing = encoder.catalog.item.map((entry) => entry.missing);
    expectClose(itemDense, missing, encoder.catalog.itemNames);
  });

  test("stays finite at the ends of the counters' range", () => {
    const encoder = new FeatureEncoder(definition);
    const counts = Object.fromEntries(
      windowNames.map((window) => [
        window,
        Object.fromEntries(interactionNames.map((name, i) => [name, i % 2 ? 0xffff_ffff : 0])),
      ]),
    );
    const most = definition.features.map(({ name }) => [name, 0xffff_ffff] as const);
    const full = { counts, aggregates: Object.fromEntries(most) };
    const item = {
      own: full,
      categories: [],
      publishedAtMs: startMs * 2,
      durationSeconds: 1,
      author: 0,
      itemToItem: Number.POSITIVE_INFINITY,
      vector: Number.NaN,
    };
    const owners = { user: full, global: full, recent: [] };
    const got = encode(encoder, { asOfMs: startMs, ...owners, items: [item] });
    expect([...got.userDense, ...got.itemDense].every(Number.isFinite)).toBe(true);
  });

  test("the catalog names every column once", () => {
    const catalog = featureCatalog(definition);
    expect(catalog.userNames.length).toBe(catalog.userWidth);
    expect(catalog.itemNames.length).toBe(catalog.itemWidth);
    const names = [...catalog.userNames, ...catalog.itemNames];
    expect(new Set(names).size).toBe(names.length);
  });
});
