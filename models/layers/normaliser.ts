/**
 * A variance below this counts as this. Inputs are logits, logarithms and shares, whose own scale
 * means something: one that has hardly moved so far must not be blown up when it first does.
 */
const varianceMin = 0.1;
/** Once so many values are known, one further off than `outlierDeviations` counts as that far. */
const outlierAfter = 200;
const outlierDeviations = 10;

/**
 * Running mean and variance of `width` inputs (Chan et al. 1979, merged a batch at a time), in
 * doubles. Starts as one observation of unit variance at `means` (default 0), so that early batches
 * do not divide by nothing. Beyond `horizon` samples old ones fade, so that moments follow a drift.
 */
export class RunningMoments {
  /** [count, means, sums of squared deviations]: all state, for saving. */
  readonly state: Float64Array;
  /** How far the furthest value of the last batch was from the mean before it, a column. */
  readonly furthest: Float64Array;
  readonly #width: number;
  readonly #horizon: number;

  constructor(width: number, horizon: number, means?: Float32Array) {
    this.#width = width;
    this.#horizon = horizon;
    this.state = new Float64Array(1 + 2 * width);
    this.furthest = new Float64Array(width);
    this.state[0] = 1;
    if (means !== undefined) this.state.set(means.subarray(0, width), 1);
    this.state.fill(1, 1 + width);
  }

  /** Merges `rows` rows of `values` (rows x width). */
  update(values: Float32Array, rows: number): void {
    if (rows === 0) return;
    const count = this.state[0] ?? 1;
    for (let j = 0; j < this.#width; j++) {
      this.furthest[j] = mergeColumn(this.state, values, { rows, j, count });
    }
    this.state[0] = count + rows;
    this.#fade();
  }

  #fade(): void {
    const count = this.state[0] ?? 1;
    if (count <= this.#horizon) return;
    const kept = this.#horizon / count;
    for (let j = 0; j < this.#width; j++) this.state[1 + this.#width + j]! *= kept;
    this.state[0] = this.#horizon;
  }

  /** mean and 1 / deviation, where a model keeps them. */
  write(mean: Float32Array, scale: Float32Array): void {
    const count = this.state[0] ?? 1;
    for (let j = 0; j < this.#width; j++) {
      const variance = this.state[1 + this.#width + j]! / count;
      mean[j] = this.state[1 + j]!;
      scale[j] = 1 / Math.sqrt(Math.max(variance, varianceMin));
    }
  }
}

/** Returns how far the furthest value was from the mean. */
function mergeColumn(
  state: Float64Array,
  values: Float32Array,
  at: { rows: number; j: number; count: number },
): number {
  const width = (state.length - 1) >> 1;
  const { rows, j, count } = at;
  const mean = state[1 + j]!;
  const squares = state[1 + width + j]!;
  const far = count < outlierAfter ? Infinity : outlierDeviations * Math.sqrt(squares / count);
  // Deviations from the old mean: one pass, and exact enough as the two means are close.
  let sum = 0;
  let sumSquares = 0;
  let furthest = 0;
  for (let at = j; at < rows * width; at += width) {
    const off = values[at]! - mean;
    const d = Math.min(far, Math.max(-far, off));
    sum += d;
    sumSquares += d * d;
    if (off > furthest) furthest = off;
    else if (-off > furthest) furthest = -off;
  }
  state[1 + j] = mean + sum / (count + rows);
  state[1 + width + j] = squares + sumSquares - (sum * sum) / (count + rows);
  return furthest;
}
