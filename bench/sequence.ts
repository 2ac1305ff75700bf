import { RecError } from "../models/core/errors.ts";
import { parseRfc3339 } from "../models/core/schema-text.ts";
import type { RecommenderDefinition } from "../models/definition/define.ts";
import type { JudgedHead } from "../models/evaluation/head-report.ts";
import { learningOf } from "../models/training/learning.ts";
import { judgedModel } from "../server/history/model-run.ts";
import {
  historyParts,
  rankingNotes,
  rankingSpecs,
  trainOptionsOf,
} from "../server/history/ranking-options.ts";
import { type RankingData, rankingData } from "../server/history/ranking-run.ts";
import { type History, readHistory } from "../server/history/read-history.ts";
import { syntheticHistory } from "../server/history/synthetic-history.ts";
import { loadDefinition } from "../workers/load-definition.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { pairedFigures, type Runs } from "./paired-figures.ts";
import { type SequenceArm, sequenceArms, sequencePredictions } from "./peers/torch-sequence.ts";

const weightings = ["softmax", "sum"] as const;

interface Task {
  readonly context: BenchContext;
  readonly definition: RecommenderDefinition;
  readonly data: RankingData;
  readonly seeds: number;
  readonly python: string;
}

async function historyOf(context: BenchContext, definition: RecommenderDefinition) {
  const { options, smoke, seed } = context;
  if (smoke && options.text("data") === undefined) return syntheticHistory(definition, seed);
  const parts = historyParts(options, definition);
  const history = await readHistory({ ...parts, definition, nowMs: Date.now() });
  return before(history, options.text("end"));
}

/** The history without what came from `end` on. */
function before(history: History, end: string | undefined): History {
  if (end === undefined) return history;
  const endMs = parseRfc3339(end);
  if (Number.isNaN(endMs)) {
    const fix = "such as 2026-01-31T00:00:00Z";
    throw new RecError("REC_COMMAND_OPTION", `--end is ${end}`, { fix });
  }
  return { ...history, ties: history.ties.filter((tie) => tie.timeMs < endMs) };
}

/** The native ranker without a sequence: what the peer's must be about as good as. */
function native({ context, definition, data, seeds }: Task): JudgedHead[][] {
  const options = { ...trainOptionsOf(context.options), definition };
  return Array.from({ length: seeds }, (_, i) =>
    judgedModel(data, { ...options, seed: context.seed + i, model: "mmoe" }),
  );
}

async function armRuns(task: Task, arms: readonly SequenceArm[]): Promise<Runs[]> {
  const { context, definition, data, seeds, python } = task;
  const { options, seed } = context;
  const { epochs, batch, decay, average, learningRate, admission } = trainOptionsOf(options);
  const { userEmbedding, itemEmbedding } = learningOf(definition);
  const { users = userEmbedding.admission, items = itemEmbedding.admission } = admission;
  const predictions = await sequencePredictions(python, arms, {
    ...{ train: data.train.flat(), test: data.test, seeds, say: context.say },
    definition,
    training: {
      ...{ epochs, batch, decay, average, seed },
      ...{ rate: learningRate, userIds: users, itemIds: items },
    },
    sequence: {
      ...{ length: options.number("length"), dim: options.number("dim") },
      sequenceIds: options.number("sequence-ids"),
      weights: options.names("weights", weightings)[0],
    },
  });
  return [...predictions].map(([name, runs]) => ({ name, runs }));
}

async function compareAll(task: Task): Promise<Record<string, Figure>> {
  const { context, data } = task;
  const arms = context.options.names("arms", sequenceArms);
  const wanted = arms.filter((name) => name !== "none");
  context.say(`${data.train.flat().length} rows to learn from, ${data.test.length} to judge on`);
  const heads = native(task);
  const runs = heads.map((of) => of.map((head) => head.predictions));
  const [none, ...others] = await armRuns(task, ["none", ...wanted]);
  if (none === undefined) return {};
  const truth = heads[0] ?? [];
  let figures = pairedFigures(context, truth, { ours: none, other: { name: "native", runs } });
  for (const ours of others) {
    figures = { ...figures, ...pairedFigures(context, truth, { ours, other: none }) };
  }
  return figures;
}

async function run(context: BenchContext): Promise<Record<string, Figure>> {
  const { options, smoke } = context;
  const python = process.env.PEER_PYTHON ?? "";
  if (python === "") {
    context.say("nothing to compare: PEER_PYTHON names no interpreter that has torch");
    return {};
  }
  const definition = await loadDefinition(
    options.text("definition") ?? (process.env.REC_DEFINITION || null),
  );
  const data = rankingData(await historyOf(context, definition), { definition });
  try {
    const seeds = smoke ? 1 : options.number("seeds");
    return await compareAll({ context, definition, data, seeds, python });
  } finally {
    data.replay.close();
  }
}

export const bench: Bench = {
  name: "sequence",
  about: `What a ranker gains from the sequence of what its user met last, in PyTorch.
${rankingNotes}`,
  options: {
    ...rankingSpecs,
    end: { kind: "text", help: "rows from then on are left out (RFC 3339)" },
    arms: { kind: "text", help: "beside none", default: sequenceArms.slice(1).join(",") },
    seeds: { kind: "number", help: "runs of each", default: 3, min: 1, max: 100 },
    length: { kind: "number", help: "rows looked back on", default: 50, min: 1, max: 1_000 },
    dim: { kind: "number", help: "width of an id's vector", default: 8, min: 1, max: 256 },
    "sequence-ids": {
      kind: "number",
      help: "occurrences in training before an item of the sequence has a vector",
      ...{ default: 1, min: 0 },
    },
    weights: { kind: "text", help: weightings.join(", "), default: "softmax" },
  },
  run,
};
