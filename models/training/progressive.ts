import { noRow } from "../core/bytes.ts";
import { auc, groupedAuc } from "../evaluation/auc.ts";
import { calibrationRatio, logLoss } from "../evaluation/calibration.ts";

/** What a head achieved on the last samples, each scored before it was learned from. */
export interface HeadMetrics {
  readonly head: string;
  /** Samples in the window. */
  readonly count: number;
  /** Mean label: the rate, or seconds. By importance weight, as are loss and calibration. */
  readonly base: number;
  /** Binary heads: mean cross entropy. Seconds: mean absolute error of log1p seconds. */
  readonly loss: number;
  /** Binary heads; NaN while one class is missing, and for seconds. */
  readonly auc: number;
  /** The same within each known user, averaged by her samples. */
  readonly gauc: number;
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
  /** Per head a ring of each, and the count of all that were added. */
  readonly predictions: readonly Float32Array[];
  readonly labels: readonly Float32Array[];
  readonly weights: readonly Float32Array[];
  readonly users: readonly Uint32Array[];
  readonly added: Float64Array;
  readonly #heads: readonly ProgressiveHead[];
  readonly #window: number;

  constructor(heads: readonly ProgressiveHead[], window: number) {
    this.#heads = heads;
    this.#window = window;
    this.predictions = heads.map(() => new Float32Array(window));
    this.labels = heads.map(() => new Float32Array(window));
    this.weights = heads.map(() => new Float32Array(window));
    this.users = heads.map(() => new Uint32Array(window));
    this.added = new Float64Array(heads.length);
  }

  /** Binary heads: a probability and 0 or 1. Seconds heads: log1p seconds both. */
  add(head: number, one: Observation): void {
    const at = this.added[head]! % this.#window;
    this.predictions[head]![at] = one.prediction;
    this.labels[head]![at] = one.label;
    this.weights[head]![at] = one.weight;
    this.users[head]![at] = one.user;
    this.added[head]! += 1;
  }

  metrics(): HeadMetrics[] {
    return this.#heads.map((head, h) => {
      const count = Math.min(this.#window, this.added[h]!);
      const first = (rings: readonly Float32Array[]) => rings[h]!.subarray(0, count);
      const columns = {
        scores: first(this.predictions),
        labels: first(this.labels),
        weights: first(this.weights),
      };
      const users = this.users[h]!.subarray(0, count);
      return { head: head.name, count, ...measure(head, columns, users) };
    });
  }
}

/** One prediction beside what came, and who it was for. */
export interface Observation {
  readonly prediction: number;
  readonly label: number;
  readonly weight: number;
  /** `noRow` where nobody is known. */
  readonly user: number;
}

interface Columns {
  readonly scores: Float32Array;
  readonly labels: Float32Array;
  readonly weights: Float32Array;
}

/** By weight; NaN where there is none. */
function weightedMean(values: ArrayLike<number>, weights: ArrayLike<number>): number {
  let total = 0;
  let weight = 0;
  for (let i = 0; i < values.length; i++) {
    total += weights[i]! * values[i]!;
    weight += weights[i]!;
  }
  return total / weight;
}

function measure(head: ProgressiveHead, columns: Columns, users: ArrayLike<number>) {
  const { scores, labels, weights } = columns;
  if (!head.seconds) {
    return {
      base: weightedMean(labels, weights),
      loss: logLoss(columns),
      // Leaving out negatives at random moves no order: neither needs weights.
      auc: auc(columns),
      gauc: groupedAuc(...ofKnownUsers(columns, users)),
      calibration: calibrationRatio(columns),
    };
  }
  const far = Float32Array.from(scores, (score, i) => Math.abs(score - labels[i]!));
  const seconds = { scores: scores.map(Math.expm1), labels: labels.map(Math.expm1), weights };
  return {
    base: weightedMean(seconds.labels, weights),
    loss: weightedMean(far, weights),
    auc: Number.NaN,
    gauc: Number.NaN,
    calibration: calibrationRatio(seconds),
  };
}

function ofKnownUsers({ scores, labels }: Columns, users: ArrayLike<number>) {
  const known = Array.from({ length: users.length }, (_, i) => i).filter((i) => users[i] !== noRow);
  const take = (column: ArrayLike<number>) => Float64Array.from(known, (i) => column[i]!);
  return [{ scores: take(scores), labels: take(labels) }, take(users)] as const;
}
