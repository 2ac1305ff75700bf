import { type Comparison, compareHead } from "../models/evaluation/compare-heads.ts";
import type { JudgedHead } from "../models/evaluation/head-report.ts";
import type { BenchContext, Figure } from "./harness.ts";

/** Predictions of one model: [seed][head] columns over the judged rows. */
export interface Runs {
  readonly name: string;
  readonly runs: readonly (readonly ArrayLike<number>[])[];
}

/** What decides between two models; smaller is better for `mae` and `logloss`. */
const compared = ["auc", "logloss", "mae", "xauc"];

const upper = (name: string) =>
  name.replaceAll(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase());

/**
 * Figures of two models on the same rows and their differences, paired by users. `heads` says what
 * came true of each row; its predictions are not looked at.
 */
export function pairedFigures(
  context: BenchContext,
  heads: readonly JudgedHead[],
  { ours, other }: { readonly ours: Runs; readonly other: Runs },
  figures: readonly string[] = compared,
): Record<string, Figure> {
  const draws = context.smoke ? 20 : context.options.number("draws");
  const column = ({ runs }: Runs, h: number) => runs.map((run) => run[h] ?? []);
  const list = heads.flatMap((head, h) =>
    compareHead(
      { ...head, ours: column(ours, h), others: column(other, h) },
      { draws, seed: context.seed, figures },
    ),
  );
  return figuresOfPair(list, ours.name, other.name);
}

/** `click`, `auc` -> `clickAuc`, and so on. */
function figuresOfPair(list: readonly Comparison[], ours: string, other: string) {
  const figures: Record<string, Figure> = {};
  for (const { head, figure, ...of } of list) {
    const unit = figure === "mae" ? "log1p seconds" : figure === "logloss" ? "nats" : figure;
    const name = `${head}${upper(figure)}`;
    figures[`${name}${upper(ours)}`] = { value: of.ours, unit };
    figures[`${name}${upper(other)}`] = { value: of.other, unit };
    figures[`${name}${upper(ours)}Over${upper(other)}`] = { ...of.difference, unit };
  }
  return figures;
}
