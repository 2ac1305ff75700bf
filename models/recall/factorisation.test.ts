import { describe, expect, test } from "bun:test";
import { Random } from "../core/random.ts";
import { FactorisationTrainer, factorisationDefaults } from "./factorisation.ts";
import { historiesOf } from "./histories.ts";
import { InBatchSoftmax, type SoftmaxBatch } from "./in-batch-softmax.ts";
import { normaliseRow } from "./vectors.ts";

function softmaxBatch(random: Random): SoftmaxBatch {
  const count = 5;
  const dim = 4;
  const values = () => Float32Array.from({ length: count * dim }, () => random.normal());
  const masked = new Uint8Array(count * count);
  masked[0 * count + 3] = 1;
  for (let b = 0; b < count; b++) masked[b * count + b] = 1;
  const logQ = Float32Array.from({ length: count }, () => -random.next());
  return { count, dim, users: values(), targets: values(), logQ, masked, temperature: 0.5 };
}

function gradientsFor(batch: SoftmaxBatch) {
  const users = new Float32Array(batch.users.length);
  const targets = new Float32Array(batch.targets.length);
  return { users, targets, logits: new Float32Array(batch.count ** 2) };
}

describe("in-batch softmax", () => {
  test("gradients agree with differences", () => {
    const batch = softmaxBatch(new Random(2));
    const out = gradientsFor(batch);
    new InBatchSoftmax(batch, out).step();
    const exact = { users: out.users.slice(), targets: out.targets.slice() };
    const loss = () => new InBatchSoftmax(batch, out).step();
    const step = 1e-2;
    for (const side of ["users", "targets"] as const) {
      for (let i = 0; i < batch[side].length; i++) {
        const value = batch[side][i];
        batch[side][i] = value + step;
        const above = loss();
        batch[side][i] = value - step;
        const below = loss();
        batch[side][i] = value;
        expect(exact[side][i]).toBeCloseTo((above - below) / (2 * step), 2);
      }
    }
  });

  test("masked targets are no negatives", () => {
    const batch = softmaxBatch(new Random(3));
    expect(new InBatchSoftmax(batch, gradientsFor(batch)).step()).toBeGreaterThan(0.1);
    batch.masked.fill(1);
    expect(new InBatchSoftmax(batch, gradientsFor(batch)).step()).toBeCloseTo(0, 6);
  });
});

/** Two groups of users who never share an item. */
function twoTastes(random: Random): number[][] {
  return Array.from({ length: 80 }, (_, user) => {
    const half = user % 2;
    const items = Array.from({ length: 10 }, () => 2 * random.int(15) + half);
    return [...new Set(items)];
  });
}

const options = { ...factorisationDefaults, dim: 8, batch: 32, historyMax: 5 };

function trained(seed: number, steps: number) {
  const trainer = new FactorisationTrainer(options, new Random(seed));
  trainer.begin(historiesOf(twoTastes(new Random(1)), 30));
  const losses = Array.from({ length: steps }, () => trainer.step());
  return { trainer, losses };
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

function meanCosine(vectors: Float32Array, same: boolean): number {
  const rows = vectors.slice();
  for (let i = 0; i < 30; i++) normaliseRow(rows, i, 8);
  let sum = 0;
  let pairs = 0;
  for (let i = 0; i < 30; i++) {
    for (let j = 0; j < 30; j++) {
      if (i === j || (i % 2 === j % 2) !== same) continue;
      for (let d = 0; d < 8; d++) sum += rows[i * 8 + d] * rows[j * 8 + d];
      pairs++;
    }
  }
  return sum / pairs;
}

describe("factorisation", () => {
  test("items of one taste come together, of two tastes apart", () => {
    const { trainer, losses } = trained(1, 150);
    expect(mean(losses.slice(-20))).toBeLessThan(mean(losses.slice(0, 20)) - 0.5);
    expect(meanCosine(trainer.state.vectors, true)).toBeGreaterThan(0.2);
    expect(meanCosine(trainer.state.vectors, false)).toBeLessThan(0);
  });

  test("the same seed gives the same vectors, another does not", () => {
    const first = trained(5, 20).trainer.state.vectors;
    expect(trained(5, 20).trainer.state.vectors).toEqual(first);
    expect(trained(6, 20).trainer.state.vectors).not.toEqual(first);
  });

  test("goes on from a former state, and new rows join", () => {
    const { trainer } = trained(1, 100);
    const next = new FactorisationTrainer(options, new Random(9), trainer.state);
    next.begin(historiesOf([...twoTastes(new Random(1)), [30, 0, 2]], 31));
    expect(next.state.rows).toBe(31);
    expect(next.state.vectors.subarray(0, 240)).toEqual(trainer.state.vectors);
    const losses = Array.from({ length: 10 }, () => next.step());
    const fresh = trained(9, 10).losses;
    expect(losses[0]).toBeLessThan(fresh[0]);
    expect(mean(losses)).toBeLessThan(mean(fresh));
  });

  test("nothing to learn from is said so", () => {
    const trainer = new FactorisationTrainer(options, new Random(1));
    expect(trainer.step()).toBeNaN();
    trainer.begin(historiesOf([[0], [1], []], 2));
    expect(trainer.step()).toBeNaN();
  });
});
