import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { SharedMetrics } from "../native/index.ts";
import {
  AnswerFreshness,
  type FreshnessStage,
  freshnessNames,
  holdForAnswer,
  observeFreshness,
} from "./freshness.ts";
import { counterNames, histogramNames } from "./metrics.ts";

const names = { counters: counterNames, histograms: histogramNames };
let metrics = SharedMetrics.create(names);
beforeEach(() => {
  metrics.release();
  metrics = SharedMetrics.create(names);
});
afterAll(() => metrics.release());

/** Count and sum, from acceptance and from the event. */
function seen(stage: FreshnessStage): { accepted: number[]; event: number[] } {
  const { histograms } = metrics.read();
  const of = (name: (typeof histogramNames)[number]) => {
    const { count, sum } = histograms[histogramNames.indexOf(name)]!;
    return [count, sum];
  };
  const { accepted, event } = freshnessNames[stage];
  return { accepted: of(accepted), event: of(event) };
}

test("both ways are counted; a clock that runs ahead counts as 0", () => {
  observeFreshness(metrics, "sample", { eventMs: 900, acceptedMs: 1_000 }, 1_050);
  observeFreshness(metrics, "sample", { eventMs: 1_300, acceptedMs: 1_000 }, 1_050);
  expect(seen("sample")).toEqual({ accepted: [2, 100], event: [2, 150] });
});

describe("used by an answer", () => {
  const hold = (acceptedMs: number, nowMs: number) =>
    holdForAnswer(metrics, { eventMs: acceptedMs - 1_000, acceptedMs }, nowMs);

  test("is what it took to count and the first answer that began afterwards", () => {
    const thread = new AnswerFreshness(metrics);
    thread.begin(0);
    hold(100, 130);
    // It began before the event counted.
    thread.end(0, 140);
    expect(seen("answer").accepted).toEqual([0, 0]);
    // Nobody asks for a while.
    thread.begin(9_000);
    thread.end(9_000, 9_005);
    expect(seen("answer")).toEqual({ accepted: [1, 35], event: [1, 1_035] });
    thread.begin(9_010);
    thread.end(9_010, 9_015);
    expect(seen("answer").accepted[0]).toBe(1);
  });

  test("the slowest of several events counts, once over all threads", () => {
    const threads = [new AnswerFreshness(metrics), new AnswerFreshness(metrics)];
    for (const acceptedMs of [190, 100, 195]) hold(acceptedMs, 200);
    for (const thread of threads) thread.begin(300);
    for (const thread of threads) thread.end(300, 310);
    expect(seen("answer")).toEqual({ accepted: [1, 110], event: [1, 1_110] });
  });

  test("waits for a request that is answered, and that did not begin before", () => {
    const thread = new AnswerFreshness(metrics);
    hold(100, 100);
    thread.begin(200);
    // That one failed; another that had begun earlier ends.
    thread.end(150, 260);
    expect(seen("answer").accepted[0]).toBe(0);
    thread.begin(270);
    thread.end(270, 272);
    expect(seen("answer").accepted).toEqual([1, 2]);
  });
});
