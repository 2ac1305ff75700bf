import { describe, expect, test } from "bun:test";
import { Random } from "../../models/core/random.ts";
import { inMemory } from "../stores/checkpoint-store.ts";
import { lowerBound, Trending } from "./trending.ts";

function savedOf(trending: Trending) {
  return inMemory(new Map(trending.save().map(({ name, bytes }) => [name, bytes])));
}

const hourMs = 3_600_000;

class Lists {
  readonly rows = new Map<number, number[]>();
  writes = 0;

  read(row: number, out: Uint32Array): number {
    const items = this.rows.get(row) ?? [];
    items.forEach((item, i) => {
      out[2 * i] = item;
    });
    return items.length;
  }

  replace(row: number, records: Uint32Array, count: number): void {
    this.writes++;
    this.rows.set(
      row,
      [...records.subarray(0, 2 * count)].filter((_, i) => i % 2 === 0),
    );
  }
}

function make(options: { listLength?: number; touchedMax?: number } = {}) {
  const lists = new Lists();
  const categoriesOf = (itemRow: number, out: Int32Array) => {
    out[0] = itemRow % 3;
    return 1;
  };
  const trending = new Trending({ table: lists, categoriesOf, listLength: 5, ...options });
  return { lists, trending };
}

function feed(trending: Trending, item: number, of: { shown: number; clicks: number }, ms: number) {
  for (let i = 0; i < of.shown; i++) trending.shown(item, ms);
  for (let i = 0; i < of.clicks; i++) trending.clicked(item, ms);
}

describe("trending", () => {
  test("the lower bound prefers what is sure, and is 0 without clicks", () => {
    expect(lowerBound(0, 100)).toBe(0);
    expect(lowerBound(1, 2)).toBeLessThan(lowerBound(40, 100));
    expect(lowerBound(30, 100)).toBeLessThan(lowerBound(40, 100));
    expect(lowerBound(3, 0)).toBe(lowerBound(3, 3));
  });

  test("lists are best first, overall and by category", () => {
    const { lists, trending } = make();
    feed(trending, 1, { shown: 100, clicks: 40 }, hourMs);
    feed(trending, 2, { shown: 100, clicks: 60 }, hourMs);
    feed(trending, 4, { shown: 100, clicks: 50 }, hourMs);
    trending.refresh();
    expect(lists.rows.get(0)).toEqual([2, 4, 1]);
    expect(lists.rows.get(1 + 1)).toEqual([4, 1]);
    expect(lists.rows.get(1 + 2)).toEqual([2]);
  });

  test("where all is long ago, what was always liked leads", () => {
    const { lists, trending } = make();
    feed(trending, 2, { shown: 300, clicks: 200 }, hourMs);
    feed(trending, 1, { shown: 100, clicks: 10 }, 2 * hourMs);
    feed(trending, 4, { shown: 1, clicks: 0 }, 9_000 * hourMs);
    trending.refresh();
    expect(lists.rows.get(0)).toEqual([2, 1, 4]);
  });

  test("what was hot hours ago gives way to what is hot now", () => {
    const { lists, trending } = make();
    feed(trending, 1, { shown: 100, clicks: 60 }, hourMs);
    feed(trending, 2, { shown: 100, clicks: 30 }, 9 * hourMs);
    trending.refresh();
    expect(lists.rows.get(0)).toEqual([2, 1]);
    feed(trending, 1, { shown: 100, clicks: 60 }, 9 * hourMs);
    trending.refresh();
    expect(lists.rows.get(0)).toEqual([1, 2]);
  });

  test("holds the best of many items in bounded lists, however they come", () => {
    const { lists, trending } = make({ touchedMax: 7 });
    const random = new Random(3);
    const clicks = Array.from({ length: 200 }, (_, i) => i);
    for (const item of clicks.toSorted(() => random.next() - 0.5)) {
      feed(trending, item, { shown: 1_000, clicks: item }, hourMs);
      if (random.int(5) === 0) trending.refresh();
    }
    for (let i = 0; i < 40; i++) trending.refresh();
    expect(lists.rows.get(0)).toEqual([199, 198, 197, 196, 195]);
    const { writes } = lists;
    trending.refresh();
    expect(lists.writes).toBe(writes);
  });

  test("a restored one writes the same lists", () => {
    const first = make();
    for (let item = 0; item < 30; item++) {
      feed(first.trending, item, { shown: 50, clicks: (item * 7) % 31 }, hourMs + item);
    }
    first.trending.refresh();
    const second = make();
    second.trending.restore(savedOf(first.trending));
    second.trending.refresh();
    expect(second.lists.rows).toEqual(first.lists.rows);
  });

  test("partitions that share lists count together", () => {
    const lists = new Lists();
    const rows = [new Map<number, Uint8Array>(), new Map<number, Uint8Array>()];
    const tables = rows.map((kept) => ({
      write: (row: number, bytes: Uint8Array) => void kept.set(row, bytes.slice()),
      read(items: Int32Array, count: number, out: Uint8Array) {
        for (let i = 0; i < count; i++) out.set(kept.get(items[i]!) ?? new Uint8Array(40), 40 * i);
      },
    }));
    const categoriesOf = () => 0;
    const [a, b] = [0, 1].map(
      (own) =>
        new Trending({ table: lists, categoriesOf, listLength: 5, partials: { tables, own } }),
    );
    // Alone, neither half beats item 2; together they are the surest.
    feed(a!, 1, { shown: 30, clicks: 20 }, hourMs);
    feed(a!, 2, { shown: 40, clicks: 27 }, hourMs);
    a!.refresh();
    expect(lists.rows.get(0)).toEqual([2, 1]);
    feed(b!, 1, { shown: 30, clicks: 20 }, hourMs);
    feed(b!, 3, { shown: 30, clicks: 1 }, hourMs);
    b!.refresh();
    expect(lists.rows.get(0)).toEqual([1, 2, 3]);
    // A new thread of the first knows what the second counted, and its own from a checkpoint.
    const again = new Trending({
      ...{ table: lists, categoriesOf, listLength: 5, partials: { tables, own: 0 } },
    });
    again.restore(savedOf(a!));
    feed(again, 4, { shown: 30, clicks: 2 }, hourMs);
    again.refresh();
    expect(lists.rows.get(0)).toEqual([1, 2, 4, 3]);
  });
});
