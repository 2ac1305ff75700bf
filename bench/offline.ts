import type { RecommenderDefinition } from "../models/definition/define.ts";
import { type HeadReport, type JudgedHead, reportHeads } from "../models/evaluation/head-report.ts";
import { type ComparedModel, comparedModels } from "../models/ranking/model-types.ts";
import { judgedModel } from "../server/history/model-run.ts";
import {
  historyParts,
  rankingNotes,
  rankingSpecs,
  trainOptionsOf,
} from "../server/history/ranking-options.ts";
import { type RankingData, rankingData } from "../server/history/ranking-run.ts";
import { readHistory } from "../server/history/read-history.ts";
import { syntheticHistory } from "../server/history/synthetic-history.ts";
import { loadDefinition } from "../workers/load-definition.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { pairedFigures, type Runs } from "./paired-figures.ts";
import { lightgbmPredictions } from "./peers/lightgbm.ts";

/** LightGBM, whose seconds are medians or means. */
const peers = ["lightgbm", "lightgbm-mean"] as const;
type Peer = (typeof peers)[number];

interface Task {
  readonly context: BenchContext;
  readonly definition: RecommenderDefinition;
  readonly data: RankingData;
  readonly seeds: number;
}

function train({ context, definition, data, seeds }: Task, model: ComparedModel): JudgedHead[][] {
  return Array.from({ length: seeds }, (_, i) => {
    const seed = context.seed + i;
    const heads = judgedModel(data, {
      ...{ ...trainOptionsOf(context.options), definition, seed, model },
    });
    const reports = reportHeads(heads, { draws: 0, seed });
    context.say(`${model}, seed ${seed}: ${reports.map(headText).join(", ")}`);
    return heads;
  });
}

function headText({ head, figures }: HeadReport): string {
  const value = figures.auc?.value ?? figures.mae?.value ?? Number.NaN;
  return `${head} ${value.toFixed(4)}`;
}

async function peerRuns(
  { context, definition, data, seeds }: Task,
  peer: Peer,
): Promise<Runs["runs"] | null> {
  const python = process.env.PEER_PYTHON ?? "";
  if (python === "") {
    context.say(`${peer} is left out: PEER_PYTHON names no interpreter that has it`);
    return null;
  }
  const seconds = peer === "lightgbm" ? ("median" as const) : ("mean" as const);
  const heads = definition.heads.map(({ name, kind }) => {
    return { name, objective: kind === "binary" ? ("binary" as const) : seconds };
  });
  const task = { train: data.train.flat(), test: data.test, heads, seeds, say: context.say };
  return await lightgbmPredictions(python, task);
}

async function run(context: BenchContext): Promise<Record<string, Figure>> {
  const { options, smoke } = context;
  const definition = await loadDefinition(
    options.text("definition") ?? (process.env.REC_DEFINITION || null),
  );
  const made = smoke && options.text("data") === undefined && options.text("train") === undefined;
  const history = made
    ? syntheticHistory(definition, context.seed)
    : await readHistory({ ...historyParts(options, definition), definition, nowMs: Date.now() });
  const data = rankingData(history, { definition });
  try {
    context.say(`${data.train.flat().length} rows to train on, ${data.test.length} to judge on`);
    const seeds = smoke ? 1 : options.number("seeds");
    return await compareAll({ context, definition, data, seeds });
  } finally {
    data.replay.close();
  }
}

const columnsOf = (runs: readonly JudgedHead[][]) =>
  runs.map((heads) => heads.map((head) => head.predictions));

async function compareAll(task: Task): Promise<Record<string, Figure>> {
  const { options } = task.context;
  const ours = options.names("models", comparedModels);
  const against = options.names("against", [...comparedModels, ...peers]);
  const trained = new Map<ComparedModel, JudgedHead[][]>();
  const runsOf = (arm: ComparedModel) => {
    const runs = trained.get(arm) ?? train(task, arm);
    trained.set(arm, runs);
    return runs;
  };
  let figures: Record<string, Figure> = {};
  for (const other of against) {
    const others =
      other === "lightgbm" || other === "lightgbm-mean"
        ? await peerRuns(task, other)
        : columnsOf(runsOf(other));
    if (others === null) continue;
    for (const model of ours.filter((one) => one !== other)) {
      const heads = runsOf(model);
      const pair = {
        ours: { name: model, runs: columnsOf(heads) },
        other: { name: other, runs: others },
      };
      figures = { ...figures, ...pairedFigures(task.context, heads[0] ?? [], pair) };
    }
  }
  return figures;
}

export const bench: Bench = {
  name: "offline",
  about: `Rankers trained on a history beside others on the same features, paired by user.
${rankingNotes}`,
  options: {
    ...rankingSpecs,
    models: { kind: "text", help: comparedModels.join(","), default: "mmoe" },
    against: { kind: "text", help: [...comparedModels, ...peers].join(","), default: "lightgbm" },
    seeds: { kind: "number", help: "runs of each", default: 3, min: 1, max: 100 },
  },
  run,
};
