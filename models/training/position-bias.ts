import type { RankerLayout } from "../ranking/layout.ts";
import type { SampleBatch } from "./sample-batch.ts";

/**
 * A learned bias per position and head, added to the logit in training only (as in YouTube's
 * shallow tower, Zhao et al. 2019): what the place explains, the model need not. Position 0 is the
 * reference and has none, so that serving predicts for the first place. Heads with `given` have
 * none either: their given head carries it.
 */
export class PositionBias {
  readonly #layout: RankerLayout;

  constructor(layout: RankerLayout) {
    this.#layout = layout;
  }

  /** Adds to logits (heads x stride) of the batch's rows. */
  add(weights: Float32Array, batch: SampleBatch, logits: Float32Array, stride: number): void {
    for (let r = 0; r < batch.rows; r++) {
      const at = this.#placeOf(batch.positions[r]!);
      for (let h = 0; at >= 0 && h < this.#layout.heads; h++) {
        if (this.#layout.givenHead[h]! < 0) logits[h * stride + r]! += weights[at + h]!;
      }
    }
  }

  /** Adds the logits' gradients to the biases'; the caller has zeroed them. */
  backward(
    gradients: Float32Array,
    batch: SampleBatch,
    logitsGradient: Float32Array,
    stride: number,
  ): void {
    for (let r = 0; r < batch.rows; r++) {
      const at = this.#placeOf(batch.positions[r]!);
      for (let h = 0; at >= 0 && h < this.#layout.heads; h++) {
        if (this.#layout.givenHead[h]! < 0) gradients[at + h]! += logitsGradient[h * stride + r]!;
      }
    }
  }

  /** Where a position's biases stand, -1 for the reference. Later positions share the last. */
  #placeOf(position: number): number {
    const { positions, positionBias, heads } = this.#layout;
    const known = Math.min(position, positions - 1);
    return known < 1 ? -1 : positionBias + known * heads;
  }
}
