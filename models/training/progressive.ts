import { auc } from "../evaluation/auc.ts";
import { calibrationRatio, logLoss } from "../evaluation/calibration.ts";

/** What a head achieved on the last samples, each scored before it was learned from. */
export interface HeadMetrics {
  readonly head: string;
  /** Samples in the window. */
  readonly count: number;
  /** Mean label: the rate, or seconds. */
  readonly base: number;
  /** Binary heads: mean cross entropy. Seconds: mean absolute error of log1p seconds. */
  readonly loss: number;
  /** Binary heads; NaN while one class is missing, and for seconds. */
  readonly auc: number;
  /** Sum of predictions over sum of labels; 1 is right on average. */
  readonly calibration: number;
}

export interface ProgressiveHead {
  readonly name: string;
  readonly seconds: boolean;
}

/**
 * Progressive validation (Blum et al. 1999): every sample is a test before it is a lesson. Keeps
 * the last `window` predictions and labels of each head. A head with `given` is judged on the
 * product, over all impressions, as that is what its labels say.
 */
export class ProgressiveValidation {
  /** Per head a ring of predictions and one of labels, and the count of all that were added. */
  readonly predictions: readonly Float32Array[];
  readonly labels: readonly Float32Array[];
  readonly added: Float64Array;
  readonly #heads: readonly ProgressiveHead[];
  readonly #window: number;

  constructor(heads: readonly ProgressiveHead[], window: number) {
    this.#heads = heads;
    this.#window = window;
    this.predictions = heads.map(() => new Float32Array(window));
    this.labels = heads.map(() => new Float32Array(window));
    this.added = new Float64Array(heads.length);
  }

  /** Binary heads: a probability and 0 or 1. Seconds heads: log1p seconds both. */
  add(head: number, prediction: number, label: number): void {
    const at = this.added[head]! % this.#window;
    this.predictions[head]![at] = prediction;
    this.labels[head]![at] = label;
    this.added[head]! += 1;
  }

  metrics(): HeadMetrics[] {
    return this.#heads.map((head, h) => {
      const count = Math.min(this.#window, this.added[h]!);
      const scores = this.predictions[h]!.subarray(0, count);
      const labels = this.labels[h]!.subarray(0, count);
      return { head: head.name, count, ...measure(head, scores, labels) };
    });
  }
}

function mean(values: Float32Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total / values.length;
}

function measure(head: ProgressiveHead, scores: Float32Array, labels: Float32Array) {
  if (!head.seconds) {
    return {
      base: mean(labels),
      loss: logLoss({ scores, labels }),
      auc: auc({ scores, labels }),
      calibration: calibrationRatio({ scores, labels }),
    };
  }
  const seconds = { scores: scores.map(Math.expm1), labels: labels.map(Math.expm1) };
  return {
    base: mean(seconds.labels),
    loss: mean(scores.map((score, i) => Math.abs(score - labels[i]!))),
    auc: Number.NaN,
    calibration: calibrationRatio(seconds),
  };
}
