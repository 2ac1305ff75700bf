import { RecError } from "../models/core/errors.ts";
import feed from "../models/definition/default.ts";
import type { RecommenderDefinition } from "../models/definition/define.ts";
import { pagesOf } from "../server/history/point-in-time.ts";
import {
  historyParts,
  rankingNotes,
  rankingSpecs,
  trainOptionsOf,
} from "../server/history/ranking-options.ts";
import { type RankingData, rankingData } from "../server/history/ranking-run.ts";
import { type History, type HistoryRow, readHistory } from "../server/history/read-history.ts";
import { loadDefinition } from "../workers/load-definition.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import {
  type ArmName,
  armNames,
  clickedOf,
  convertedOf,
  type Funnel,
  funnelDefinition,
  type Predicted,
  trainArm,
} from "./selection/arms.ts";
import { compareRates, type RateComparison } from "./selection/rates.ts";
import { simulatedHistory } from "./selection/simulated-history.ts";

/** What the arms are judged on. */
interface Judged {
  readonly context: BenchContext;
  readonly data: RankingData;
  readonly predicted: ReadonlyMap<ArmName, Predicted>;
}

type Figures = Record<string, Figure>;
const upper = (name: string) => name.charAt(0).toUpperCase() + name.slice(1);

function trainAll(
  context: BenchContext,
  data: RankingData,
  of: { readonly definition: RecommenderDefinition; readonly funnel: Funnel },
): Judged {
  const seeds = context.smoke ? 1 : context.options.number("seeds");
  const options = { ...trainOptionsOf(context.options), definition: of.definition };
  const [rows, clicks] = [data.train.flat(), data.train.flat().filter(clickedOf)];
  const conversions = rows.filter((sample) => convertedOf(sample) === 1);
  context.say(`${rows.length} rows, ${clicks.length} clicks, ${conversions.length} conversions`);
  context.say(`to learn from; ${data.test.length} rows to judge on`);
  if (conversions.length === 0 || data.test.length === 0) {
    const fix =
      "give --train-until, and --definition with labels that --click and --conversion name";
    throw new RecError("REC_COMMAND_OPTION", "nothing to learn or judge conversions on", { fix });
  }
  const predicted = new Map<ArmName, Predicted>();
  for (const arm of armNames) {
    predicted.set(arm, trainArm(data, arm, { funnel: of.funnel, options, seeds }));
    context.say(`trained ${arm}`);
  }
  return { context, data, predicted };
}

/** ESMM beside each other arm that has such a prediction, over some of the held rows. */
function compared(
  { context, data, predicted }: Judged,
  of: {
    readonly name: string;
    readonly kind: keyof Predicted;
    readonly rows: readonly number[];
    readonly truth: (row: number) => number;
  },
): Figures {
  const pick = (column: ArrayLike<number>) =>
    Float64Array.from(of.rows, (row) => column[row] ?? Number.NaN);
  const columns = (arm: ArmName) => predicted.get(arm)?.[of.kind]?.map(pick);
  const ours = columns("esmm");
  const truth = { true: Float64Array.from(of.rows, of.truth), users: pick(data.testUsers) };
  const draws = context.smoke ? 20 : context.options.number("draws");
  const figures: Figures = {};
  for (const arm of armNames) {
    const other = arm === "esmm" ? undefined : columns(arm);
    if (ours === undefined || other === undefined) continue;
    const options = { draws, seed: context.seed };
    Object.assign(figures, named(of.name, arm, compareRates({ ours, other, ...truth }, options)));
  }
  return figures;
}

function named(name: string, other: ArmName, found: RateComparison): Figures {
  const figures: Figures = {};
  for (const figure of ["auc", "calibration", "ece"] as const) {
    const of = `${name}${upper(figure)}`;
    const unit = figure === "calibration" ? "ratio" : figure;
    figures[`${of}Esmm`] = { ...found.ours[figure], unit };
    figures[`${of}${upper(other)}`] = { ...found.other[figure], unit };
    figures[`${of}EsmmOver${upper(other)}`] = { ...found.difference[figure], unit };
  }
  return figures;
}

/** What predicting the true chances themselves would reach. */
function ceiling(name: string, rates: readonly number[], users: readonly number[]): Figures {
  const truth = Float64Array.from(rates);
  const same = { ours: [truth], other: [truth], true: truth, users };
  const { ours } = compareRates(same, { draws: 0, seed: 0 });
  return { [`${name}AucTruth`]: { value: ours.auc.value, unit: "auc" } };
}

function heldRows({ test }: RankingData) {
  const all = test.map((_, row) => row);
  return { all, clicked: all.filter((row) => test[row] !== undefined && clickedOf(test[row])) };
}

/** The simulator knows what every impression would have led to. */
async function onSimulator(context: BenchContext): Promise<Figures> {
  const { options, smoke, seed } = context;
  const sizes = {
    ...{ seed, users: options.number("users"), items: options.number("items") },
    ...{ minutes: options.number("minutes"), slatesPerSecond: 20 },
  };
  const tiny = { users: 50, items: 100, minutes: 4, slatesPerSecond: 5 };
  const funnel = { click: "click", conversion: "convert" };
  const definition = funnelDefinition(feed, funnel);
  const made = await simulatedHistory(definition, { ...sizes, ...(smoke ? tiny : {}) });
  context.say(`${made.history.rows} impressions were simulated`);
  const data = rankingData(made.history, { definition });
  try {
    const judged = trainAll(context, data, { definition, funnel });
    const rates = heldInOrder(made.history).map(made.rateOf);
    const truth = (row: number) => rates[row] ?? Number.NaN;
    const { all, clicked } = heldRows(data);
    return {
      ...ceiling("allCvr", rates, data.testUsers),
      ...ceiling("clickedCvr", clicked.map(truth), clicked),
      ...compared(judged, { name: "allCvr", kind: "cvr", rows: all, truth }),
      ...compared(judged, { name: "clickedCvr", kind: "cvr", rows: clicked, truth }),
    };
  } finally {
    data.replay.close();
  }
}

/** The rows of `data.test`. */
function heldInOrder({ ties }: History): HistoryRow[] {
  return ties.flatMap((tie) => {
    const held = tie.rows.filter((row) => row.held);
    return pagesOf(held).flatMap(({ page }) => page);
  });
}

/** Real data say what came of clicks; of the others, only that no click converted. */
async function onHistory(context: BenchContext): Promise<Figures> {
  const { options } = context;
  const named = options.text("definition") ?? (process.env.REC_DEFINITION || null);
  const whole = await loadDefinition(named);
  const funnel = {
    click: options.text("click") ?? "",
    conversion: options.text("conversion") ?? "",
  };
  const definition = funnelDefinition(whole, funnel);
  const parts = historyParts(options, definition);
  const history = await readHistory({ ...parts, definition, nowMs: Date.now() });
  const data = rankingData(history, { definition });
  try {
    const judged = trainAll(context, data, { definition, funnel });
    const truth = (row: number) => (data.test[row] === undefined ? 0 : convertedOf(data.test[row]));
    const { all, clicked } = heldRows(data);
    return {
      ...compared(judged, { name: "allCtcvr", kind: "ctcvr", rows: all, truth }),
      ...compared(judged, { name: "clickedCvr", kind: "cvr", rows: clicked, truth }),
    };
  } finally {
    data.replay.close();
  }
}

export const bench: Bench = {
  name: "selection",
  about: `ESMM's conversion rate beside models of clicks: on the simulator, or on a history.
${rankingNotes}`,
  options: {
    ...rankingSpecs,
    click: { kind: "text", help: "with --data: the interaction that is a click", default: "click" },
    conversion: { kind: "text", help: "... and the one that follows it", default: "profileEnter" },
    seeds: { kind: "number", help: "models of each kind", default: 3, min: 1, max: 100 },
    users: { kind: "number", help: "simulated users", default: 1_000, min: 10 },
    items: { kind: "number", help: "simulated items", default: 1_000, min: 50 },
    minutes: {
      kind: "number",
      help: "simulated minutes, the last quarter held",
      default: 20,
      min: 1,
    },
  },
  run(context) {
    const { options } = context;
    const given = options.text("data") ?? options.text("train");
    return given === undefined ? onSimulator(context) : onHistory(context);
  },
};
