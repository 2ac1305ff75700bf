import { expect, test } from "bun:test";
import type { StoredDocument } from "../stores/document-store.ts";
import { DetailsCache } from "./details-cache.ts";
import type { ItemDocument } from "./feed-context.ts";

function world() {
  const counted: Record<string, number> = {};
  const asked: number[][] = [];
  const answers: ((title: string) => void)[] = [];
  const cache = new DetailsCache({
    entriesMax: 2,
    metrics: {
      add: (name, by) => {
        counted[name] = (counted[name] ?? 0) + by;
      },
      observe() {},
    },
    store: {
      getMany: (_kind, rows) => {
        asked.push([...rows]);
        return new Promise((resolve) => {
          answers.push((title) => resolve(rows.map((row) => stored(row, title))));
        });
      },
    },
  });
  return { cache, counted, asked, answer: (title: string) => answers.shift()?.(title) };
}

function stored(row: number, title: string): StoredDocument | null {
  return row < 0 ? null : { row, id: `i${row}`, json: JSON.stringify({ title }) };
}

test("asks once for what is missing, remembers what is not there, keeps so many", async () => {
  const { cache, counted, asked, answer } = world();
  const first = new Map<number, ItemDocument | null>();
  const loading = cache.load([1, -5], first, "answer");
  answer("a");
  await loading;
  expect(first).toEqual(
    new Map([
      [1, { title: "a" }],
      [-5, null],
    ] as const),
  );
  const second = new Map<number, ItemDocument | null>();
  expect(cache.load([1, -5], second, "answer")).toBeUndefined();
  expect(second).toEqual(first);
  const third = cache.load([2], new Map(), "prefetch");
  answer("b");
  await third;
  void cache.load([1], new Map(), "prefetch");
  expect(asked).toEqual([[1, -5], [2], [1]]);
  expect(counted).toEqual({
    rec_ranking_details_hits_total: 2,
    rec_ranking_details_misses_total: 2,
  });
});

test("what changed while it was fetched is not kept", async () => {
  const { cache, asked, answer } = world();
  const found = new Map<number, ItemDocument | null>();
  const loading = cache.load([1], found, "answer");
  cache.drop([1]);
  answer("old");
  await loading;
  expect(found.get(1)).toEqual({ title: "old" });
  void cache.load([1], new Map(), "answer");
  expect(asked.length).toBe(2);
});
