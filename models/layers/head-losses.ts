import type { KernelSet } from "../../native/index.ts";

/** What the losses need to know of each head. */
export interface HeadKinds {
  readonly heads: number;
  /** Head that head h is a rate given of (ESMM), or -1. */
  readonly givenHead: readonly number[];
  /** Heads that predict log1p seconds. */
  readonly seconds: readonly boolean[];
  /** Those of them that answer the mean, by a scale. */
  readonly scaled: readonly boolean[];
}

/** Columns of `stride` rows per head: column h starts at h * stride. */
export interface HeadColumns {
  readonly logits: Float32Array;
  /** 0 or 1, log1p seconds, NaN where unknown. For a head with `given`: of the product. */
  readonly labels: Float32Array;
  /** One weight a row, shared by all heads. */
  readonly weights: Float32Array;
  /** heads x stride: what each head multiplies it by; left out or null: nothing. */
  readonly scales?: Float32Array | null;
  readonly losses: Float32Array;
  readonly gradients: Float32Array | null;
  readonly stride: number;
}

/**
 * Where smooth L1 turns from square to straight, in log1p seconds. A head that answers the middle
 * is held to the absolute error, whose optimum is the median; the square only steadies steps.
 */
export function watchBeta(kinds: Pick<HeadKinds, "scaled">, h: number): number {
  return kinds.scaled[h] ? 0.5 : 0.1;
}

/**
 * Loss of every head and row, and the gradient of the sum over heads by each logit. Binary heads:
 * cross entropy. A head with `given`: cross entropy of the product of both rates over all rows
 * (ESMM, Ma et al. 2018), which also reaches the given head. Seconds: smooth L1 of log1p seconds.
 * `coefficients` scales each head's gradient, not its losses.
 */
export class HeadLosses {
  readonly #kernels: KernelSet;
  readonly #kinds: HeadKinds;
  readonly #given: Float32Array;
  readonly #scaled: Float32Array;

  constructor(kernels: KernelSet, kinds: HeadKinds, rowsMax: number) {
    this.#kernels = kernels;
    this.#kinds = kinds;
    this.#given = new Float32Array(rowsMax);
    this.#scaled = new Float32Array(rowsMax);
  }

  compute(columns: HeadColumns, rows: number, coefficients: Float64Array): void {
    const { heads, givenHead } = this.#kinds;
    // Plain heads first: they overwrite their gradient, products then add to their given head's.
    for (let h = 0; h < heads; h++) {
      if (givenHead[h]! < 0) this.#plain(columns, { rows, h, scale: coefficients[h]! });
    }
    for (let h = 0; h < heads; h++) {
      if (givenHead[h]! >= 0) this.#product(columns, { rows, h, scale: coefficients[h]! });
    }
  }

  #step(columns: HeadColumns, rows: number, h: number) {
    const { stride, gradients } = columns;
    const column = (of: Float32Array) => of.subarray(h * stride, h * stride + rows);
    return {
      values: column(columns.logits),
      labels: column(columns.labels),
      weights: this.#weights(columns, rows, h),
      count: rows,
      losses: column(columns.losses),
      gradients: gradients === null ? null : column(gradients),
    };
  }

  /** Of one head at a time: they share a buffer. */
  #weights({ weights, scales = null, stride }: HeadColumns, rows: number, h: number): Float32Array {
    if (scales === null) return weights;
    for (let r = 0; r < rows; r++) this.#scaled[r] = weights[r]! * scales[h * stride + r]!;
    return this.#scaled;
  }

  #plain(columns: HeadColumns, at: { rows: number; h: number; scale: number }): void {
    const step = this.#step(columns, at.rows, at.h);
    if (this.#kinds.seconds[at.h]) this.#kernels.smoothL1(step, watchBeta(this.#kinds, at.h));
    else this.#kernels.binaryCrossEntropy(step);
    if (step.gradients !== null) scaleBy(step.gradients, at.scale);
  }

  #product(columns: HeadColumns, at: { rows: number; h: number; scale: number }): void {
    const given = this.#kinds.givenHead[at.h]!;
    const target = this.#step(columns, at.rows, given);
    // After its target: it is the product that weighs.
    const step = this.#step(columns, at.rows, at.h);
    const givenGradients = step.gradients === null ? null : this.#given.subarray(0, at.rows);
    this.#kernels.productCrossEntropy({ ...step, givenValues: target.values, givenGradients });
    if (step.gradients === null || givenGradients === null || target.gradients === null) return;
    scaleBy(step.gradients, at.scale);
    for (let r = 0; r < at.rows; r++) target.gradients[r]! += at.scale * givenGradients[r]!;
  }
}

function scaleBy(values: Float32Array, scale: number): void {
  for (let i = 0; i < values.length; i++) values[i]! *= scale;
}

/** Log variances stay within this, so that no loss takes over or dies. */
export const logVarianceMax = 2;

/**
 * Uncertainty weighting (Kendall et al. 2018): the total is sum of exp(-s) L + s / 2 over heads.
 * Writes coefficient exp(-s) of each head; `logVariances` are clamped in place.
 */
export function uncertaintyCoefficients(logVariances: Float32Array, out: Float64Array): void {
  for (let h = 0; h < out.length; h++) {
    const bounded = Math.min(logVarianceMax, Math.max(-logVarianceMax, logVariances[h]!));
    logVariances[h] = bounded;
    out[h] = Math.exp(-bounded);
  }
}
