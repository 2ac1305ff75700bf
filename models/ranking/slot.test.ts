import { describe, expect, test } from "bun:test";
import { instructionSets, nativeKernels } from "../../native/index.ts";
import { Random } from "../core/random.ts";
import { feedShape } from "../training/testing/feed-world.ts";
import { createRanker, type Ranker } from "./ranker.ts";

const count = 40;

function normals(random: Random, length: number): Float32Array {
  return Float32Array.from({ length }, () => random.normal());
}

/** A filled slot, and both ways to score from it. */
function filled(ranker: Ranker, seed: number) {
  const random = new Random(seed);
  const weights = new Float32Array(ranker.floats);
  ranker.initialise(random, weights);
  for (let i = ranker.layout.trainedFrom; i < weights.length; i++) {
    weights[i]! += 0.1 * random.normal();
  }
  const slot = new Float32Array(ranker.slotFloats).fill(Number.NaN);
  ranker.fillSlot(weights, slot);
  const { userWidth, itemWidth, userEmbedding, itemEmbedding } = ranker.shape;
  const input = {
    userDense: normals(random, userWidth),
    userVector: normals(random, userEmbedding),
    itemDense: normals(random, count * itemWidth),
    itemVectors: normals(random, count * itemEmbedding),
    count,
  };
  const score = (from: Float32Array, way: "score" | "scoreSlot") => {
    const out = new Float32Array(count * ranker.headNames.length);
    ranker[way]({ ...input, weights: from }, out);
    return out;
  };
  return { weights, slot, score };
}

describe("a model slot", () => {
  for (const set of instructionSets()) {
    test(`keeps the parameters and serves what they say: ${set}`, () => {
      const ranker = createRanker(feedShape, nativeKernels(set));
      const { weights, slot, score } = filled(ranker, 1);
      expect(slot.subarray(0, ranker.floats)).toEqual(weights);
      const plain = score(weights, "score");
      expect(score(slot, "score")).toEqual(plain);
      const served = score(slot, "scoreSlot");
      if (!ranker.kernels.packs) expect(served).toEqual(plain);
      else expect(served).not.toEqual(plain);
      served.forEach((value, i) => {
        expect(Math.abs(value - plain[i]!)).toBeLessThan(0.02 * Math.max(1, plain[i]!));
      });
    });

    test(`is wholly written by each fill: ${set}`, () => {
      const ranker = createRanker(feedShape, nativeKernels(set));
      const [first, second] = [filled(ranker, 2), filled(ranker, 3)];
      const wanted = second.slot.slice();
      ranker.fillSlot(second.weights, first.slot);
      expect(new Uint32Array(first.slot.buffer)).toEqual(new Uint32Array(wanted.buffer));
      expect(() => ranker.fillSlot(first.weights, wanted.subarray(1))).toThrow("slotFloats");
    });

    test(`of an extraction holds its parameters alone: ${set}`, () => {
      const ranker = createRanker({ ...feedShape, model: "ple" }, nativeKernels(set));
      expect(ranker.slotFloats).toBe(ranker.floats);
      const { slot, score } = filled(ranker, 4);
      expect(score(slot, "scoreSlot")).toEqual(score(slot, "score"));
    });
  }
});
