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
  /** Standard error (Hanley & McNeil 1982). */
  readonly error: number;
  readonly positives: number;
  readonly negatives: number;
}

/** Of counts by bin; null where there are fewer than `atLeast` positives or negatives. */
export function orderOf(
  bins: { positives: ArrayLike<number>; negatives: ArrayLike<number> },
  atLeast: number,
): Order | null {
  let positives = 0;
  let negatives = 0;
  let above = 0;
  for (let b = 0; b < scoreBins; b++) {
    above += bins.positives[b]! * (negatives + bins.negatives[b]! / 2);
    positives += bins.positives[b]!;
    negatives += bins.negatives[b]!;
  }
  if (!(positives >= atLeast && negatives >= atLeast)) return null;
  const auc = above / (positives * negatives);
  const ofPositives = (positives - 1) * (auc / (2 - auc) - auc ** 2);
  const ofNegatives = (negatives - 1) * ((2 * auc ** 2) / (1 + auc) - auc ** 2);
  const variance = (auc * (1 - auc) + ofPositives + ofNegatives) / (positives * negatives);
  return { auc, error: Math.sqrt(Math.max(0, variance)), positives, negatives };
}
