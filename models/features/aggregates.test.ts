import { expect, test } from "bun:test";
import feed from "../definition/default.ts";
import { scopeNames, type WindowFeature } from "../definition/define.ts";
import example from "../definition/examples/aggregates.ts";
import { limits } from "../limits.ts";
import { aggregateColumns, aggregatesOf, updatesPerItem, wantedSources } from "./aggregates.ts";
import { impressionIndex } from "./catalog.ts";
import { updatesPerRecord } from "./window.ts";

const clicks: WindowFeature = {
  ...{ name: "x", scope: "user", window: "1h", interaction: "click" },
  ...{ kind: "logDistinct", of: "item" },
};

/** The aggregates of users where one more feature asks. */
const withOne = (feature: WindowFeature) =>
  aggregatesOf({ ...feed, features: [...feed.features, feature] }, feature.scope);

test("nothing is kept where no feature asks, and what two ask for once", () => {
  for (const scope of scopeNames) {
    expect(aggregatesOf(feed, scope)).toEqual([]);
    expect(wantedSources(feed, scope).every((mask) => mask === 0)).toBe(true);
  }
  const window = { paneMs: 300_000, panes: 12 };
  const wanted = [{ counter: 1, source: 2, kind: "distinct" as const, window }];
  expect(withOne(clicks)).toEqual(wanted);
  const features = [...feed.features, clicks, { ...clicks, name: "y" }];
  expect(aggregatesOf({ ...feed, features }, "user")).toEqual(wanted);
  const columns = aggregateColumns({ ...feed, features }, "user");
  expect(columns.filter((column) => column !== undefined)).toEqual([0, 0]);
});

test("features that cannot be are refused by name", () => {
  const { of: _of, ...noMember } = clicks;
  expect(() => withOne(noMember)).toThrow("x: user counts distinct item or category");
  expect(() => withOne({ ...clicks, of: "user" })).toThrow("x: user counts");
  expect(() => withOne({ ...clicks, kind: "maxValue" })).toThrow("x: only interactions in seconds");
  const decayed: WindowFeature = { ...clicks, kind: "logDecayed", window: "total" };
  expect(() => withOne(decayed)).toThrow("x: a decayed count needs halfLifeMs");
  const inWindow = { ...decayed, window: "1h", halfLifeMs: 1_000 };
  expect(() => withOne(inWindow)).toThrow("x: a decayed count has no window but total");
});

test("the largest slate has a number for each update of the example", () => {
  const counter = impressionIndex(example);
  expect(updatesPerItem(example, counter)).toBeGreaterThan(updatesPerItem(feed, counter));
  expect(limits.slateItemsMax * updatesPerItem(example, counter)).toBeLessThan(updatesPerRecord);
});
