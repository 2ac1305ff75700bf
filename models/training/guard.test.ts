import { describe, expect, test } from "bun:test";
import { Random } from "../core/random.ts";
import { type GuardOptions, type JudgedBatch, PublishGuard } from "./guard.ts";
import { modelScores } from "./scores.ts";

const rows = 100;
const heads = [
  { name: "ctr", seconds: false },
  { name: "watch", seconds: true },
];

interface Drawn {
  /** Factors on the odds that a model gives, 1 is right. */
  readonly candidate?: number;
  readonly live?: number;
  readonly anchor?: number;
  /** Share of the labels that are turned round. */
  readonly inverted?: number;
  readonly norm?: number;
  /** Standard deviation of the logits; default 1. */
  readonly spread?: number;
}

const logistic = (z: number) => 1 / (1 + Math.exp(-z));

/** A hundred impressions with chances of their own; each model is off by a factor on the odds. */
function batch(random: Random, drawn: Drawn = {}): JudgedBatch {
  const models = [drawn.candidate ?? 1, drawn.live ?? 1, drawn.anchor ?? 1].map((factor) => {
    return { factor, scores: modelScores(heads.length, rows) };
  });
  const labels = new Float32Array(heads.length * rows);
  for (let r = 0; r < rows; r++) {
    const z = -2 + (drawn.spread ?? 1) * random.normal();
    const happened = random.next() < logistic(z);
    labels[r] = random.next() < (drawn.inverted ?? 0) !== happened ? 1 : 0;
    labels[rows + r] = 0.5;
    for (const { factor, scores } of models) {
      const p = logistic(z + Math.log(factor) + 0.05 * random.normal());
      const loss = -Math.log(labels[r] === 1 ? p : 1 - p);
      scores.predictions[r] = p;
      scores.predictions[rows + r] = 0.5;
      scores.headLosses[r] = loss;
      scores.losses[r] = loss;
    }
  }
  const [candidate, live, anchor] = models.map(({ scores }) => scores);
  return {
    ...{ rows, stride: rows, labels, weights: new Float32Array(rows).fill(1) },
    users: Uint32Array.from({ length: rows }, (_, r) => r),
    ...{ candidateNorm: drawn.norm ?? 10, anchorNorm: 10 },
    ...{ candidate: candidate!, live: live!, anchor: anchor!, elder: anchor! },
  };
}

function guardOf(options: Partial<GuardOptions> = {}): PublishGuard {
  return new PublishGuard(heads, options);
}

/** Judges until it refuses; how many batches it took, and the verdict. */
function refusedAfter(guard: PublishGuard, next: () => JudgedBatch, most = 40) {
  for (let i = 1; i <= most; i++) {
    const verdict = guard.judge(next());
    if (!verdict.accepted) return { batches: i, verdict };
  }
  return null;
}

/** A guard whose anchor was taken on a full window of good samples. */
function anchoredGuard(random: Random, drawn: Drawn = {}): PublishGuard {
  const guard = guardOf();
  for (let i = 0; i < 100; i++) guard.judge(batch(random, drawn));
  guard.anchorTaken();
  guard.elderTaken(true);
  return guard;
}

describe("publish guard", () => {
  test("accepts what is as good, a thousand times", () => {
    const random = new Random(1);
    for (const spread of [1, 0.5]) {
      const guard = anchoredGuard(random, { spread });
      for (let i = 0; i < 1_000; i++) {
        expect(guard.judge(batch(random, { spread })).reason).toBe("fine");
      }
    }
  });

  test("refuses what is clearly worse than live, and says by how much", () => {
    const random = new Random(2);
    const found = refusedAfter(guardOf(), () => batch(random, { candidate: 2 }));
    expect(found?.verdict.reason).toBe("worse than live");
    expect(found?.verdict.towardsLive).toBeGreaterThan(0.01);
    expect(found?.verdict.detail).toMatch(/^by 0\.\d+ of 0\.\d+ nats over \d+ samples$/);
    expect(found?.batches).toBeLessThan(15);
  });

  test("refuses a slow slide that only the anchor shows", () => {
    const random = new Random(3);
    const slid = { candidate: 2.2, live: 2.2 };
    const found = refusedAfter(guardOf(), () => batch(random, slid));
    expect(found?.verdict.reason).toBe("worse than anchor");
  });

  test("refuses what is not finite, weights or losses, and norms out of bounds", () => {
    const random = new Random(5);
    expect(guardOf().judge(batch(random, { norm: Number.NaN })).reason).toBe("not finite");
    const broken = batch(random);
    broken.candidate.losses[7] = Number.NaN;
    expect(guardOf().judge(broken).reason).toBe("not finite");
    expect(guardOf().judge(batch(random, { norm: 21 })).reason).toBe("norm");
  });

  test("a broken live version does not stop a finite candidate", () => {
    const good = batch(new Random(6));
    good.live.losses.fill(Number.NaN);
    expect(guardOf().judge(good).accepted).toBe(true);
  });

  test("refuses predictions that are far off the labels in sum, unless live's are as far", () => {
    const random = new Random(7);
    const off = { margin: 10, anchorMargin: 10 };
    const found = refusedAfter(guardOf(off), () => batch(random, { candidate: 8 }));
    expect(found?.verdict.reason).toBe("calibration");
    expect(found?.verdict.detail).toMatch(/^ctr predicts [2-9]\.\d+ times what comes$/);
    const both = () => batch(random, { candidate: 8, live: 8 });
    expect(refusedAfter(guardOf(off), both)).toBeNull();
  });

  for (const [name, inverted] of [
    ["all labels inverted", 1],
    ["a fifth of them", 0.2],
  ] as const) {
    test(`${name}: refused even where the candidate agrees with them`, () => {
      const random = new Random(8);
      const guard = anchoredGuard(random);
      // Better than live and anchor on what comes now: no comparison would speak against it.
      const candidate = inverted === 1 ? 50 : 2.5;
      const found = refusedAfter(guard, () => batch(random, { inverted, candidate }));
      expect(found?.verdict.reason).toBe("labels contradict the elder");
    });
  }

  test("labels that turn slowly are refused early, even where clicks hardly have an order", () => {
    const random = new Random(18);
    const spread = 0.5;
    const guard = anchoredGuard(random, { spread });
    // A share that grows from 0 to 1 over a thousand batches; the candidate follows the rates.
    let turned = 0;
    const next = () => {
      turned += 0.001;
      return batch(random, { spread, inverted: turned, candidate: 1 + 5 * turned });
    };
    const found = refusedAfter(guard, next, 1_000);
    expect(found?.verdict.reason).toBe("labels contradict the elder");
    expect(turned).toBeLessThan(0.15);
    // Versions that went live have learned of it; of labels that turn at once none has.
    expect(found?.verdict.toElder).toBe(true);
    const atOnce = () => batch(random, { spread, inverted: 1 });
    const sudden = refusedAfter(anchoredGuard(random, { spread }), atOnce);
    expect(sudden?.verdict).toMatchObject({ reload: true, toElder: false });
  });

  test("an anchor is held to the best that it has shown, not to what it was taken with", () => {
    const random = new Random(20);
    const partly = { inverted: 0.15, candidate: 2.2, live: 2.2 };
    const guard = anchoredGuard(random, partly);
    const reasons = (drawn: Drawn) =>
      Array.from({ length: 120 }, () => guard.judge(batch(random, drawn)).reason);
    expect(reasons(partly)).not.toContain("labels contradict the elder");
    expect(reasons({})).not.toContain("labels contradict the elder");
    expect(reasons(partly)).toContain("labels contradict the elder");
  });

  test("labels in doubt stay so until fresh ones have shown the order again", () => {
    const random = new Random(19);
    const spread = 0.5;
    const guard = anchoredGuard(random, { spread });
    const reasons = (share: number, count: number) =>
      Array.from({ length: count }, () => {
        const { reason, reload } = guard.judge(batch(random, { spread, inverted: share }));
        if (reason === "labels contradict the elder") expect(reload).toBe(true);
        return reason;
      });
    expect(reasons(1, 20)).toContain("labels contradict the elder");
    // Nor in between, where old and new labels in the windows cancel out.
    expect(new Set(reasons(1, 300))).toEqual(new Set(["labels contradict the elder"]));
    const after = reasons(0, 400);
    expect(after.slice(0, 15)).toEqual(Array(15).fill("labels contradict the elder"));
    expect(after.slice(-100)).toEqual(Array(100).fill("fine"));
  });

  test("slates that become alike contradict nobody: that leaves the slope as it was", () => {
    const random = new Random(16);
    const guard = anchoredGuard(random);
    expect(refusedAfter(guard, () => batch(random, { spread: 0.1 }))).toBeNull();
    const found = refusedAfter(guard, () => batch(random, { inverted: 0.2, candidate: 2.5 }));
    expect(found?.verdict.reason).toBe("labels contradict the elder");
  });

  test("an anchor that is not mature says nothing about labels", () => {
    const random = new Random(9);
    const guard = guardOf();
    for (let i = 0; i < 20; i++) guard.judge(batch(random));
    guard.anchorTaken();
    guard.elderTaken(false);
    const next = () => batch(random, { inverted: 0.2, candidate: 2.5 });
    expect(refusedAfter(guard, next)).toBeNull();
  });

  test("after a refusal it waits for fresh pairs, twice as many each time, then accepts", () => {
    const random = new Random(10);
    const guard = guardOf();
    const wait = () => {
      for (let batches = 1; ; batches++) {
        const { accepted, reason } = guard.judge(batch(random));
        if (accepted) return batches;
        expect(reason).toBe("probation");
      }
    };
    guard.judge(batch(random, { norm: 99 }));
    expect(wait()).toBe(5);
    for (let i = 0; i < 2; i++) guard.judge(batch(random, { norm: 99 }));
    expect(guard.refusals).toBe(2);
    expect(wait()).toBe(10);
    expect(guard.refusals).toBe(0);
  });

  test("refusals that go on ask for the last good state, ever more rarely", () => {
    const random = new Random(11);
    const guard = guardOf();
    const reloads: number[] = [];
    for (let i = 1; i <= 30; i++) {
      if (guard.judge(batch(random, { norm: 99 })).reload) reloads.push(i);
    }
    expect(reloads).toEqual([3, 6, 12, 24]);
  });

  test("saved and restored it goes on with the same verdicts", () => {
    const random = new Random(12);
    const guard = anchoredGuard(random);
    guard.judge(batch(random, { norm: 99 }));
    const again = guardOf();
    again.restore(guard.save());
    const [a, b] = [new Random(13), new Random(13)];
    for (let i = 0; i < 60; i++) {
      const drawn = { inverted: i > 20 ? 0.3 : 0 };
      expect(again.judge(batch(b, drawn))).toEqual(guard.judge(batch(a, drawn)));
    }
    expect(again.save()).toEqual(guard.save());
  });

  test("where nothing happens, differences of next to nothing condemn nobody", () => {
    const quiet = (): JudgedBatch => {
      const one = batch(new Random(15), {});
      one.labels.fill(0);
      one.candidate.losses.fill(2e-4);
      one.live.losses.fill(1e-4);
      one.anchor.losses.fill(1e-4);
      return one;
    };
    expect(refusedAfter(guardOf(), quiet)).toBeNull();
    const found = refusedAfter(guardOf({ floorNats: 0 }), quiet);
    expect(found?.verdict.reason).toBe("worse than live");
    // Twenty times the floor, and no labels either: that is not nothing.
    const loud = () => {
      const one = quiet();
      one.candidate.losses.fill(0.02);
      return one;
    };
    expect(refusedAfter(guardOf(), loud)?.batches).toBe(1);
  });

  test("one user's labels are not taken for everybody's", () => {
    const flooded = (random: Random, userOf: (row: number) => number) => () => {
      const one = batch(random);
      one.labels.fill(1, 0, 20);
      one.users.set(Array.from({ length: 20 }, (_, r) => userOf(r)));
      return one;
    };
    const ofMany = flooded(new Random(16), (r) => r);
    const found = refusedAfter(anchoredGuard(new Random(17)), ofMany);
    expect(found?.verdict.reason).toBe("labels contradict the elder");
    const ofOne = flooded(new Random(16), () => 7);
    expect(refusedAfter(anchoredGuard(new Random(17)), ofOne)).toBeNull();
  });

  test("few pairs do not condemn", () => {
    const random = new Random(14);
    const guard = guardOf({ pairsMin: 1_000 });
    for (let i = 0; i < 9; i++) {
      expect(guard.judge(batch(random, { candidate: 5 })).accepted).toBe(true);
    }
    expect(refusedAfter(guard, () => batch(random, { candidate: 5 }))?.batches).toBe(1);
  });
});
