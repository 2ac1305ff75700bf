import { Random } from "../core/random.ts";
import { bootstrapByGroup, type Interval } from "./bootstrap.ts";
import { figuresOf, knownRows, takeRows } from "./head-report.ts";

/** Predictions of one head by two models, one column a run (seed), beside what came true. */
export interface ComparedHead {
  readonly name: string;
  readonly seconds: boolean;
  /** NaN where unknown: such rows are left out. */
  readonly labels: ArrayLike<number>;
  /** The user of each row. */
  readonly users: ArrayLike<number>;
  readonly ours: readonly ArrayLike<number>[];
  readonly others: readonly ArrayLike<number>[];
}

export interface Comparison {
  readonly head: string;
  readonly figure: string;
  readonly ours: number;
  readonly other: number;
  /** Ours - other, with its 95 % interval. */
  readonly difference: Interval;
}

/**
 * The difference of two models on the same rows: means of a figure over each model's runs, by users
 * drawn with replacement, the same draw for both. Pairing takes away what makes the rows easy or
 * hard, which both share. No `figures`: all of the head.
 */
export function compareHead(
  head: ComparedHead,
  options: { readonly draws: number; readonly seed: number; readonly figures?: readonly string[] },
): Comparison[] {
  const { labels, users } = head;
  const columnsOf = (runs: readonly ArrayLike<number>[]) =>
    runs.map((predictions) => knownRows({ ...head, predictions, labels, users }));
  const [ours, others] = [columnsOf(head.ours), columnsOf(head.others)];
  const known = ours[0]?.users ?? [];
  return Object.entries(figuresOf(head.seconds)).flatMap(([figure, of]) => {
    if (options.figures !== undefined && !options.figures.includes(figure)) return [];
    const meanOf = (runs: typeof ours, rows: readonly number[]) =>
      runs.reduce((sum, columns) => sum + of(takeRows(columns, rows)), 0) / runs.length;
    const difference = bootstrapByGroup((rows) => meanOf(ours, rows) - meanOf(others, rows), {
      ...{ groups: known, draws: options.draws, level: 0.95, random: new Random(options.seed) },
    });
    const all = Array.from(known, (_, row) => row);
    const values = { ours: meanOf(ours, all), other: meanOf(others, all) };
    return [{ head: head.name, figure, ...values, difference }];
  });
}
