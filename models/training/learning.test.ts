import { describe, expect, test } from "bun:test";
import feed from "../definition/default.ts";
import type { LearningDefinition } from "../definition/define.ts";
import { learningOf } from "./learning.ts";
import { rateScaleAt } from "./schedule.ts";
import { trainerDefaults } from "./trainer.ts";

describe("learning-rate schedule", () => {
  const options = { warmupSteps: 10, halfLifeSamples: 1_000, floor: 0.2 };

  test("warms up, halves, and stays at its floor", () => {
    const at = (step: number, samples: number) => rateScaleAt(options, { step, samples });
    expect(at(0, 0)).toBeCloseTo(0.1);
    expect(at(9, 0)).toBe(1);
    expect(at(100, 1_000)).toBeCloseTo(0.5);
    expect(at(100_000, 1e9)).toBe(0.2);
    // An optimizer that begins again, as after a refusal, does not forget how much was learned.
    expect(at(0, 1_000)).toBeCloseTo(0.05);
  });

  test("without a half-life the rate stays", () => {
    const { schedule } = trainerDefaults;
    expect(rateScaleAt(schedule, { step: 1e6, samples: 1e9 })).toBe(1);
  });
});

describe("what a definition says of learning", () => {
  test("nothing said is the defaults", () => {
    const { optimizer, schedule, userEmbedding, itemEmbedding } = trainerDefaults;
    const rest = { optimizer, schedule, userEmbedding, itemEmbedding };
    expect(learningOf(feed)).toEqual({ ...rest, lossWeights: "uncertainty" });
  });

  test("what is said counts, and the rest stays", () => {
    const learning = {
      ...{ rate: 0.01, halfLifeSamples: 5_000, floor: 0.3 },
      itemIds: { rate: 0.2, admission: 3, expiryDays: 2, decay: 0.9 },
    };
    const { optimizer, schedule, userEmbedding, itemEmbedding } = learningOf({ ...feed, learning });
    expect(optimizer).toEqual({ ...trainerDefaults.optimizer, learningRate: 0.01 });
    expect(schedule).toMatchObject({ halfLifeSamples: 5_000, floor: 0.3 });
    expect(userEmbedding).toEqual(trainerDefaults.userEmbedding);
    const said = { learningRate: 0.2, admission: 3, expiryMs: 48 * 3_600_000, decay: 0.9 };
    expect(itemEmbedding).toMatchObject(said);
  });

  test("rows of hashed ids are learned at once, or after as many meetings as is said", () => {
    const ranking = { ...feed.ranking, itemIds: { kind: "hashed", rows: 10 } } as const;
    const { userEmbedding, itemEmbedding } = learningOf({ ...feed, ranking });
    expect([userEmbedding.admission, itemEmbedding.admission]).toEqual([2, 0]);
    const learning = { itemIds: { admission: 4 } };
    expect(learningOf({ ...feed, ranking, learning }).itemEmbedding.admission).toBe(4);
  });

  test("what is out of range is refused with its place", () => {
    const wrong: [LearningDefinition, string][] = [
      [{ rate: 0 }, "learning.rate"],
      [{ floor: 2 }, "learning.floor"],
      [{ halfLifeSamples: Number.NaN }, "learning.halfLifeSamples"],
      [{ userIds: { admission: 256 } }, "learning.userIds.admission"],
      [{ userIds: { rate: 0 } }, "learning.userIds.rate"],
      [{ itemIds: { decay: -0.1 } }, "learning.itemIds.decay"],
      [{ itemIds: { expiryDays: 0 } }, "learning.itemIds.expiryDays"],
    ];
    for (const [learning, path] of wrong) {
      expect(() => learningOf({ ...feed, learning })).toThrow(path);
    }
  });
});
