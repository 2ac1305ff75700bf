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
 * in-batch, Yi et al., RecSys 2019). Gives the loss.
 */
export function inBatchSoftmax(batch: SoftmaxBatch, out: SoftmaxGradients): number {
  logitsOf(batch, out.logits);
  const loss = softmaxRows(batch, out.logits);
  gradientsOf(batch, out);
  return loss;
}

function logitsOf(batch: SoftmaxBatch, logits: Float32Array): void {
  const { count, dim, users, targets, logQ } = batch;
  const scale = 1 / batch.temperature;
  for (let b = 0; b < count; b++) {
    for (let c = 0; c < count; c++) {
      let one = 0;
      let two = 0;
      const u = b * dim;
      const t = c * dim;
      for (let d = 0; d < dim; d += 2) {
        one += users[u + d] * targets[t + d];
        two += users[u + d + 1] * targets[t + d + 1];
      }
      logits[b * count + c] = (one + two) * scale - logQ[c];
    }
  }
}

/** Turns logits into d loss / d cosine, in place; gives the mean loss. */
function softmaxRows({ count, masked, temperature }: SoftmaxBatch, logits: Float32Array): number {
  let loss = 0;
  const scale = 1 / (temperature * count);
  for (let b = 0; b < count; b++) {
    const from = b * count;
    let max = logits[from + b];
    for (let c = 0; c < count; c++) {
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

function gradientsOf(batch: SoftmaxBatch, out: SoftmaxGradients): void {
  const { count, dim, users, targets } = batch;
  out.users.fill(0, 0, count * dim);
  out.targets.fill(0, 0, count * dim);
  for (let b = 0; b < count; b++) {
    for (let c = 0; c < count; c++) {
      const g = out.logits[b * count + c];
      if (g === 0) continue;
      const u = b * dim;
      const t = c * dim;
      for (let d = 0; d < dim; d++) {
        out.users[u + d] += g * targets[t + d];
        out.targets[t + d] += g * users[u + d];
      }
    }
  }
}
