import { assert } from "../../models/core/assert.ts";
import type { HeadDefinition, RecommenderDefinition } from "../../models/definition/define.ts";
import type { Sample } from "../../models/training/sample.ts";
import {
  judgedHeads,
  type RankingData,
  type TrainOptions,
  trainRanking,
} from "../../server/history/ranking-run.ts";

/** Which interaction a conversion is, and which click it follows. */
export interface Funnel {
  readonly click: string;
  readonly conversion: string;
}

/** Predictions of the held rows, one column a seed. */
export interface Predicted {
  /** The chance that a click converts. */
  readonly cvr: readonly Float64Array[];
  /** The chance of a click that converts; null where the model knows no clicks. */
  readonly ctcvr: readonly Float64Array[] | null;
}

/** ESMM; a model of clicks alone; the same conversions beside the clicks of all rows. */
export const armNames = ["esmm", "clicks", "beside"] as const;
export type ArmName = (typeof armNames)[number];

const batchMin = 8;

/** `definition` with the two heads of a funnel; its samples carry both labels. */
export function funnelDefinition(
  definition: RecommenderDefinition,
  funnel: Funnel,
): RecommenderDefinition {
  return { ...definition, heads: headsOf("esmm", funnel), valueWeights: { ctr: 1 } };
}

function headsOf(arm: ArmName, { click, conversion }: Funnel): HeadDefinition[] {
  const ctr = { name: "ctr", interaction: click, kind: "binary" as const };
  const cvr = { name: "cvr", interaction: conversion, kind: "binary" as const };
  if (arm === "clicks") return [cvr];
  return arm === "esmm" ? [ctr, { ...cvr, given: "ctr" }] : [ctr, cvr];
}

export function clickedOf(sample: Sample): boolean {
  return sample.labels[0] === 1;
}

/** 1 where the row was clicked and converted. */
export function convertedOf(sample: Sample): number {
  return clickedOf(sample) && sample.labels[1] === 1 ? 1 : 0;
}

/** Only ESMM learns conversions from all rows; without a click the others do not know. */
function labelled(sample: Sample, arm: ArmName): Sample {
  const click = clickedOf(sample) ? 1 : 0;
  const conversion = arm === "esmm" || click === 1 ? convertedOf(sample) : Number.NaN;
  const labels = arm === "clicks" ? [conversion] : [click, conversion];
  return { ...sample, labels: Float32Array.from(labels) };
}

/** Trains one arm on data of `funnelDefinition`, with seeds from the options' on. */
export function trainArm(
  data: RankingData,
  arm: ArmName,
  given: { readonly funnel: Funnel; readonly options: TrainOptions; readonly seeds: number },
): Predicted {
  const definition = { ...given.options.definition, heads: headsOf(arm, given.funnel) };
  const clicks = data.train.map((tie) => tie.filter(clickedOf)).filter((tie) => tie.length > 0);
  const learned = arm === "clicks" ? clicks : data.train;
  const train = learned.map((tie) => tie.map((sample) => labelled(sample, arm)));
  // As many steps as on all rows, or so few rows would hardly be learned.
  const share = train.flat().length / data.train.flat().length;
  const batch = Math.max(batchMin, Math.round(share * given.options.batch));
  const test = data.test.map((sample) => labelled(sample, arm));
  const own = { ...data, train, test };
  const runs = Array.from({ length: given.seeds }, (_, i) => {
    const seed = given.options.seed + i;
    const trained = trainRanking(own, { ...given.options, definition, batch, seed });
    return judgedHeads(own, trained).map(({ predictions }) => Float64Array.from(predictions));
  });
  return predictedOf(runs, arm);
}

function predictedOf(runs: readonly (readonly Float64Array[])[], arm: ArmName): Predicted {
  if (arm === "clicks") return { cvr: runs.map(([cvr]) => known(cvr)), ctcvr: null };
  const pairs = runs.map(([ctr, second]) => ({ ctr: known(ctr), second: known(second) }));
  // ESMM's second column is the product over all rows already.
  const product = pairs.map(({ ctr, second }) => second.map((value, row) => value * ctr[row]!));
  const ratio = pairs.map(({ ctr, second }) => second.map((value, row) => value / ctr[row]!));
  const seconds = pairs.map(({ second }) => second);
  return arm === "esmm" ? { cvr: ratio, ctcvr: seconds } : { cvr: seconds, ctcvr: product };
}

function known(column: Float64Array | undefined): Float64Array {
  assert(column !== undefined, "a column for each head");
  return column;
}
