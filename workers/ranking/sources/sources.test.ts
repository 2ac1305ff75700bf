import { describe, expect, test } from "bun:test";
import definition from "../../../models/definition/default.ts";
import type { IndexGeneration } from "../../../models/recall/generation.ts";
import { InteractionWeights } from "../../../models/recall/interaction-weights.ts";
import { GraphIndex } from "../../../native/index.ts";
import { CategoryTrendingSource } from "./category-trending.ts";
import { FreshSource } from "./fresh.ts";
import { ItemToItemSource } from "./item-to-item.ts";
import type { ListTable } from "./list-table.ts";
import type { RecallQuery, RecallSource } from "./query.ts";
import { TrendingSource } from "./trending.ts";
import { VectorSource } from "./vector.ts";

const click = 1;
const impression = 0;
const nowMs = 1_700_000_000_000;
const weights = new InteractionWeights(definition.interactions);

/** Five items: 0, 1, 2 in one direction, 3 and 4 in another. */
function generation(): IndexGeneration {
  const data = Float32Array.from([1, 0, 0.8, 0.6, 0.9, 0.43589, 0, 1, -1, 0]);
  const rows = Uint32Array.from([0, 1, 2, 3, 4]);
  const graph = GraphIndex.build({ vectors: data, rows, count: 5, dim: 2 });
  return {
    generation: 1,
    builtAtMs: nowMs,
    itemToItem: {
      neighbours: Int32Array.from([1, 2, 2, -1, 0, 1, 4, -1, -1, -1]),
      weights: Float32Array.from([0.9, 0.5, 0.4, 0, 0.3, 0.2, 0.7, 0, 0, 0]),
      perItem: 2,
      rows: 5,
    },
    vectors: { dim: 2, data, has: Uint8Array.from([1, 1, 1, 1, 0]) },
    popular: { rows: new Int32Array(0), scores: new Float32Array(0) },
    graph: graph.handle,
  };
}

function query(recent: readonly [item: number, type: number, ageMs: number][]): RecallQuery {
  return {
    userRow: 0,
    recentItems: Int32Array.from(recent, ([item]) => item),
    recentTypes: Uint8Array.from(recent, ([, type]) => type),
    recentTimesMs: Float64Array.from(recent, ([, , age]) => nowMs - age),
    recentCount: recent.length,
    categories: Int32Array.from([7, 3, -1]),
    generation: generation(),
    nowMs,
  };
}

function rowsOf(source: RecallSource, asked: RecallQuery, quota: number): number[] {
  const out = { rows: new Int32Array(quota), scores: new Float32Array(quota).fill(-1) };
  const count = source.recall(asked, quota, out);
  expect(Math.min(0, ...out.scores.subarray(0, count))).toBe(0);
  expect(new Set(out.rows.subarray(0, count)).size).toBe(count);
  return [...out.rows.subarray(0, count)];
}

/** Lists by row, as the windows role and the door write them. */
function lists(byRow: Record<number, readonly (readonly number[])[]>): ListTable {
  const bits = new Float32Array(1);
  return {
    read(row, out) {
      const records = byRow[row] ?? [];
      records.forEach(([item, score], i) => {
        out[i * records[0].length] = item;
        if (score === undefined) return;
        bits[0] = score;
        out[2 * i + 1] = new Uint32Array(bits.buffer)[0];
      });
      return records.length;
    },
  };
}

describe("item-to-item source", () => {
  const source = new ItemToItemSource(weights);

  test("sums neighbours and leaves the recent items out", () => {
    // From 0: 1 (.9), 2 (.5); from 2: 0 (recent itself), 1 (.2).
    expect(rowsOf(source, query([[0, click, 0]]), 10)).toEqual([1, 2]);
    const both = query([
      [0, click, 0],
      [2, click, 0],
    ]);
    expect(rowsOf(source, both, 10)).toEqual([1]);
    expect(rowsOf(source, query([[0, click, 0]]), 1)).toEqual([1]);
  });

  test("being shown something is no taste; newer tastes weigh more", () => {
    expect(rowsOf(source, query([[0, impression, 0]]), 10)).toEqual([]);
    const aged = query([
      [3, click, 60 * 86_400_000],
      [1, click, 0],
    ]);
    expect(rowsOf(source, aged, 10)).toEqual([2, 4]);
  });

  test("items beyond the generation and no generation find nothing", () => {
    expect(rowsOf(source, query([[99, click, 0]]), 5)).toEqual([]);
    expect(rowsOf(source, { ...query([[0, click, 0]]), generation: null }, 5)).toEqual([]);
  });
});

describe("vector source", () => {
  const source = new VectorSource(weights);

  test("finds what is near, without the recent items", () => {
    expect(rowsOf(source, query([[0, click, 0]]), 2)).toEqual([2, 1]);
    expect(rowsOf(source, query([[3, click, 0]]), 1)).toEqual([1]);
  });

  test("nothing recent with a vector finds nothing", () => {
    expect(rowsOf(source, query([]), 5)).toEqual([]);
    expect(rowsOf(source, query([[4, click, 0]]), 5)).toEqual([]);
    expect(rowsOf(source, { ...query([[0, click, 0]]), generation: null }, 5)).toEqual([]);
  });
});

describe("list sources", () => {
  test("trending keeps the order of its list, up to the quota", () => {
    const source = new TrendingSource(
      lists({
        0: [
          [5, 0.9],
          [2, 0.5],
          [8, 0],
        ],
      }),
    );
    expect(rowsOf(source, query([]), 10)).toEqual([5, 2, 8]);
    expect(rowsOf(source, query([]), 2)).toEqual([5, 2]);
  });

  test("category trending joins the preferred categories, the best weighs most", () => {
    const source = new CategoryTrendingSource(
      lists({
        8: [
          [1, 0.5],
          [2, 0.4],
        ],
        4: [
          [3, 0.5],
          [2, 0.4],
        ],
      }),
    );
    expect(rowsOf(source, query([]), 10)).toEqual([2, 1, 3]);
    expect(rowsOf(source, { ...query([]), categories: new Int32Array(0) }, 10)).toEqual([]);
  });

  test("fresh takes the newest, half from preferred categories, none twice", () => {
    const source = new FreshSource(
      lists({
        0: [[1], [2], [3], [4], [5], [6]],
        8: [[2], [3]],
        4: [[1]],
      }),
    );
    expect(rowsOf(source, query([]), 4)).toEqual([3, 1, 6, 5]);
    expect(rowsOf(source, { ...query([]), categories: new Int32Array(0) }, 3)).toEqual([6, 5, 4]);
    expect(rowsOf(source, query([]), 100)).toHaveLength(6);
  });
});

test("every route of the definition has a source, and each bears a request without a user", () => {
  const empty = lists({});
  const sources = [
    new ItemToItemSource(weights),
    new VectorSource(weights),
    new TrendingSource(empty),
    new CategoryTrendingSource(empty),
    new FreshSource(empty),
  ];
  const names = definition.routes.map(({ name }) => name);
  expect(sources.map(({ name }) => name).sort()).toEqual([...names].sort());
  const asked = { ...query([]), userRow: -1, generation: null };
  for (const source of sources) expect(rowsOf(source, asked, 10)).toEqual([]);
});
