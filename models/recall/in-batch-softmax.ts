import { type KernelSet, type MatrixProduct, nativeKernels } from "../../native/index.ts";

/** Columns of one batch; rows of `dim` floats, one a user and one a target. */
export interface SoftmaxBatch {
  readonly count: number;
  readonly dim: number;
  /** Normalised users, count x dim. */
  readonly users: Float32Array;
  /** Normalised targets, count x dim; target b is the positive of user b. */
  readonly targets: Float32Array;
  /** log of how often a target is drawn, count. */
  readonly logQ: Float32Array;
  /** count x count; 1 where target c is no negative of user b. */
  readonly masked: Uint8Array;
  readonly temperature: number;
}

export interface SoftmaxGradients {
  /** d loss / d users, count x dim; overwritten. */
  readonly users: Float32Array;
  readonly targets: Float32Array;
  /** count x count of scratch. */
  readonly logits: Float32Array;
}

/**
 * Mean cross entropy of each user's own target among all targets of the batch: logits are
 * cosines / temperature - log q (sampled softmax with log-Q correction, Bengio and Senecal 2008;
 * in-batch, Yi et al., RecSys 2019). Bound to its columns once; `step` gives the loss and
 * overwrites the gradients.
 */
export class InBatchSoftmax {
  readonly #batch: SoftmaxBatch;
  readonly #logits: Float32Array;
  readonly #kernels: KernelSet;
  readonly #cosines: MatrixProduct;
  readonly #users: MatrixProduct;
  readonly #targets: MatrixProduct;

  constructor(batch: SoftmaxBatch, out: SoftmaxGradients, kernels = nativeKernels()) {
    const { count, dim, users, targets } = batch;
    this.#batch = batch;
    this.#logits = out.logits;
    this.#kernels = kernels;
    // logits = U T', dU = G T, dT = G' U; a transpose is a change of strides.
    const plain = { bias: null, reluColumns: 0, accumulate: false };
    const byDim = { ...plain, columns: dim, depth: count, bRow: dim, bColumn: 1, cRow: dim };
    this.#cosines = {
      ...plain,
      ...{ a: users, aRow: dim, aColumn: 1 },
      ...{ b: targets, bRow: 1, bColumn: dim },
      ...{ c: out.logits, cRow: count, rows: count, columns: count, depth: dim },
    };
    const gradient = { ...byDim, a: out.logits, rows: count };
    this.#users = { ...gradient, aRow: count, aColumn: 1, b: targets, c: out.users };
    this.#targets = { ...gradient, aRow: 1, aColumn: count, b: users, c: out.targets };
  }

  step(): number {
    this.#kernels.matrixProduct(this.#cosines);
    const loss = softmaxRows(this.#batch, this.#logits);
    this.#kernels.matrixProduct(this.#users);
    this.#kernels.matrixProduct(this.#targets);
    return loss;
  }
}

/** Turns cosines into d loss / d cosine, in place; gives the mean loss. */
function softmaxRows(batch: SoftmaxBatch, logits: Float32Array): number {
  const { count, masked, temperature, logQ } = batch;
  let loss = 0;
  const scale = 1 / (temperature * count);
  for (let b = 0; b < count; b++) {
    const from = b * count;
    let max = logits[from + b] / temperature - logQ[b];
    for (let c = 0; c < count; c++) {
      logits[from + c] = logits[from + c] / temperature - logQ[c];
      if (masked[from + c] === 0 && logits[from + c] > max) max = logits[from + c];
    }
    const own = logits[from + b];
    let sum = 0;
    for (let c = 0; c < count; c++) {
      const weight = masked[from + c] === 1 && c !== b ? 0 : Math.exp(logits[from + c] - max);
      logits[from + c] = weight;
      sum += weight;
    }
    loss += Math.log(sum) + max - own;
    for (let c = 0; c < count; c++) logits[from + c] *= scale / sum;
    logits[from + b] -= scale;
  }
  return loss / count;
}
