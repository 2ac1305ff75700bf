import { auc } from "../models/evaluation/auc.ts";
import { calibrationRatio, logLoss } from "../models/evaluation/calibration.ts";
import { type ArmName, armNames, runArm } from "./delay/arms.ts";
import { type DelaySizes, delayedHeads, drawImpressions, type Impression } from "./delay/stream.ts";
import type { Bench, Figure } from "./harness.ts";
import { mean, overSeeds } from "./statistics.ts";

/** Until a day has passed, who waits for labels has learned nothing; a day more to learn. */
const warmUpHours = 48;

/** One head's predictions of a run beside what came in the end. */
interface Outcome {
  readonly logLoss: number;
  readonly auc: number;
  /** Predicted over true, over all hours. */
  readonly calibration: number;
  /** Mean over hours of how far that is from 1, as a logarithm: what moves must be followed. */
  readonly calibrationGap: number;
}

const measures = {
  logLoss: "nats",
  auc: "auc",
  calibration: "ratio",
  calibrationGap: "log ratio",
} as const satisfies Record<keyof Outcome, string>;
type Measure = keyof Outcome;
const measureNames: readonly Measure[] = ["logLoss", "auc", "calibration", "calibrationGap"];

function outcomeOf(
  predicted: Float32Array,
  impressions: readonly Impression[],
  of: { readonly head: number; readonly perHour: number; readonly from: number },
): Outcome {
  const labels = Float32Array.from(impressions, ({ sample }) => sample.labels[of.head]!);
  const part = (from: number, to: number) => ({
    scores: predicted.subarray(from, to),
    labels: labels.subarray(from, to),
  });
  const all = part(of.from, predicted.length);
  const gaps: number[] = [];
  for (let from = of.from; from < predicted.length; from += of.perHour) {
    const ratio = calibrationRatio(part(from, from + of.perHour));
    if (ratio > 0) gaps.push(Math.abs(Math.log(ratio)));
  }
  const calibration = calibrationRatio(all);
  return { logLoss: logLoss(all), auc: auc(all), calibration, calibrationGap: mean(gaps) };
}

const upper = (name: string) => name.charAt(0).toUpperCase() + name.slice(1);

/** Which arms are held against which, seed by seed. */
const contrasts: readonly { readonly arm: ArmName; readonly over: ArmName }[] = [
  ...armNames.filter((arm) => arm !== "oracle").map((arm) => ({ arm, over: "oracle" as const })),
  { arm: "fakeNegative", over: "takeBack" },
  { arm: "fakeNegativeThinned", over: "takeBackThinned" },
];

function figuresOf(runs: ReadonlyMap<string, readonly Outcome[]>, head: string) {
  const figures: Record<string, Figure> = {};
  for (const measure of measureNames) {
    const unit = measures[measure];
    const column = (arm: ArmName) =>
      (runs.get(`${arm}${head}`) ?? []).map((outcome) => outcome[measure]);
    for (const arm of armNames) {
      figures[`${measure}${head}${upper(arm)}`] = overSeeds(column(arm), unit);
    }
    if (measure === "calibration") continue;
    for (const { arm, over } of contrasts) {
      const others = column(over);
      const apart = column(arm).map((value, i) => value - (others[i] ?? Number.NaN));
      figures[`${measure}${head}${upper(arm)}Over${upper(over)}`] = overSeeds(apart, unit);
    }
  }
  return figures;
}

export const bench: Bench = {
  name: "delay",
  about: "Ways to learn labels that come hours late, beside an oracle that knows them at once.",
  options: {
    seeds: { kind: "number", help: "streams", default: 5, min: 1 },
    hours: { kind: "number", help: "of each stream; the first 48 are not judged", default: 96 },
    "per-hour": { kind: "number", help: "impressions", default: 1_000, min: 100 },
  },
  run(context) {
    const { options, smoke, seed } = context;
    const seeds = smoke ? 2 : options.number("seeds");
    const hours = smoke ? 56 : Math.max(warmUpHours + 1, options.number("hours"));
    const perHour = smoke ? 100 : options.number("per-hour");
    const runs = new Map<string, Outcome[]>();
    for (let i = 0; i < seeds; i++) {
      const sizes: DelaySizes = { seed: seed + i, hours, perHour };
      const impressions = drawImpressions(sizes);
      for (const arm of armNames) {
        const predicted = runArm(impressions, arm, seed + i);
        for (const { name, head } of delayedHeads) {
          const from = warmUpHours * perHour;
          const outcome = outcomeOf(predicted[head]!, impressions, { head, perHour, from });
          const key = `${arm}${name}`;
          runs.set(key, [...(runs.get(key) ?? []), outcome]);
        }
      }
      context.say(`stream ${seed + i}: ${impressions.length} impressions, every arm`);
    }
    const figures = delayedHeads.map(({ name }) => figuresOf(runs, name));
    return Promise.resolve(Object.assign({}, ...figures));
  },
};
