/** Scores further out count as these: one that is sure of everything must not decide alone. */
const logitMin = -9;
const logitMax = 3;

/** Places of the sums of one model's scores beside the labels. */
const sumsOf = { weight: 0, label: 1, score: 2, square: 3, product: 4 } as const;
/** Sums that a slope is read from. */
export const slopeColumns = 5;

/** By how much the odds of a label rise with the odds that a model gave. */
export interface Slope {
  /** 1 where scores are right, 0 where they say nothing, below where labels are turned round. */
  readonly slope: number;
  /** Standard error, by the Fisher information of the slope at the mean rate. */
  readonly error: number;
  readonly positives: number;
  readonly negatives: number;
}

/** Adds one label and the probability that was given to it; `at`: the first of the sums. */
export function addToSlope(
  sums: Float64Array,
  at: number,
  one: { readonly probability: number; readonly label: number; readonly weight: number },
): void {
  const { probability, label, weight } = one;
  const logit = Math.log(probability / (1 - probability));
  const score = Math.min(logitMax, Math.max(logitMin, logit));
  sums[at + sumsOf.weight]! += weight;
  sums[at + sumsOf.label]! += weight * label;
  sums[at + sumsOf.score]! += weight * score;
  sums[at + sumsOf.square]! += weight * score * score;
  sums[at + sumsOf.product]! += weight * score * label;
}

/**
 * The slope of Cox's recalibration (1958), logit(label) = a + slope x score, from sums alone: the
 * discriminant estimate cov(score, label) / (var(score) rate (1 - rate)). Rates that rise and fall
 * move `a`, slates that become alike move the error: neither moves the slope, as each would an AUC.
 */
export function slopeOf(sums: ArrayLike<number>): Slope {
  const weight = sums[sumsOf.weight]!;
  const rate = sums[sumsOf.label]! / weight;
  const mean = sums[sumsOf.score]! / weight;
  const variance = sums[sumsOf.square]! / weight - mean * mean;
  const information = variance * rate * (1 - rate);
  return {
    slope: (sums[sumsOf.product]! / weight - mean * rate) / information,
    error: 1 / Math.sqrt(weight * information),
    positives: weight * rate,
    negatives: weight * (1 - rate),
  };
}
