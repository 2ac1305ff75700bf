import { expect, test } from "bun:test";
import { drawFeed } from "../../models/training/testing/feed-world.ts";
import { freshnessNames } from "../freshness.ts";
import { WeightsFreshness } from "./weights-freshness.ts";

const [sample] = drawFeed(1, 1).samples;
const { accepted, event } = freshnessNames.weights;

/** What was observed of whom, in order. */
function recorded() {
  const seen: [string, number][] = [];
  const metrics = {
    observe: (name: string | number, ms: number) => void seen.push([`${name}`, ms]),
  };
  const freshness = new WeightsFreshness(metrics, 1_000);
  const take = (emittedMs: number, moments: { eventMs?: number; acceptedMs?: number } = {}) =>
    freshness.take({ ...sample!, emittedMs, ...moments });
  return { seen, freshness, take };
}

test("a version has what was learned before the batch that it was judged on", () => {
  const { seen, freshness, take } = recorded();
  for (const emittedMs of [2_000, 2_010]) take(emittedMs);
  freshness.learned(true, 2_020);
  // The first version knew nothing of this life.
  expect(seen).toEqual([]);
  for (const emittedMs of [2_100, 2_110]) take(emittedMs);
  freshness.learned(true, 2_200);
  expect(seen).toEqual([["rec_freshness_sample_to_weights_ms", 200]]);
});

test("what is refused waits, and the oldest counts", () => {
  const { seen, freshness, take } = recorded();
  take(2_000, { eventMs: 1_500, acceptedMs: 1_900 });
  take(2_001, { eventMs: 100, acceptedMs: 1_950 });
  freshness.learned(false, 2_010);
  take(2_100, { eventMs: 2_050, acceptedMs: 2_050 });
  freshness.learned(false, 2_110);
  take(2_200);
  freshness.learned(true, 3_000);
  expect(seen).toEqual([
    ["rec_freshness_sample_to_weights_ms", 1_000],
    [accepted, 1_100],
    [event, 1_500],
  ]);
  freshness.learned(true, 4_000);
  expect(seen.slice(3)).toEqual([["rec_freshness_sample_to_weights_ms", 1_800]]);
});

test("what was emitted before this life is left out", () => {
  const { seen, freshness, take } = recorded();
  take(999, { eventMs: 900, acceptedMs: 950 });
  freshness.learned(false, 2_000);
  freshness.learned(true, 2_000);
  expect(seen).toEqual([]);
});
