import { Random } from "../core/random.ts";
import { auc, groupedAuc, xauc } from "./auc.ts";
import { bootstrapByGroup, type Interval } from "./bootstrap.ts";
import { expectedCalibrationError, logLoss } from "./calibration.ts";

/** Predictions of one head beside what came true; rows with an unknown (NaN) label are left out. */
export interface JudgedHead {
  readonly name: string;
  readonly seconds: boolean;
  readonly predictions: ArrayLike<number>;
  readonly labels: ArrayLike<number>;
  /** The user of each row. */
  readonly users: ArrayLike<number>;
}

export interface HeadReport {
  readonly head: string;
  readonly count: number;
  /** Mean label: a rate, or seconds. */
  readonly base: number;
  /**
   * Binary: auc, gauc, logloss, ece. Seconds: mae (of log1p seconds) and xauc. Intervals of 95 %
   * by users drawn with replacement; both ends NaN where no draws were asked for.
   */
  readonly figures: Readonly<Record<string, Interval>>;
}

export interface ReportOptions {
  /** Bootstrap draws; 0: no intervals. */
  readonly draws: number;
  readonly seed: number;
}

/** Known rows of one head. */
export interface Columns {
  readonly scores: Float64Array;
  readonly labels: Float64Array;
  readonly users: Float64Array;
}

type Figure = (columns: Columns) => number;

const binaryFigures: Readonly<Record<string, Figure>> = {
  auc,
  gauc: (columns) => groupedAuc(columns, columns.users),
  logloss: logLoss,
  ece: (columns) => expectedCalibrationError(columns),
};

const secondsFigures: Readonly<Record<string, Figure>> = {
  mae: ({ scores, labels }) => {
    let total = 0;
    for (let i = 0; i < scores.length; i++) {
      total += Math.abs(Math.log1p(scores[i]!) - Math.log1p(labels[i]!));
    }
    return scores.length === 0 ? Number.NaN : total / scores.length;
  },
  xauc: ({ scores, labels }) => xauc(scores, labels),
};

/** What a head of this kind is judged by. */
export function figuresOf(seconds: boolean): Readonly<Record<string, Figure>> {
  return seconds ? secondsFigures : binaryFigures;
}

/** How good each head is on rows that it has not learned from. */
export function reportHeads(heads: readonly JudgedHead[], options: ReportOptions): HeadReport[] {
  return heads.map((head) => reportHead(head, options));
}

function reportHead(head: JudgedHead, options: ReportOptions): HeadReport {
  const columns = knownRows(head);
  const count = columns.labels.length;
  const base = columns.labels.reduce((sum, label) => sum + label, 0) / count;
  const figures = Object.entries(figuresOf(head.seconds)).map(
    ([name, figure]) => [name, intervalOf(figure, columns, options)] as const,
  );
  return { head: head.name, count, base, figures: Object.fromEntries(figures) };
}

/** Rows whose label is known, in their order. */
export function knownRows(head: Omit<JudgedHead, "name" | "seconds">): Columns {
  const rows = Array.from({ length: head.labels.length }, (_, i) => i);
  const known = rows.filter((row) => !Number.isNaN(head.labels[row]!));
  return takeRows({ scores: head.predictions, labels: head.labels, users: head.users }, known);
}

export function takeRows(
  from: { readonly [Name in keyof Columns]: ArrayLike<number> },
  rows: readonly number[],
): Columns {
  const column = (of: ArrayLike<number>) => Float64Array.from(rows, (row) => of[row]!);
  return { scores: column(from.scores), labels: column(from.labels), users: column(from.users) };
}

function intervalOf(figure: Figure, columns: Columns, options: ReportOptions): Interval {
  const { draws, seed } = options;
  if (draws === 0) return { value: figure(columns), low: Number.NaN, high: Number.NaN };
  // The same draws of users for every figure and model: differences can be paired.
  const random = new Random(seed);
  const bootstrap = { groups: columns.users, draws, random, level: 0.95 };
  return bootstrapByGroup((rows) => figure(takeRows(columns, rows)), bootstrap);
}
