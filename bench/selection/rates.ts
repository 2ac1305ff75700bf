import { Random } from "../../models/core/random.ts";
import { groupRows } from "../../models/evaluation/auc.ts";
import type { Interval } from "../../models/evaluation/bootstrap.ts";

/** Predicted rates beside true ones: chances, or outcomes of 0 and 1. Columns of one length. */
export interface RatedRows {
  readonly predicted: Float64Array;
  readonly true: Float64Array;
  readonly users: ArrayLike<number>;
}

export interface RateFigures {
  /** The chance that of two outcomes, one of each kind, the positive has the higher prediction. */
  readonly auc: number;
  /** Sum of predictions over sum of true rates. */
  readonly calibration: number;
  /** Mean distance of predicted from true rate over 20 bins of equal weight by prediction. */
  readonly ece: number;
}

const bins = 20;

/**
 * All figures of weighted rows, `order` sorting them by prediction. With chances for truths the
 * AUC is the expected one over the outcomes that they lead to: no luck of a draw is left in it.
 */
function figuresOf(rows: RatedRows, order: Uint32Array, weights: ArrayLike<number>): RateFigures {
  let [below, wins, positives, negatives] = [0, 0, 0, 0];
  let [predicted, gap, total, seen, inBin] = [0, 0, 0, 0, 0];
  for (let i = 0; i < weights.length; i++) total += weights[i]!;
  for (let from = 0; from < order.length; ) {
    let [tiePositive, tieNegative] = [0, 0];
    let to = from;
    for (; to < order.length && rows.predicted[order[to]!] === rows.predicted[order[from]!]; to++) {
      const row = order[to]!;
      const weight = weights[row]!;
      tiePositive += weight * rows.true[row]!;
      tieNegative += weight * (1 - rows.true[row]!);
      predicted += weight * rows.predicted[row]!;
      inBin += weight * (rows.predicted[row]! - rows.true[row]!);
      seen += weight;
      if (Math.floor((bins * seen) / total) === Math.floor((bins * (seen - weight)) / total))
        continue;
      gap += Math.abs(inBin);
      inBin = 0;
    }
    wins += tiePositive * (below + tieNegative / 2);
    below += tieNegative;
    positives += tiePositive;
    negatives += tieNegative;
    from = to;
  }
  const ece = (gap + Math.abs(inBin)) / total;
  return { auc: wins / (positives * negatives), calibration: predicted / positives, ece };
}

export type RateIntervals = { readonly [Name in keyof RateFigures]: Interval };

/** Two models' figures on the same rows (means over their runs), and ours - other's, paired. */
export interface RateComparison {
  readonly ours: RateIntervals;
  readonly other: RateIntervals;
  readonly difference: RateIntervals;
}

/**
 * Intervals of 95 % by users drawn with replacement, each with all of its rows; one draw serves
 * both models.
 */
export function compareRates(
  runs: {
    readonly ours: readonly Float64Array[];
    readonly other: readonly Float64Array[];
    readonly true: Float64Array;
    readonly users: ArrayLike<number>;
  },
  options: { readonly draws: number; readonly seed: number },
): RateComparison {
  const random = new Random(options.seed);
  const clusters = [...groupRows(runs.users).values()];
  const columns = (predictions: readonly Float64Array[]) =>
    predictions.map((predicted) => {
      const order = Uint32Array.from(predicted.keys()).sort(
        (a, b) => predicted[a]! - predicted[b]!,
      );
      return { rows: { predicted, true: runs.true, users: runs.users }, order };
    });
  const [ours, other] = [columns(runs.ours), columns(runs.other)];
  const meanOf = (all: typeof ours, weights: Float64Array) => {
    const found = all.map(({ rows, order }) => figuresOf(rows, order, weights));
    return (name: keyof RateFigures) =>
      found.reduce((sum, figures) => sum + figures[name], 0) / found.length;
  };
  const both = (weights: Float64Array) => ({ a: meanOf(ours, weights), b: meanOf(other, weights) });
  const weights = new Float64Array(runs.true.length).fill(1);
  const whole = both(weights);
  const draws = Array.from({ length: options.draws }, () => {
    weights.fill(0);
    for (let i = 0; i < clusters.length; i++) {
      for (const row of clusters[random.int(clusters.length)]!) weights[row]! += 1;
    }
    return both(weights);
  });
  const intervals = (of: (one: typeof whole, name: keyof RateFigures) => number): RateIntervals => {
    const interval = (name: keyof RateFigures) =>
      percentiles(
        of(whole, name),
        draws.map((draw) => of(draw, name)),
      );
    return { auc: interval("auc"), calibration: interval("calibration"), ece: interval("ece") };
  };
  return {
    ours: intervals(({ a }, name) => a(name)),
    other: intervals(({ b }, name) => b(name)),
    difference: intervals(({ a, b }, name) => a(name) - b(name)),
  };
}

function percentiles(value: number, draws: readonly number[]): Interval {
  const sorted = draws.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] ?? Number.NaN;
  return { value, low: at(0.025), high: at(0.975) };
}
