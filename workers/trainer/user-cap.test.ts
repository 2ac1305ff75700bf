import { describe, expect, test } from "bun:test";
import type { Sample } from "../../models/training/sample.ts";
import { drawFeed } from "../../models/training/testing/feed-world.ts";
import { UserCap } from "./user-cap.ts";

const [one] = drawFeed(1, 1).samples;
const heads = [{ seconds: false }, { seconds: true }];

/** A sample of each of these users; seconds alone make none positive. */
function samplesOf(users: readonly number[], label = 0): Sample[] {
  return users.map((userRow) => ({ ...one!, userRow, labels: Float32Array.of(label, 30) }));
}

const flooder = 7;
const flood = (count: number, label = 0) => samplesOf(Array<number>(count).fill(flooder), label);
const keptOf = (cap: UserCap, batch: readonly Sample[]) => cap.apply(batch).length;

describe("user cap", () => {
  test("what a flood sends does not raise its own bound", () => {
    const cap = new UserCap(heads);
    const others = samplesOf(Array.from({ length: 40 }, (_, i) => 100 + (i % 4)));
    let kept = 0;
    for (let i = 0; i < 9; i++) kept += keptOf(cap, [...flood(60), ...others]) - others.length;
    // Four others with 90 each: four times as much, of 540.
    expect(kept).toBe(360);
  });

  test("where there are few users, each may have what there is", () => {
    const cap = new UserCap(heads);
    const two = samplesOf(
      Array.from({ length: 100 }, (_, i) => i % 2),
      1,
    );
    const one = flood(100, 1);
    expect(Array.from({ length: 12 }, () => keptOf(cap, two))).toEqual(Array(12).fill(100));
    expect(keptOf(new UserCap(heads), one)).toBe(100);
  });

  test("positives have a bound of their own, by what happens to the others", () => {
    const keptOver = (labelOfOthers: number) => {
      const cap = new UserCap(heads);
      const others = Array.from({ length: 40 }, (_, i) => 100 + (i % 4));
      const batch = () => [...flood(60, 1), ...samplesOf(others, labelOfOthers)];
      return Array.from({ length: 9 }, () => keptOf(cap, batch()) - 40).reduce((a, b) => a + b);
    };
    expect(keptOver(0)).toBe(10);
    expect(keptOver(1)).toBe(360);
    const cap = new UserCap(heads);
    cap.apply(flood(10, 1));
    // Not her negatives alone either: she would seem to want nothing.
    expect(keptOf(cap, [...samplesOf([1, 2, 3]), ...flood(5)])).toBe(3);
  });

  test("restored it goes on as it was, also behind batches of which nothing was kept", () => {
    const cap = new UserCap(heads);
    cap.apply(samplesOf([1, 2, 3, 4]));
    expect([1, 2, 3, 4].map(() => keptOf(cap, flood(20)))).toEqual([20, 0, 0, 0]);
    const again = new UserCap(heads);
    again.restore(cap.save());
    const counts = (from: UserCap) => Array.from({ length: 12 }, () => keptOf(from, flood(20)));
    const expected = counts(cap);
    expect(expected).toContain(20);
    expect(counts(again)).toEqual(expected);
    expect(again.save()).toEqual(cap.save());
  });
});
