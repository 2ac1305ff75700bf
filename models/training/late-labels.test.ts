import { describe, expect, test } from "bun:test";
import { nativeKernels } from "../../native/index.ts";
import { sigmoid } from "../core/numbers.ts";
import { Random } from "../core/random.ts";
import { HeadLosses } from "../layers/head-losses.ts";
import { type RankerLayout, type RankerShape, rankerLayout } from "../ranking/layout.ts";
import { createRanker } from "../ranking/ranker.ts";
import { fakeNegativeScales, takeBackNegatives } from "./late-labels.ts";
import type { Sample } from "./sample.ts";
import { feedHeads, feedShape } from "./testing/feed-world.ts";
import { MemoryVectors } from "./testing/memory-vectors.ts";
import { RankTrainer } from "./trainer.ts";

const weighted: RankerShape = {
  ...feedShape,
  heads: feedHeads.map((head) =>
    head.kind === "binary" ? { ...head, delayed: "fakeNegative" } : head,
  ),
};
const [like, convert] = [1, 2];
const coefficients = Float64Array.from([1, 0.5, 2, 0.7]);

/** A batch of one label a row, by hand. */
function batchOf(layout: RankerLayout, of: { primaries: number; rows: number; seed: number }) {
  const random = new Random(of.seed);
  const size = layout.heads * of.rows;
  return {
    ...{ primaries: of.primaries, rows: of.rows, stride: of.rows },
    labels: new Float32Array(size).fill(Number.NaN),
    logits: Float32Array.from({ length: size }, () => random.normal()),
    rowWeights: Float32Array.from({ length: of.rows }, (_, r) => 1 + (r % 3)),
    previous: new Float32Array(of.rows),
    logitsGradient: new Float32Array(size),
    losses: new Float32Array(size),
    coefficients,
  };
}

type Batch = ReturnType<typeof batchOf>;

/** Gradients by logits, as the trainer makes them; given scales are kept, else made anew. */
function gradientsOf(layout: RankerLayout, batch: Batch, kept?: Float32Array) {
  const scales = kept ?? new Float32Array(batch.labels.length);
  if (kept === undefined) fakeNegativeScales(layout, batch, scales);
  const columns = { ...batch, weights: batch.rowWeights, gradients: batch.logitsGradient, scales };
  new HeadLosses(nativeKernels(), layout, batch.rows).compute(columns, batch.rows, coefficients);
  takeBackNegatives(layout, batch);
  return { scales, gradients: batch.logitsGradient.slice(), losses: batch.losses.slice() };
}

describe("fake-negative weights", () => {
  const layout = rankerLayout(weighted);

  test("gradients are the slopes of the weighted loss, weights held", () => {
    const batch = batchOf(layout, { primaries: 6, rows: 9, seed: 3 });
    for (let r = 0; r < 9; r++) {
      for (const h of r < 6 ? [0, like, convert] : [r % 3]) {
        batch.labels[h * 9 + r] = r < 6 ? (r + h) % 2 : 1;
      }
    }
    const { scales, gradients } = gradientsOf(layout, batch);
    const lossAt = () => {
      const { losses } = gradientsOf(layout, batch, scales);
      return losses.reduce((sum, loss, i) => sum + coefficients[Math.floor(i / 9)]! * loss, 0);
    };
    for (let i = 0; i < 3 * 9; i++) {
      const kept = batch.logits[i]!;
      const [up, down] = [0.02, -0.02].map((step) => {
        batch.logits[i] = kept + step;
        return lossAt();
      });
      batch.logits[i] = kept;
      expect(Math.abs((up! - down!) / 0.04 - gradients[i]!)).toBeLessThan(2e-3);
    }
  });

  /** What a negative and its correction, and the label at once, say of one impression. */
  function bothWays(of: RankerLayout, h: number, seed: number) {
    const late = batchOf(of, { primaries: 1, rows: 2, seed });
    const prompt = batchOf(of, { primaries: 1, rows: 1, seed });
    for (let head = 0; head < of.heads; head++) {
      const logit = late.logits[head * 2]!;
      late.logits[head * 2 + 1] = logit;
      prompt.logits[head] = logit;
    }
    late.rowWeights.fill(1);
    late.labels.set([0, 1], h * 2);
    prompt.labels[h] = 1;
    const [two, one] = [gradientsOf(of, late).gradients, gradientsOf(of, prompt).gradients];
    const given = of.givenHead[h]!;
    const chance = (head: number) => sigmoid(prompt.logits[head]!);
    const p = chance(h) * (given < 0 ? 1 : chance(given));
    return { p, late: two[h * 2]! + two[h * 2 + 1]!, prompt: one[h]!, logit: prompt.logits[h]! };
  }

  for (const h of [like, convert]) {
    const { name } = feedHeads[h]!;

    test(`${name}: late or in time, a positive says the same`, () => {
      for (let seed = 1; seed <= 20; seed++) {
        const { late, prompt } = bothWays(layout, h, seed);
        expect(Math.abs(late - prompt)).toBeLessThan(1e-5);
        const taken = bothWays(rankerLayout(feedShape), h, seed);
        expect(Math.abs(taken.late - taken.prompt)).toBeLessThan(1e-5);
      }
    });

    test(`${name}: that is the true label's gradient times 1 - p^2`, () => {
      for (let seed = 1; seed <= 20; seed++) {
        const { p, late } = bothWays(layout, h, seed);
        const full = bothWays(rankerLayout(feedShape), h, seed);
        expect(Math.abs(late - (1 - p * p) * full.prompt)).toBeLessThan(1e-5);
      }
    });
  }

  test("heads that do not ask for it, and seconds, weigh 1", () => {
    const batch = batchOf(layout, { primaries: 2, rows: 4, seed: 5 });
    const scales = new Float32Array(batch.labels.length);
    fakeNegativeScales(layout, batch, scales);
    expect([...scales.subarray(3 * 4)]).toEqual([1, 1, 1, 1]);
    fakeNegativeScales(rankerLayout(feedShape), batch, scales);
    expect([...scales]).toEqual(Array.from({ length: 16 }, () => 1));
  });

  test("seconds have no choice", () => {
    const heads = feedHeads.map((head) => ({ ...head, delayed: "fakeNegative" as const }));
    expect(() => rankerLayout({ ...feedShape, heads })).toThrow("only binary heads");
  });
});

describe("a rate of .6 whose positives mostly come late", () => {
  const rate = 0.6;
  const random = new Random(8);
  const only = (label: number) =>
    Float32Array.from(feedHeads, (_, h) => (h === like ? label : Number.NaN));
  const base: Sample = {
    ...{ kind: "primary", position: 0, userRow: 0, itemRow: 0, categoryRow: 0, weight: 1 },
    ...{ servedMs: 0, emittedMs: 0, requestId: [0, 0, 0, 0], labels: only(0) },
    userDense: new Float32Array(feedShape.userWidth),
    itemDense: new Float32Array(feedShape.itemWidth),
  };
  /** In the order of a log: a correction some hundred samples after its primary. */
  const log: Sample[] = [];
  const later: Sample[][] = [];
  for (let i = 0; i < 40_000; i++) {
    const happens = random.next() < rate;
    const isPrompt = happens && random.next() < 0.2;
    log.push({ ...base, labels: only(isPrompt ? 1 : 0) });
    if (happens && !isPrompt) {
      const at = i + 50 + random.int(200);
      later[at] = [...(later[at] ?? []), { ...base, kind: "correction", labels: only(1) }];
    }
    log.push(...(later[i] ?? []));
  }

  for (const [name, shape] of Object.entries({ fakeNegative: weighted, takeBack: feedShape })) {
    test(`is learned by ${name}`, () => {
      expect(learnedRate(shape, log)).toBeCloseTo(rate, 1);
    });
  }

  test("and missed by who forgets corrections", () => {
    const primaries = log.filter(({ kind }) => kind === "primary");
    expect(learnedRate(weighted, primaries)).toBeLessThan(0.2);
  });

  function learnedRate(shape: RankerShape, samples: readonly Sample[]): number {
    const ranker = createRanker(shape);
    const initial = new Float32Array(ranker.floats);
    ranker.initialise(new Random(1), initial);
    const tables = {
      users: new MemoryVectors(shape.userEmbedding),
      items: new MemoryVectors(shape.itemEmbedding),
    };
    const optimizer = {
      ...{ kind: "adam" as const, learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    };
    const trainer = new RankTrainer(ranker, tables, initial, { optimizer });
    for (let from = 0; from < samples.length; from += 100) {
      trainer.learn(samples.slice(from, from + 100));
    }
    const out = new Float32Array(shape.heads.length);
    const vectors = {
      userVector: new Float32Array(shape.userEmbedding),
      itemVectors: new Float32Array(shape.itemEmbedding),
    };
    const { userDense, itemDense } = base;
    ranker.score({ weights: trainer.weights, userDense, itemDense, ...vectors, count: 1 }, out);
    return out[like]!;
  }
});
