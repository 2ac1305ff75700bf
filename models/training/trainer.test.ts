import { describe, expect, test } from "bun:test";
import { EmbeddingTable } from "../../native/index.ts";
import { Random } from "../core/random.ts";
import { auc } from "../evaluation/auc.ts";
import { createRanker } from "../ranking/ranker.ts";
import { adagradDefault } from "./optimizer.ts";
import type { Sample } from "./sample.ts";
import { modelScores } from "./scores.ts";
import { drawFeed, feedShape } from "./testing/feed-world.ts";
import { MemoryVectors } from "./testing/memory-vectors.ts";
import { type ModelVersion, RankTrainer, type TrainerOptions, trainerDefaults } from "./trainer.ts";

interface Setup {
  readonly trainer: RankTrainer;
  readonly users: MemoryVectors;
  readonly items: MemoryVectors;
}

const fast: Partial<TrainerOptions> = {
  optimizer: { kind: "adam", learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  metricsWindow: 2_000,
};

function setup(options: Partial<TrainerOptions> = fast, tables?: Partial<Setup>): Setup {
  const ranker = createRanker(feedShape);
  const initial = new Float32Array(ranker.floats);
  ranker.initialise(new Random(1), initial);
  const users = tables?.users ?? new MemoryVectors(feedShape.userEmbedding);
  const items = tables?.items ?? new MemoryVectors(feedShape.itemEmbedding);
  return { trainer: new RankTrainer(ranker, { users, items }, initial, options), users, items };
}

function learnInBatches(trainer: RankTrainer, samples: readonly Sample[], size = 100): void {
  for (let from = 0; from < samples.length; from += size) {
    trainer.learn(samples.slice(from, from + size));
  }
}

/** Loss of each sample under a version. */
function lossesOf(
  trainer: RankTrainer,
  samples: readonly Sample[],
  model: ModelVersion,
): Float64Array {
  const out = modelScores(trainer.heads.length, trainer.batchMax);
  const parts: number[] = [];
  for (let from = 0; from < samples.length; from += trainer.batchMax) {
    const { rows } = trainer.load(samples.slice(from, from + trainer.batchMax));
    trainer.score(model, out);
    parts.push(...out.losses.subarray(0, rows));
  }
  return Float64Array.from(parts);
}

const rateOf = (samples: readonly Sample[]) =>
  samples.filter(({ labels }) => labels[0] === 1).length / samples.length;

const sumOf = (values: Float64Array) => values.reduce((total, value) => total + value, 0);

const feed = drawFeed(40_000, 7);

function headOf(trainer: RankTrainer, head: string) {
  return trainer.metrics().find((one) => one.head === head)!;
}

describe("learning", () => {
  for (const [name, options, gap] of [
    ["Adam, uncertainty weights", fast, 0.02],
    ["Adam, fixed weights", { ...fast, lossWeights: [1, 1, 1, 0.5] }, 0.02],
    ["Adagrad, slower from scratch", { ...fast, optimizer: adagradDefault }, 0.07],
  ] as const) {
    test(`finds what the feed draws from: ${name}`, () => {
      const { trainer } = setup(options);
      learnInBatches(trainer, feed.samples);
      const last = feed.truths.slice(-2_000);
      const clicks = feed.samples.slice(-2_000).map((sample) => sample.labels[0]!);
      const best = auc({ scores: last.map((truth) => truth.ctr), labels: clicks });
      const ctr = headOf(trainer, "ctr");
      expect(best).toBeGreaterThan(0.7);
      expect(ctr.auc).toBeGreaterThan(best - gap);
      expect(ctr.auc).toBeLessThan(best + 0.01);
      for (const metrics of trainer.metrics()) {
        expect(metrics.count).toBe(2_000);
        expect(Math.abs(Math.log(metrics.calibration))).toBeLessThan(0.2);
      }
      expect(headOf(trainer, "watch").loss).toBeLessThan(0.75);
    });
  }

  test("an importance weight counts in the loss, the base rate and calibration", () => {
    // Half of the negatives, each for two: what comes out is of the whole stream.
    const isKept = ({ labels }: Sample, i: number) => labels[0] === 1 || i % 2 === 0;
    const thinned = feed.samples
      .filter(isKept)
      .map((sample) => ({ ...sample, weight: sample.labels[0] === 1 ? 1 : 2 }));
    const metrics = [feed.samples, thinned].map((samples) => {
      const { trainer } = setup({ ...fast, metricsWindow: 10_000, lossWeights: [1, 0, 0, 0] });
      learnInBatches(trainer, samples);
      return headOf(trainer, "ctr");
    });
    const far = (of: "base" | "calibration" | "loss" | "auc") =>
      Math.abs(metrics[1]![of] - metrics[0]![of]);
    expect(far("base")).toBeLessThan(0.02);
    expect(far("calibration")).toBeLessThan(0.1);
    expect(far("loss")).toBeLessThan(0.05);
    expect(far("auc")).toBeLessThan(0.03);
    // Taken for what they are, half of the negatives would be missing.
    expect(metrics[1]!.base).toBeLessThan(0.9 * rateOf(thinned));
  });

  test("the grouped AUC is of known users, within each", () => {
    const { trainer } = setup();
    learnInBatches(trainer, feed.samples.slice(0, 10_000));
    const { auc: all, gauc } = headOf(trainer, "ctr");
    // Users of the feed are alike but for their features: within one it is as hard as over all.
    expect(Math.abs(gauc - all)).toBeLessThan(0.03);
    expect(headOf(trainer, "watch").gauc).toBeNaN();
  });

  test("metrics are of predictions made before learning: a first batch knows nothing", () => {
    const { trainer } = setup();
    trainer.learn(feed.samples.slice(0, 500));
    expect(headOf(trainer, "ctr").auc).toBeLessThan(0.65);
  });

  test("ESMM finds the conversion rate of all impressions from the clicked alone", () => {
    const { trainer } = setup({ ...fast, lossWeights: [1, 0, 5, 0] });
    learnInBatches(trainer, feed.samples);
    const { samples, truths } = drawFeed(1_000, 99);
    const ranker = createRanker(feedShape);
    let predicted = 0;
    let true_ = 0;
    const heads = new Float32Array(4);
    for (const [i, sample] of samples.entries()) {
      ranker.score(
        {
          weights: trainer.weights,
          userDense: sample.userDense,
          userVector: new Float32Array(3),
          itemDense: sample.itemDense,
          itemVectors: new Float32Array(2),
          count: 1,
        },
        heads,
      );
      predicted += heads[2]!;
      true_ += truths[i]!.cvr;
    }
    expect(Math.abs(predicted / true_ - 1)).toBeLessThan(0.15);
  });

  test("the place explains what the model need not: serving predicts for position 0", () => {
    const random = new Random(5);
    const samples = feed.samples.slice(0, 6_000).map((sample) => {
      const position = random.int(4);
      const seen = random.next() < 1 / (1 + position);
      const labels = seen ? sample.labels : new Float32Array(4);
      return { ...sample, position, labels };
    });
    const { trainer } = setup();
    learnInBatches(trainer, samples);
    const { positionBias, heads } = createRanker(feedShape).layout;
    const biases = [0, 1, 2, 3].map((p) => trainer.weights[positionBias + p * heads]!);
    expect(biases[0]).toBe(0);
    expect(biases[3]!).toBeLessThan(biases[1]!);
    expect(biases[3]!).toBeLessThan(-0.3);
  });
});

describe("corrections", () => {
  test("a late conversion raises the conversion head and is no progressive sample", () => {
    const { trainer } = setup();
    learnInBatches(trainer, feed.samples.slice(0, 2_000));
    const late = feed.samples.slice(0, 300).map((sample) => {
      return { ...sample, labels: Float32Array.from([1, 0, 1, 0]) };
    });
    const model = { weights: trainer.weights, rows: null };
    const total = () => sumOf(lossesOf(trainer, late, model));
    const before = total();
    const counted = headOf(trainer, "cvr").count;
    const corrections = late.map((sample) => ({ ...sample, kind: "correction" as const }));
    for (let i = 0; i < 5; i++) trainer.learn(corrections);
    expect(total()).toBeLessThan(before);
    expect(headOf(trainer, "cvr").count).toBe(counted);
    expect(trainer.totals.samples).toBe(2_000 + 1_500);
  });
});

describe("a late label", () => {
  const only = (h: number, label: number) =>
    Float32Array.from({ length: feedShape.heads.length }, (_, i) => (i === h ? label : Number.NaN));

  for (const [h, head] of feedShape.heads.entries()) {
    test(`of ${head.name} undoes the negative that was learned before it`, () => {
      const { trainer } = setup();
      const label = head.kind === "seconds" ? 20 : 1;
      const late = feed.samples.slice(0, 200);
      learnInBatches(
        trainer,
        late.map((one) => ({ ...one, labels: new Float32Array(one.labels.length) })),
      );
      const model = { weights: trainer.weights, rows: null };
      const wanted = late.map((one) => ({ ...one, labels: only(h, label) }));
      const loss = () => sumOf(lossesOf(trainer, wanted, model));
      const before = loss();
      const corrections = late.map((one) => ({
        ...one,
        kind: "correction" as const,
        labels: only(h, label),
      }));
      for (let i = 0; i < 3; i++) learnInBatches(trainer, corrections);
      expect(loss()).toBeLessThan(before);
    });
  }
});

test("seconds that are corrected again take back what the last correction said", () => {
  const last = feedShape.heads.length - 1;
  expect(feedShape.heads[last]?.kind).toBe("seconds");
  const labels = Float32Array.from({ length: last + 1 }, (_, i) => (i === last ? 20 : Number.NaN));
  const late = feed.samples.slice(0, 200);
  const lossAfter = (previous: number) => {
    const { trainer } = setup();
    learnInBatches(trainer, feed.samples.slice(0, 500));
    const corrections = late.map((one) => ({
      ...one,
      kind: "correction" as const,
      labels,
      previous,
    }));
    for (let i = 0; i < 5; i++) learnInBatches(trainer, corrections);
    const seen = late.map((one) => ({ ...one, labels }));
    return sumOf(lossesOf(trainer, seen, { weights: trainer.weights, rows: null }));
  };
  // From 0 to 20 is news, from 20 to 20 is none.
  expect(lossAfter(0)).toBeLessThan(lossAfter(20));
});

describe("bad samples", () => {
  const poison = (change: Partial<Sample>): Sample => ({ ...feed.samples[0]!, ...change });
  const bad: Record<string, Sample> = {
    "NaN feature": poison({ userDense: new Float32Array(5).fill(Number.NaN) }),
    "infinite feature": poison({ itemDense: Float32Array.from([1e308, 0, 0, 0, 0, 0]) }),
    "huge feature": poison({ itemDense: Float32Array.from([1e30, 0, 0, 0, 0, 0]) }),
    "infinite label": poison({ labels: Float32Array.from([1, 0, 0, Infinity]) }),
    "label out of range": poison({ labels: Float32Array.from([2, 0, 0, 0]) }),
    "NaN weight": poison({ weight: Number.NaN }),
    "negative weight": poison({ weight: -1 }),
    "NaN taken back": poison({ previous: Number.NaN }),
    "another definition's shape": poison({ labels: new Float32Array(3) }),
  };
  for (const [name, sample] of Object.entries(bad)) {
    test(`${name} is refused, counted, and teaches nothing`, () => {
      const clean = setup().trainer;
      const other = setup().trainer;
      clean.learn(feed.samples.slice(0, 50));
      const report = other.learn([...feed.samples.slice(0, 50), sample]);
      expect(report).toEqual({ samples: 50, refused: 1, skippedSteps: 0 });
      expect(other.weights).toEqual(clean.weights);
    });
  }

  test("weights that are not finite leave no step behind", () => {
    const { trainer, users } = setup();
    trainer.weights[createRanker(feedShape).layout.layerOneBias] = Number.NaN;
    expect(trainer.learn(feed.samples.slice(0, 50)).skippedSteps).toBe(1);
    expect(users.values.size).toBe(0);
    expect(trainer.steps).toBe(0);
  });

  test("an earlier state is good again after weights that are not finite", () => {
    const { trainer } = setup();
    learnInBatches(trainer, feed.samples.slice(0, 2_000));
    const good = trainer.copyState();
    const weights = good.weights.slice();
    trainer.weights[weights.length - 40] = Number.NaN;
    trainer.weights[createRanker(feedShape).layout.layerOne] = Number.NaN;
    expect(trainer.learn(feed.samples.slice(0, 50)).skippedSteps).toBe(1);
    trainer.goBack(good);
    expect(trainer.steps).toBe(0);
    expect(trainer.learn(feed.samples.slice(2_000, 2_050)).skippedSteps).toBe(0);
    expect(trainer.weights.every(Number.isFinite)).toBe(true);
    expect(trainer.weights).not.toEqual(weights);
  });

  test("an earlier state is weights and moments: features far off do not outlive it", () => {
    const { trainer } = setup();
    learnInBatches(trainer, feed.samples.slice(0, 2_000));
    const good = trainer.copyState();
    const weights = good.weights.slice();
    const far = { userDense: new Float32Array(5).fill(9e8) };
    learnInBatches(
      trainer,
      feed.samples.slice(0, 500).map((sample) => ({ ...sample, ...far })),
    );
    expect(trainer.weights).not.toEqual(weights);
    trainer.goBack(good);
    expect(trainer.weights).toEqual(weights);
    const { userMean, userDense } = createRanker(feedShape).layout;
    learnInBatches(trainer, feed.samples.slice(2_000, 2_100));
    const means = trainer.weights.subarray(userMean, userMean + userDense);
    expect(means.every((mean, j) => Math.abs(mean - weights[userMean + j]!) < 0.5)).toBe(true);
    expect(trainer.copyState(good)).toBe(good);
    expect(good.weights).toEqual(trainer.weights);
  });

  test("the norm is of what is trained, and NaN where anything is not finite", () => {
    const { trainer } = setup();
    const { layout } = createRanker(feedShape);
    const trained = trainer.weights.subarray(layout.trainedFrom);
    const norm = Math.sqrt(trained.reduce((sum, x) => sum + x * x, 0));
    expect(trainer.normOf(trainer.weights)).toBeCloseTo(norm, 3);
    trainer.weights[layout.userMean] = Number.POSITIVE_INFINITY;
    expect(trainer.normOf(trainer.weights)).toBeNaN();
  });

  test("features at the limit leave weights finite", () => {
    const { trainer } = setup();
    const wild = feed.samples.slice(0, 3_000).map((sample, i) => {
      if (i % 10 !== 0) return sample;
      const far = Math.fround(i % 20 === 0 ? 9e8 : -9e8);
      return { ...sample, userDense: new Float32Array(5).fill(far), weight: 1_000 };
    });
    learnInBatches(trainer, wild);
    expect(trainer.weights.every(Number.isFinite)).toBe(true);
    expect(trainer.totals.refused).toBe(0);
  });
});

describe("repeatable", () => {
  test("the same samples in the same batches give the same weights, bit for bit", () => {
    const [a, b] = [setup(), setup()];
    for (const { trainer } of [a, b]) learnInBatches(trainer, feed.samples.slice(0, 1_000), 64);
    expect(a.trainer.weights).toEqual(b.trainer.weights);
    expect(a.items.values).toEqual(b.items.values);
  });

  test("save and restore continue bit for bit", () => {
    for (const options of [fast, { ...fast, optimizer: adagradDefault }]) {
      const through = setup(options);
      learnInBatches(through.trainer, feed.samples.slice(0, 600), 50);
      const saved = through.trainer.save();
      const users = through.users.copy();
      const items = through.items.copy();
      const resumed = setup(options, { users, items });
      resumed.trainer.restore(saved);
      for (const { trainer } of [through, resumed]) {
        learnInBatches(trainer, feed.samples.slice(600, 1_200), 50);
      }
      expect(resumed.trainer.weights).toEqual(through.trainer.weights);
      expect(resumed.trainer.metrics()).toEqual(through.trainer.metrics());
      expect(resumed.trainer.totals).toEqual(through.trainer.totals);
      expect(resumed.trainer.takeTouched()).toEqual(through.trainer.takeTouched());
      expect(resumed.users.values).toEqual(through.users.values);
      expect(resumed.trainer.save()).toEqual(through.trainer.save());
    }
  });

  test("what has settled learns on in smaller steps, also after a restore", () => {
    // Not the skips: they move with the input moments too.
    const { logVariances } = createRanker(feedShape).layout;
    const next = feed.samples.slice(2_000, 2_100);
    const movedAt = (rateShare: number) => {
      const { trainer, users, items } = setup();
      learnInBatches(trainer, feed.samples.slice(0, 2_000));
      const { steps } = trainer;
      const mean = trainer.weights.map((weight) => 0.9 * weight);
      trainer.settle(mean, rateShare);
      expect(trainer.steps).toBe(steps);
      const resumed = setup(fast, { users: users.copy(), items: items.copy() });
      resumed.trainer.restore(trainer.save());
      for (const one of [trainer, resumed.trainer]) one.learn(next);
      expect(resumed.trainer.weights).toEqual(trainer.weights);
      return trainer.weights[logVariances]! - mean[logVariances]!;
    };
    expect(movedAt(0.1) / movedAt(1)).toBeCloseTo(0.1, 2);
  });

  test("a state of another shape is refused", () => {
    const saved = setup().trainer.save();
    const { trainer } = setup({ ...fast, metricsWindow: 10 });
    expect(() => trainer.restore(saved)).toThrow("bytes");
    expect(() => trainer.restore(saved.subarray(0, 100))).toThrow("cut short");
    expect(() => trainer.restore(new Uint8Array(100))).toThrow("not this trainer's");
  });
});

describe("embeddings", () => {
  test("rows are learned after their admission count, and touched rows are told once", () => {
    const admission = { ...trainerDefaults.userEmbedding, admission: 3 };
    const { trainer, users } = setup({ ...fast, userEmbedding: admission });
    const mine = feed.samples.slice(0, 4).map((sample) => ({ ...sample, userRow: 5 }));
    for (const sample of mine.slice(0, 3)) trainer.learn([sample]);
    expect(users.values.has(5)).toBe(false);
    trainer.learn([mine[3]!]);
    expect(users.values.get(5)?.some((value) => value !== 0)).toBe(true);
    expect([...trainer.takeTouched().users]).toEqual([5]);
    expect([...trainer.takeTouched().users]).toEqual([]);
  });

  test("a restored state keeps the admission count that it was trained with", () => {
    const strict = { ...trainerDefaults.userEmbedding, admission: 3 };
    const trained = setup({ ...fast, userEmbedding: strict }).trainer;
    const loose = { ...trainerDefaults.userEmbedding, admission: 0 };
    const { trainer, users } = setup({ ...fast, userEmbedding: loose });
    trainer.restore(trained.save());
    const mine = { ...feed.samples[0]!, userRow: 5 };
    for (let i = 0; i < 3; i++) trainer.learn([mine]);
    expect(users.values.has(5)).toBe(false);
    trainer.learn([mine]);
    expect(users.values.has(5)).toBe(true);
  });

  test("rows that do not occur for long are set back, and must be admitted again", () => {
    const hourMs = 3_600_000;
    const expiring = { ...trainerDefaults.userEmbedding, admission: 0, expiryMs: 2 * hourMs };
    const { trainer, users } = setup({ ...fast, userEmbedding: expiring });
    const [one] = feed.samples;
    const at = (userRow: number, hours: number) => {
      trainer.learn([{ ...one!, userRow, servedMs: 1e12 + hours * hourMs }]);
    };
    at(5, 0);
    at(6, 1);
    // Several batches: each looks at a part of the rows.
    for (let i = 0; i < 6; i++) at(7, 2.5);
    expect(users.values.get(5)).toEqual(new Float32Array(feedShape.userEmbedding));
    expect(users.values.get(6)?.some((value) => value !== 0)).toBe(true);
    expect([...trainer.takeTouched().users].sort()).toEqual([5, 6, 7]);
    at(5, 3);
    expect(users.values.get(5)?.some((value) => value !== 0)).toBe(true);
  });

  test("with a decay the accumulator fades, and an old row moves on", () => {
    const moved = [1, 0.5].map((decay) => {
      const userEmbedding = { ...trainerDefaults.userEmbedding, admission: 0, decay };
      const { trainer, users } = setup({ ...fast, userEmbedding });
      for (let i = 0; i < 40; i++) trainer.learn([{ ...feed.samples[0]!, userRow: 5 }]);
      return [users.sums.get(5)!, users.values.get(5)!.reduce((sum, x) => sum + Math.abs(x), 0)];
    });
    expect(moved[1]![0]).toBeLessThan(moved[0]![0]!);
    expect(moved[1]![1]).toBeGreaterThan(moved[0]![1]!);
  });
});

describe("with the shared embedding tables", () => {
  test("learns the same as in plain memory, and publishes what it touched", () => {
    const users = EmbeddingTable.create({ path: null, rows: 64, dim: feedShape.userEmbedding });
    const items = EmbeddingTable.create({ path: null, rows: 64, dim: feedShape.itemEmbedding });
    const ranker = createRanker(feedShape);
    const initial = new Float32Array(ranker.floats);
    ranker.initialise(new Random(1), initial);
    const shared = new RankTrainer(ranker, { users, items }, initial, fast);
    const plain = setup();
    const samples = feed.samples.slice(0, 600);
    for (const trainer of [shared, plain.trainer]) learnInBatches(trainer, samples, 50);
    for (const [i, weight] of plain.trainer.weights.entries()) {
      expect(Math.abs(shared.weights[i]! - weight)).toBeLessThan(1e-3);
    }
    const touched = shared.takeTouched();
    expect(touched).toEqual(plain.trainer.takeTouched());
    items.publish(touched.items, touched.items.length, 7);
    users.publish(touched.users, touched.users.length, 7);
    const first = samples.slice(0, 100);
    const { weights } = shared;
    const as = (table: EmbeddingTable, pin: number) => ({
      gather: (rows: Uint32Array, count: number, out: Float32Array) =>
        table.gather(rows, count, pin, out),
    });
    const publishedAt = (pin: number) => ({ users: as(users, pin), items: as(items, pin) });
    const published = lossesOf(shared, first, { weights, rows: publishedAt(7) });
    const working = lossesOf(shared, first, { weights, rows: null });
    const before = lossesOf(shared, first, { weights, rows: publishedAt(6) });
    expect(published).toEqual(working);
    expect(published).not.toEqual(before);
    users.release();
    items.release();
  });
});

describe("losses of a version", () => {
  test("equal the losses of training, and change nothing", () => {
    const { trainer } = setup();
    learnInBatches(trainer, feed.samples.slice(0, 1_500), 50);
    const before = trainer.save();
    const fresh = drawFeed(1_200, 31).samples;
    const model = { weights: trainer.weights, rows: null };
    const out = lossesOf(trainer, fresh, model);
    expect(out.length).toBe(1_200);
    expect(trainer.save()).toEqual(before);
    const unlearned = setup().trainer.weights;
    const worse = lossesOf(trainer, fresh, { weights: unlearned, rows: null });
    expect(sumOf(out)).toBeLessThan(sumOf(worse));
    expect(out.every((loss) => loss > 0 && Number.isFinite(loss))).toBe(true);
  });
});
