import type { Random } from "../core/random.ts";
import { groupRows } from "./auc.ts";

export interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface BootstrapOptions {
  /** The cluster (user) of each row: rows of one user are drawn together. */
  readonly groups: ArrayLike<number>;
  readonly draws: number;
  readonly random: Random;
  /** Share inside the interval, such as .95. */
  readonly level: number;
}

/** A statistic of a list of rows; for a paired comparison, the difference of two models' values. */
export type Statistic = (rows: readonly number[]) => number;

/**
 * Percentile interval of a statistic by the cluster bootstrap: users are drawn with replacement,
 * each with all of its rows, as rows of one user are not independent.
 */
export function bootstrapByGroup(statistic: Statistic, options: BootstrapOptions): Interval {
  const clusters = [...groupRows(options.groups).values()];
  const draws: number[] = [];
  for (let draw = 0; draw < options.draws; draw++) {
    const rows: number[] = [];
    for (let i = 0; i < clusters.length; i++) {
      for (const row of clusters[options.random.int(clusters.length)]!) rows.push(row);
    }
    const value = statistic(rows);
    if (!Number.isNaN(value)) draws.push(value);
  }
  draws.sort((a, b) => a - b);
  const at = (share: number) => draws[Math.round(share * (draws.length - 1))] ?? Number.NaN;
  const tail = (1 - options.level) / 2;
  return { value: statistic(clusters.flat()), low: at(tail), high: at(1 - tail) };
}
