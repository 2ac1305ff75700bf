import { expect, test } from "bun:test";
import { noRow } from "../core/bytes.ts";
import { Random } from "../core/random.ts";
import type { HeadDefinition } from "../definition/define.ts";
import { createRanker, type RankerShape } from "../ranking/ranker.ts";
import type { Sample } from "./sample.ts";
import { drawFeed, feedShape } from "./testing/feed-world.ts";
import { MemoryVectors } from "./testing/memory-vectors.ts";
import { RankTrainer } from "./trainer.ts";

function withWatch(change: Partial<HeadDefinition>): RankerShape {
  const heads = feedShape.heads.map((head) =>
    head.kind === "seconds" ? { ...head, ...change } : head,
  );
  return { ...feedShape, heads };
}

function trained(shape: RankerShape, samples: readonly Sample[]): RankTrainer {
  const ranker = createRanker(shape);
  const initial = new Float32Array(ranker.floats);
  ranker.initialise(new Random(1), initial);
  const tables = { users: new MemoryVectors(3), items: new MemoryVectors(2) };
  const adam = { kind: "adam", learningRate: 0.01, beta1: 0.9, beta2: 0.999 } as const;
  const options = { optimizer: { ...adam, epsilon: 1e-8 }, metricsWindow: 8_000 };
  const trainer = new RankTrainer(ranker, tables, initial, options);
  for (let at = 0; at < samples.length; at += 100) trainer.learn(samples.slice(at, at + 100));
  return trainer;
}

test("seconds are right on average, or the middle with the least error of the logarithm", () => {
  const { samples } = drawFeed(20_000, 7);
  const [mean, middle] = (["mean", "middle"] as const).map(
    (answer) => trained(withWatch({ answer }), samples).metrics()[3]!,
  );
  expect(Math.abs(Math.log(mean!.calibration))).toBeLessThan(0.15);
  expect(middle!.calibration).toBeLessThan(0.85);
  expect(middle!.loss).toBeLessThan(mean!.loss);
});

test("what is answered is scaled, and only that", () => {
  const { samples } = drawFeed(3_000, 8);
  const count = 20;
  const { weights } = trained(withWatch({ answer: "mean" }), samples);
  const answers = (["mean", "middle"] as const).map((answer) => {
    const ranker = createRanker(withWatch({ answer }));
    const random = new Random(2);
    const normals = (n: number) => Float32Array.from({ length: n }, () => 3 * random.normal());
    const user = { userDense: normals(5), userVector: normals(3) };
    const items = { itemDense: normals(count * 6), itemVectors: normals(count * 2) };
    const out = new Float32Array(4 * count);
    ranker.score({ weights, ...user, ...items, count }, out);
    return out;
  });
  const [mean, middle] = [answers[0]!, answers[1]!];
  expect(mean.subarray(0, 3 * count)).toEqual(middle.subarray(0, 3 * count));
  const watched = [...middle.keys()].filter((i) => i >= 3 * count && middle[i]! > 0);
  const scales = watched.map((i) => mean[i]! / middle[i]!);
  expect(scales.length).toBeGreaterThan(5);
  expect(Math.min(...scales)).toBeGreaterThan(1);
  expect(Math.max(...scales) / Math.min(...scales)).toBeCloseTo(1, 5);
});

test("a head that answers the middle finds the median, the mean lies above", () => {
  // Of two likely outcomes the lower one, which comes three times in five, is the median.
  const [first] = drawFeed(1, 9).samples;
  const nothing = { userDense: new Float32Array(5), itemDense: new Float32Array(6), position: 0 };
  const same = Array.from({ length: 20_000 }, (_, i): Sample => {
    const labels = Float32Array.of(0, 0, 0, i % 5 < 3 ? 2 : 60);
    return { ...first!, ...nothing, labels, userRow: noRow, itemRow: noRow };
  });
  const [mean, middle] = (["mean", "middle"] as const).map((answer) => {
    const shape = withWatch({ answer });
    const ranker = createRanker(shape);
    const user = { userDense: new Float32Array(5), userVector: new Float32Array(3) };
    const item = { itemDense: new Float32Array(6), itemVectors: new Float32Array(2), count: 1 };
    const out = new Float32Array(4);
    ranker.score({ weights: trained(shape, same).weights, ...user, ...item }, out);
    return out[3]!;
  });
  expect(middle!).toBeGreaterThan(1.9);
  expect(middle!).toBeLessThan(2.5);
  expect(mean!).toBeGreaterThan(8);
});
