import {
  type KernelSet,
  type MmoeScore,
  mmoeSlotFloats,
  mmoeWorkspace,
  nativeKernels,
  pleWorkspace,
} from "../../native/index.ts";
import { assert } from "../core/assert.ts";
import type { Random } from "../core/random.ts";
import { initialiseRanker } from "./initialise.ts";
import { type MmoeLayout, type RankerLayout, type RankerShape, rankerLayout } from "./layout.ts";
import { scaleSeconds } from "./seconds-scale.ts";

export type { RankerLayout, RankerShape } from "./layout.ts";

/** The inputs of one scoring call. Arrays may be longer than needed. */
export interface ScoreInput {
  /** At least `floats` floats; for `scoreSlot` a filled slot. */
  readonly weights: Float32Array;
  /** userRows x userWidth, raw. */
  readonly userDense: Float32Array;
  /** userRows x userEmbedding; zeros for a user without one. */
  readonly userVector: Float32Array;
  /** count x itemWidth, raw. */
  readonly itemDense: Float32Array;
  /** count x itemEmbedding. */
  readonly itemVectors: Float32Array;
  readonly count: number;
  /** 1 (the default): one user, many items; or equal to `count`: a user row for each. */
  readonly userRows?: number;
}

/**
 * A multi-task ranker: pure functions over flat weights. Holds a workspace, so that scoring
 * allocates nothing: one ranker a thread.
 */
export interface Ranker {
  readonly shape: RankerShape;
  readonly layout: RankerLayout;
  /** Floats of the parameters. */
  readonly floats: number;
  /** Floats of a model slot: the parameters, then the form that serving multiplies with. */
  readonly slotFloats: number;
  readonly headNames: readonly string[];
  readonly kernels: KernelSet;
  /** Fresh parameters into `out` (`floats` floats). */
  initialise(random: Random, out: Float32Array): void;
  /**
   * Head columns: out[head * count + item], in the order of the definition's heads. Binary heads
   * are probabilities (a head with `given` is the rate given it), seconds heads are seconds.
   */
  score(input: ScoreInput, out: Float32Array): void;
  /** The same before sigmoid and expm1. */
  logits(input: ScoreInput, out: Float32Array): void;
  /** Copies parameters into a slot and makes its serving form: part of a publish. */
  fillSlot(weights: Float32Array, slot: Float32Array): void;
  /**
   * `score` as requests are served: from a filled slot, for one user. By bf16 where the processor
   * multiplies it and the model is a mixture, else by fp32; a slot always gives the same scores.
   */
  scoreSlot(input: ScoreInput, out: Float32Array): void;
}

class NativeRanker implements Ranker {
  readonly shape: RankerShape;
  readonly layout: RankerLayout;
  readonly floats: number;
  readonly slotFloats: number;
  readonly headNames: readonly string[];
  readonly kernels: KernelSet;
  /** The layout of a model that is served by its packed form. */
  readonly #packed: MmoeLayout | null;
  readonly #workspace: Float32Array;

  constructor(shape: RankerShape, kernels: KernelSet) {
    this.shape = shape;
    this.layout = rankerLayout(shape);
    this.floats = this.layout.floats;
    this.headNames = this.layout.headNames;
    this.kernels = kernels;
    const { layout } = this;
    this.#packed = layout.model === "mmoe" && kernels.packs ? layout : null;
    this.slotFloats = this.#packed === null ? this.floats : mmoeSlotFloats(this.#packed);
    const floats = layout.model === "ple" ? pleWorkspace(layout) : mmoeWorkspace(layout);
    this.#workspace = new Float32Array(floats);
  }

  initialise(random: Random, out: Float32Array): void {
    assert(out.length >= this.floats, "a ranker's weights need `floats` floats");
    initialiseRanker(this.layout, random, out);
  }

  score(input: ScoreInput, out: Float32Array): void {
    this.#run(input, out, false);
    scaleSeconds(this.layout, input.weights, out, input.count);
  }

  logits(input: ScoreInput, out: Float32Array): void {
    this.#run(input, out, true);
  }

  fillSlot(weights: Float32Array, slot: Float32Array): void {
    assert(slot.length >= this.slotFloats, "a slot needs `slotFloats` floats");
    slot.set(weights.length > this.floats ? weights.subarray(0, this.floats) : weights);
    if (this.#packed !== null) this.kernels.mmoePack(this.#packed, slot);
  }

  scoreSlot(input: ScoreInput, out: Float32Array): void {
    if (this.#packed === null) this.#run(input, out, false);
    else this.kernels.mmoeScorePacked(this.#packed, this.#step(input, out, false));
    scaleSeconds(this.layout, input.weights, out, input.count);
  }

  #run(input: ScoreInput, out: Float32Array, logits: boolean): void {
    const { kernels, layout } = this;
    const step = this.#step(input, out, logits);
    if (layout.model === "ple") kernels.pleScore(layout, step);
    else kernels.mmoeScore(layout, step);
  }

  #step(input: ScoreInput, out: Float32Array, logits: boolean): MmoeScore {
    return {
      weights: input.weights,
      userDense: input.userDense,
      userVector: input.userVector,
      userRows: input.userRows ?? 1,
      itemDense: input.itemDense,
      itemVector: input.itemVectors,
      rows: input.count,
      logits,
      out,
      workspace: this.#workspace,
    };
  }
}

/** A ranker of this shape; throws REC_RANKER_SHAPE where the shape does not fit. */
export function createRanker(shape: RankerShape, kernels: KernelSet = nativeKernels()): Ranker {
  return new NativeRanker(shape, kernels);
}
