import { describe, expect, test } from "bun:test";
import { text } from "../../models/core/bytes.ts";
import { ManualClock } from "../../models/core/clock.ts";
import { createFallback } from "./fallback.ts";
import type { RankingCall } from "./messages.ts";
import { recommendOf } from "./testing/recommend-of.ts";
import { attributesOf, smallState, startMs } from "./testing/small-world.ts";

function world() {
  const state = smallState(40);
  const clock = new ManualClock(startMs);
  const fallback = createFallback({ state, trending: state.trending, clock });
  const ids = (call: RankingCall): string[] => {
    const answer = JSON.parse(text(fallback(call)));
    expect(answer.degraded).toEqual(["ranking"]);
    expect(answer.model).toBeNull();
    return answer.items.map(({ id }: { id: string }) => id);
  };
  return { state, ids };
}

const recommend = (values: Parameters<typeof recommendOf>[0]): RankingCall => ({
  kind: "recommend",
  request: recommendOf({ n: 3, ...values }),
});

describe("fallback", () => {
  test("gives what trends, without what may not be shown", () => {
    const { state, ids } = world();
    expect(ids(recommend({}))).toEqual(["i0", "i1", "i2"]);
    state.itemAttributes.write(1, attributesOf({ hidden: true }));
    state.itemAttributes.write(2, attributesOf({ deleted: true }));
    state.itemAttributes.write(3, attributesOf({ expiresAtMs: startMs }));
    expect(ids(recommend({ exclude: ["i4"] }))).toEqual(["i0", "i5", "i6"]);
    expect(ids(recommend({ categories: ["c5"] }))).toEqual(["i5", "i13", "i21"]);
    expect(ids(recommend({ categories: ["nowhere"] }))).toEqual([]);
  });

  test("ranks given items in their order, knows no similar ones, lists a category", () => {
    const { ids } = world();
    const requestId = [1, 1, 1, 1] as const;
    const base = { requestId, n: 2, details: false };
    const rank = { ...base, user: null, weights: null, explain: false };
    const items = ["i9", "nowhere", "i2"];
    expect(ids({ kind: "rank", request: { ...rank, items } })).toEqual(["i9", "i2"]);
    expect(ids({ kind: "similar", request: { ...base, item: "i1" } })).toEqual([]);
    const popular = (category: string | null) =>
      ids({ kind: "popular", request: { ...base, category } });
    expect(popular("c3")).toEqual(["i3", "i11"]);
    expect(popular("nowhere")).toEqual([]);
    expect(popular(null)).toEqual(["i0", "i1"]);
  });
});
