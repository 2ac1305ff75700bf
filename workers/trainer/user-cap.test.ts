import { describe, expect, test } from "bun:test";
import type { Sample } from "../../models/training/sample.ts";
import { drawFeed } from "../../models/training/testing/feed-world.ts";
import { UserCap } from "./user-cap.ts";

const [one] = drawFeed(1, 1).samples;

/** A sample of each of these users. */
function samplesOf(users: readonly number[]): Sample[] {
  return users.map((userRow) => ({ ...one!, userRow }));
}

const flooder = 7;
const flood = (count: number) => samplesOf(Array<number>(count).fill(flooder));
const keptOf = (cap: UserCap, batch: readonly Sample[]) => cap.apply(batch).length;

describe("user cap", () => {
  test("what a flood sends does not raise its own bound", () => {
    const cap = new UserCap();
    const others = samplesOf(Array.from({ length: 40 }, (_, i) => 100 + (i % 4)));
    let kept = 0;
    for (let i = 0; i < 9; i++) kept += keptOf(cap, [...flood(60), ...others]) - others.length;
    // Four others with 90 each: four times as much, of 540.
    expect(kept).toBe(360);
  });

  test("restored it goes on as it was, also behind batches of which nothing was kept", () => {
    const cap = new UserCap();
    cap.apply(samplesOf([1, 2, 3, 4]));
    expect([1, 2, 3, 4].map(() => keptOf(cap, flood(20)))).toEqual([20, 0, 0, 0]);
    const again = new UserCap();
    again.restore(cap.save());
    const counts = (from: UserCap) => Array.from({ length: 12 }, () => keptOf(from, flood(20)));
    const expected = counts(cap);
    expect(expected).toContain(20);
    expect(counts(again)).toEqual(expected);
    expect(again.save()).toEqual(cap.save());
  });

  test("a state without the number of batches is read", () => {
    const cap = new UserCap();
    cap.apply(flood(20));
    cap.apply(samplesOf([1, 2]));
    const again = new UserCap();
    again.restore(cap.save().slice(1));
    expect(again.save()).toEqual(cap.save());
  });
});
