import type { JudgedHead } from "../../models/evaluation/head-report.ts";
import type { Figure } from "../harness.ts";

/** How far a head's seconds are off for everybody at once, in log1p seconds. */
export interface Level {
  /** The median of what came true less what was said. */
  readonly off: number;
  /** The mean absolute error that would be left if `off` were added to all that was said. */
  readonly maeWithout: number;
}

/** Rows whose label is unknown (NaN) are left out. */
export function levelOf({
  predictions,
  labels,
}: Pick<JudgedHead, "predictions" | "labels">): Level {
  const gaps = Array.from(labels, (label, row) => Math.log1p(label) - Math.log1p(predictions[row]!))
    .filter((gap) => !Number.isNaN(gap))
    .toSorted((a, b) => a - b);
  const middle = (gaps.length - 1) / 2;
  const off = (gaps[Math.floor(middle)]! + gaps[Math.ceil(middle)]!) / 2;
  const maeWithout = gaps.reduce((sum, gap) => sum + Math.abs(gap - off), 0) / gaps.length;
  return { off, maeWithout };
}

/** Levels of the heads of seconds, under the name of an arm such as `Live`. */
export function levelFigures(heads: readonly JudgedHead[], arm: string): Record<string, Figure> {
  const unit = "log1p seconds";
  const levels = heads
    .filter(({ seconds }) => seconds)
    .map((head) => [head, levelOf(head)] as const);
  return Object.fromEntries(
    levels.flatMap(([{ name }, { off, maeWithout }]) => [
      [`${name}Off${arm}`, { value: off, unit }],
      [`${name}MaeWithoutOff${arm}`, { value: maeWithout, unit }],
    ]),
  );
}
