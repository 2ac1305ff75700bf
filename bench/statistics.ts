import { Random } from "../models/core/random.ts";

/** A measured value, with a 95 % interval where there is one. */
export interface Figure {
  readonly value: number;
  readonly unit: string;
  readonly low?: number;
  readonly high?: number;
}

/** The value below which the share `q` of the values lies (nearest rank); NaN for none. */
export function percentile(values: ArrayLike<number>, q: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))]!;
}

export function median(values: ArrayLike<number>): number {
  if (values.length === 0) return Number.NaN;
  const sorted = Float64Array.from(values).sort();
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

const beyond = 1.96;
const studentTs = [
  ...[12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179],
  ...[2.16, 2.145, 2.131, 2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06],
  ...[2.056, 2.052, 2.048, 2.045, 2.042],
];

/** The 97.5 % quantile of Student's t for 1, 2, 3 ... degrees of freedom. */
export function studentT(freedom: number): number {
  return studentTs[freedom - 1] ?? beyond;
}

/** Mean of independent runs (seeds) and its 95 % interval by Student's t; none for one run. */
export function overSeeds(values: readonly number[], unit: string): Figure {
  const value = mean(values);
  if (values.length < 2) return { value, unit };
  const squares = values.reduce((sum, x) => sum + (x - value) ** 2, 0);
  const error = Math.sqrt(squares / (values.length - 1) / values.length);
  const half = studentT(values.length - 1) * error;
  return { value, unit, low: value - half, high: value + half };
}

/** A statistic of a sample with its 95 % percentile-bootstrap interval (1,000 resamples). */
export function bootstrapped(
  values: readonly number[],
  statistic: (values: readonly number[]) => number,
  options: { unit: string; seed: number },
): Figure {
  const random = new Random(options.seed);
  const draws = Array.from({ length: 1_000 }, () =>
    statistic(values.map(() => values[random.int(values.length)]!)),
  );
  return {
    value: statistic(values),
    unit: options.unit,
    low: percentile(draws, 0.025),
    high: percentile(draws, 0.975),
  };
}

/**
 * Median of the ratios b / a of pairs of runs that alternate in time, so that a machine that slows
 * down slows both; with a bootstrap interval over the pairs.
 */
export function pairedRatio(
  pairs: readonly { readonly a: number; readonly b: number }[],
  seed: number,
): Figure {
  const ratios = pairs.map(({ a, b }) => b / a);
  return bootstrapped(ratios, median, { unit: "ratio", seed });
}
