import { sigmoid } from "../core/numbers.ts";

/** Scores in bins of a quarter of a logit from -9 to 3, so that order can be kept as sums. */
const from = -9;
const perLogit = 4;
export const scoreBins = 48;

/** The bin of a probability. */
export function binOf(probability: number): number {
  const logit = Math.log(probability / (1 - probability));
  const bin = Math.floor((logit - from) * perLogit);
  return bin >= 0 ? Math.min(scoreBins - 1, bin) : 0;
}

/** How well scores put positives above negatives, and how sure that is. */
export interface Order {
  readonly auc: number;
  /** The AUC that the scores themselves promise: what it is where each of them is right. */
  readonly promised: number;
  /** Standard error (Hanley & McNeil 1982). */
  readonly error: number;
  readonly positives: number;
  readonly negatives: number;
}

interface Bins {
  readonly positives: ArrayLike<number>;
  readonly negatives: ArrayLike<number>;
}

/** Of counts by bin; null where there are fewer than `atLeast` positives or negatives. */
export function orderOf(bins: Bins, atLeast: number): Order | null {
  const { auc, positives, negatives } = aucOf(bins);
  if (!(positives >= atLeast && negatives >= atLeast)) return null;
  const ofPositives = (positives - 1) * (auc / (2 - auc) - auc ** 2);
  const ofNegatives = (negatives - 1) * ((2 * auc ** 2) / (1 + auc) - auc ** 2);
  const variance = (auc * (1 - auc) + ofPositives + ofNegatives) / (positives * negatives);
  const error = Math.sqrt(Math.max(0, variance));
  return { auc, promised: aucOf(asPromised(bins)).auc, error, positives, negatives };
}

function aucOf(bins: Bins) {
  let positives = 0;
  let negatives = 0;
  let above = 0;
  for (let b = 0; b < scoreBins; b++) {
    above += bins.positives[b]! * (negatives + bins.negatives[b]! / 2);
    positives += bins.positives[b]!;
    negatives += bins.negatives[b]!;
  }
  return { auc: above / (positives * negatives), positives, negatives };
}

/** As many samples in each bin, with as many positives as its middle says. */
function asPromised({ positives, negatives }: Bins): Bins {
  const counts = Float64Array.from(positives, (count, b) => count + negatives[b]!);
  const rates = counts.map((_, b) => sigmoid(from + (b + 0.5) / perLogit));
  return {
    positives: counts.map((count, b) => count * rates[b]!),
    negatives: counts.map((count, b) => count * (1 - rates[b]!)),
  };
}
