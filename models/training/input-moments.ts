import { inputClip } from "../../native/index.ts";
import { RunningMoments } from "../layers/normaliser.ts";
import type { RankerLayout } from "../ranking/layout.ts";

interface Half {
  readonly moments: RunningMoments;
  readonly width: number;
  /** Places of means and scales, and the first row of layer one. */
  readonly mean: number;
  readonly scale: number;
  readonly row: number;
}

interface Batch {
  /** rows x width. */
  readonly values: Float32Array;
  readonly rows: number;
}

/**
 * Running moments of the dense inputs, and their copies in a model's weights. When they move, the
 * linear skips are expressed anew, so that what a head says of an input does not change (after
 * PopArt, van Hasselt et al. 2016): a cold model is its skips, and the first batches move moments
 * far. Where inputs are clipped, before or after, it does not change in the mean over the batch.
 * Experts are not expressed anew: they are random then, and meant for inputs of unit variance.
 */
export class InputMoments {
  readonly #layout: RankerLayout;
  readonly #user: Half;
  readonly #item: Half;
  readonly #means: Float32Array;
  readonly #scales: Float32Array;

  constructor(layout: RankerLayout, horizon: number, initial: Float32Array) {
    const moments = (width: number, mean: number) =>
      new RunningMoments(width, horizon, initial.subarray(mean));
    const { userDense, itemDense, userMean, userScale, itemMean, itemScale } = layout;
    this.#layout = layout;
    this.#user = {
      ...{ moments: moments(userDense, userMean), width: userDense, row: 0 },
      ...{ mean: userMean, scale: userScale },
    };
    this.#item = {
      ...{ moments: moments(itemDense, itemMean), width: itemDense, row: layout.userInputs },
      ...{ mean: itemMean, scale: itemScale },
    };
    this.#means = new Float32Array(Math.max(userDense, itemDense));
    this.#scales = new Float32Array(Math.max(userDense, itemDense));
  }

  /** All state: the users' and the items'. */
  get state(): readonly [Float64Array, Float64Array] {
    return [this.#user.moments.state, this.#item.moments.state];
  }

  /** Takes in `rows` rows of raw inputs, and writes the moments into the weights. */
  update(
    inputs: { readonly userDense: Float32Array; readonly itemDense: Float32Array },
    rows: number,
    weights: Float32Array,
  ): void {
    this.#user.moments.update(inputs.userDense, rows);
    this.#item.moments.update(inputs.itemDense, rows);
    this.#write(this.#user, weights, { values: inputs.userDense, rows });
    this.#write(this.#item, weights, { values: inputs.itemDense, rows });
  }

  #write(half: Half, weights: Float32Array, batch: Batch): void {
    const { width, mean, scale } = half;
    const means = weights.subarray(mean, mean + width);
    const scales = weights.subarray(scale, scale + width);
    this.#means.set(means);
    this.#scales.set(scales);
    half.moments.write(means, scales);
    for (let j = 0; j < width; j++) {
      const ratio = this.#scales[j]! / scales[j]!;
      const old = { mean: this.#means[j]!, scale: this.#scales[j]! };
      const now = { mean: means[j]!, scale: scales[j]! };
      const off = half.moments.furthest[j]!;
      const offNow = off + Math.abs(now.mean - old.mean);
      const isClipped = off * old.scale > inputClip || offNow * now.scale > inputClip;
      const column = { ...batch, width, j };
      const moved = isClipped
        ? meanInput(column, old) - ratio * meanInput(column, now)
        : Math.fround(now.mean - old.mean) * old.scale;
      this.#expressAnew(weights, half.row + j, { moved, ratio });
    }
  }

  /** w x = w' x' + w (x - r x'), with w' = w r and r the old scale over the new one. */
  #expressAnew(weights: Float32Array, row: number, by: { moved: number; ratio: number }): void {
    const { layerOne, layerOneBias, columns, firstSkip, heads } = this.#layout;
    const at = layerOne + row * columns + firstSkip;
    const bias = layerOneBias + firstSkip;
    for (let h = 0; h < heads; h++) {
      const weight = weights[at + h]!;
      weights[bias + h]! += weight * by.moved;
      weights[at + h] = weight * by.ratio;
    }
  }
}

/** Mean of a column's inputs as a model sees them: normalised and clipped. */
function meanInput(
  { values, rows, width, j }: Batch & { width: number; j: number },
  { mean, scale }: { mean: number; scale: number },
): number {
  let sum = 0;
  for (let at = j; at < rows * width; at += width) {
    sum += Math.min(inputClip, Math.max(-inputClip, (values[at]! - mean) * scale));
  }
  return rows === 0 ? 0 : sum / rows;
}
