import type { Scored } from "./auc.ts";

/** With an importance weight a row (default 1): what was left out counts through what stayed. */
interface Weighted extends Scored {
  readonly weights?: ArrayLike<number>;
}

const probabilityMin = 1e-7;

/** Mean cross entropy in nats; probabilities are kept 1e-7 away from 0 and 1. */
export function logLoss({ scores, labels, weights }: Weighted): number {
  let total = 0;
  let rows = 0;
  for (let i = 0; i < scores.length; i++) {
    const p = Math.min(1 - probabilityMin, Math.max(probabilityMin, scores[i]!));
    const weight = weights === undefined ? 1 : weights[i]!;
    total -= weight * (labels[i]! * Math.log(p) + (1 - labels[i]!) * Math.log(1 - p));
    rows += weight;
  }
  return total / rows;
}

/** Sum of predictions over sum of truths: 1 is right on average. NaN without a positive. */
export function calibrationRatio({ scores, labels, weights }: Weighted): number {
  let predicted = 0;
  let true_ = 0;
  for (let i = 0; i < scores.length; i++) {
    const weight = weights === undefined ? 1 : weights[i]!;
    predicted += weight * scores[i]!;
    true_ += weight * labels[i]!;
  }
  return true_ === 0 ? Number.NaN : predicted / true_;
}

/**
 * Expected calibration error: rows in `bins` bins of equal count by score, the mean distance of a
 * bin's mean prediction from its mean truth, by rows.
 */
export function expectedCalibrationError({ scores, labels }: Scored, bins = 20): number {
  const n = scores.length;
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  order.sort((a, b) => scores[a]! - scores[b]!);
  let total = 0;
  for (let bin = 0; bin < bins; bin++) {
    const rows = order.subarray(Math.floor((bin * n) / bins), Math.floor(((bin + 1) * n) / bins));
    let gap = 0;
    for (const row of rows) gap += scores[row]! - labels[row]!;
    total += Math.abs(gap);
  }
  return n === 0 ? Number.NaN : total / n;
}
