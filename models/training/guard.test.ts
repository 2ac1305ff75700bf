import { describe, expect, test } from "bun:test";
import { Random } from "../core/random.ts";
import { guardDefaults, PublishGuard } from "./guard.ts";
import { constantSchedule, rateScaleAt } from "./schedule.ts";

const fine = new Float32Array(4);

/** Losses of a hundred samples; the candidate's are worse by a share, with noise of its own. */
function losses(random: Random, worse: { live: number; anchor: number }) {
  const live = Array.from({ length: 100 }, () => 0.2 + random.exponential(0.3));
  const candidate = live.map((loss) => loss * (1 + worse.live) + 0.01 * random.normal());
  return { candidate, live, anchor: candidate.map((loss) => loss / (1 + worse.anchor)) };
}

describe("publish guard", () => {
  test("accepts what is as good, a thousand times", () => {
    const guard = new PublishGuard();
    const random = new Random(1);
    for (let i = 0; i < 1_000; i++) {
      const verdict = guard.judge(fine, losses(random, { live: 0, anchor: 0 }));
      expect(verdict.accepted).toBe(true);
    }
  });

  test("refuses what is clearly worse than live, and says by how much", () => {
    const verdict = new PublishGuard().judge(fine, losses(new Random(2), { live: 0.2, anchor: 0 }));
    expect(verdict.reason).toBe("worse than live");
    expect(verdict.towardsLive).toBeGreaterThan(0.05);
    expect(verdict.pairs).toBe(100);
  });

  test("refuses a slow slide that only the anchor shows", () => {
    const guard = new PublishGuard();
    const random = new Random(3);
    const verdict = guard.judge(fine, losses(random, { live: 0.01, anchor: 0.2 }));
    expect(verdict.reason).toBe("worse than anchor");
  });

  test("after a refusal a good candidate is accepted at once", () => {
    const guard = new PublishGuard();
    const random = new Random(4);
    expect(guard.judge(fine, losses(random, { live: 0.5, anchor: 0.5 })).accepted).toBe(false);
    expect(guard.judge(fine, losses(random, { live: 0, anchor: 0 })).accepted).toBe(true);
  });

  test("refuses what is not finite, weights or losses", () => {
    const guard = new PublishGuard();
    const random = new Random(5);
    const good = losses(random, { live: 0, anchor: 0 });
    expect(guard.judge(Float32Array.from([1, Infinity]), good).reason).toBe("not finite");
    const broken = { ...good, candidate: [Number.NaN, ...good.candidate.slice(1)] };
    expect(guard.judge(fine, broken).reason).toBe("not finite");
  });

  test("a broken live version does not stop a finite candidate", () => {
    const good = losses(new Random(6), { live: 0, anchor: 0 });
    const live = good.live.map(() => Number.NaN);
    expect(new PublishGuard().judge(fine, { ...good, live }).accepted).toBe(true);
  });

  test("few pairs do not condemn", () => {
    const bad = losses(new Random(7), { live: 1, anchor: 1 });
    const few = {
      candidate: bad.candidate.slice(0, 10),
      live: bad.live.slice(0, 10),
      anchor: bad.anchor.slice(0, 10),
    };
    const guard = new PublishGuard();
    for (let i = 0; i < 4; i++) expect(guard.judge(fine, few).accepted).toBe(true);
    expect(guard.judge(fine, few).accepted).toBe(guardDefaults.pairsMin > 50);
  });
});

describe("learning-rate schedule", () => {
  test("warms up, halves, and stays at its floor", () => {
    const options = { warmupSteps: 10, halfLifeSteps: 100, floor: 0.2 };
    expect(rateScaleAt(options, 0)).toBeCloseTo(0.1);
    expect(rateScaleAt(options, 9)).toBe(1);
    expect(rateScaleAt(options, 10)).toBe(1);
    expect(rateScaleAt(options, 110)).toBeCloseTo(0.5);
    expect(rateScaleAt(options, 100_000)).toBe(0.2);
    expect(rateScaleAt(constantSchedule, 1e9)).toBe(1);
  });
});
