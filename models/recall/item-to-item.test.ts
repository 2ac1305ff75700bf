import { describe, expect, test } from "bun:test";
import { Random } from "../core/random.ts";
import { historiesOf } from "./histories.ts";
import { emptyItemToItem, ItemToItemBuilder, itemToItemDefaults } from "./item-to-item.ts";

function build(lists: number[][], items: number, perItem: number, slice = 1e9) {
  const result = emptyItemToItem(items, perItem);
  const options = { ...itemToItemDefaults, perItem };
  const builder = new ItemToItemBuilder(historiesOf(lists, items), options, result);
  let steps = 1;
  while (!builder.step(slice)) steps++;
  return { result, steps };
}

/** The formula, straight from its definition. */
function weight(lists: number[][], i: number, j: number): number {
  const users = (item: number) => lists.filter((list) => list.includes(item));
  const both = lists.filter((list) => list.includes(i) && list.includes(j));
  const sum = both.reduce((total, list) => total + list.length ** -0.7, 0);
  return (sum / (users(i).length ** 0.5 * users(j).length ** 0.3)) ** 1.3;
}

function randomLists(random: Random, users: number, items: number): number[][] {
  return Array.from({ length: users }, () => {
    const length = 1 + random.int(8);
    return [...new Set(Array.from({ length }, () => random.int(items)))];
  });
}

describe("item-to-item", () => {
  test("weights follow the formula, best first, and hold no item itself", () => {
    const random = new Random(3);
    const lists = randomLists(random, 40, 15);
    const { result } = build(lists, 15, 15);
    for (let i = 0; i < 15; i++) {
      const expected = Array.from({ length: 15 }, (_, j) => (i === j ? 0 : weight(lists, i, j)));
      const places = result.neighbours.subarray(15 * i, 15 * i + 15);
      const kept = places.filter((row) => row >= 0);
      expect(kept.length).toBe(expected.filter((w) => w > 0).length);
      kept.forEach((row, place) => {
        expect(result.weights[15 * i + place]).toBeCloseTo(expected[row], 5);
      });
      const weights = result.weights.subarray(15 * i, 15 * i + kept.length);
      expect([...weights]).toEqual([...weights].sort((a, b) => b - a));
    }
  });

  test("keeps the best when there are more than fit", () => {
    const lists = randomLists(new Random(4), 60, 20);
    const few = build(lists, 20, 3).result;
    const all = build(lists, 20, 20).result;
    for (let i = 0; i < 20; i++) {
      expect([...few.neighbours.subarray(3 * i, 3 * i + 3)]).toEqual([
        ...all.neighbours.subarray(20 * i, 20 * i + 3),
      ]);
    }
  });

  test("slices give the same as one go", () => {
    const lists = randomLists(new Random(5), 60, 20);
    const sliced = build(lists, 20, 5, 10);
    expect(sliced.steps).toBeGreaterThan(5);
    expect(sliced.result).toEqual(build(lists, 20, 5).result);
  });

  test("no history, no neighbours", () => {
    const { result } = build([[], [2]], 4, 2);
    expect([...result.neighbours]).toEqual(Array(8).fill(-1));
  });
});
