import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert } from "../models/core/assert.ts";
import { RecError } from "../models/core/errors.ts";
import type { RecommenderDefinition } from "../models/definition/define.ts";
import type { JudgedHead } from "../models/evaluation/head-report.ts";
import {
  historyParts,
  rankingNotes,
  rankingSpecs,
  trainOptionsOf,
} from "../server/history/ranking-options.ts";
import {
  judgedHeads,
  type RankingData,
  rankingData,
  type TrainedRanker,
  trainRanking,
} from "../server/history/ranking-run.ts";
import { type History, readHistory } from "../server/history/read-history.ts";
import { saveSnapshot } from "../server/history/save-snapshot.ts";
import { syntheticHistory } from "../server/history/synthetic-history.ts";
import { loadDefinition } from "../workers/load-definition.ts";
import { systemClock } from "../workers/system-clock.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { pairedFigures, type Runs } from "./paired-figures.ts";
import { toldBatches } from "./replay/batches.ts";
import { aucByHour } from "./replay/by-hour.ts";
import { levelFigures } from "./replay/level.ts";
import { ReplayedServer, type RowHeads } from "./replay/replayed-server.ts";

/** What stands still from the first held row on. */
const arms = [
  { name: "live", weights: false, counters: false },
  { name: "weightsFrozen", weights: true, counters: false },
  { name: "countersFrozen", weights: false, counters: true },
  { name: "bothFrozen", weights: true, counters: true },
] as const;

type Arm = (typeof arms)[number];

const compared = ["auc", "ece", "mae", "xauc"];

interface Task {
  readonly context: BenchContext;
  readonly definition: RecommenderDefinition;
  readonly history: History;
  /** Ties before the first held row. */
  readonly told: number;
  readonly folder: string;
}

/** The model that every arm begins with, and what it says offline. */
interface Offline {
  readonly data: RankingData;
  readonly trained: TrainedRanker;
  readonly heads: readonly JudgedHead[];
}

/** Ties before the first held row; refuses what a server would not count as the history does. */
function toldTies({ ties }: History, definition: RecommenderDefinition): number {
  if (definition.negatives !== "impression") {
    const message = `the definition's negatives are "${definition.negatives}"`;
    const fix = 'only "impression" counts what the history says was shown';
    throw new RecError("REC_HISTORY_ORDER", message, { fix });
  }
  const first = ties.findIndex((tie) => tie.rows.some((row) => row.held));
  const mixed = first < 0 || ties.slice(first).some((tie) => tie.rows.some((row) => !row.held));
  if (!mixed) return first;
  throw new RecError("REC_HISTORY_ORDER", "a replay needs held rows, all after the others", {
    fix: "--data PATH with --train-until DATE",
  });
}

async function openServer(task: Task, dataDir: string): Promise<ReplayedServer> {
  const { history, definition, context } = task;
  const events = history.ties.flatMap((tie) => tie.events);
  const rows = history.ties.flatMap((tie) => tie.rows);
  const documents = [...history.documents, ...rows.flatMap(({ document }) => document ?? [])];
  return await ReplayedServer.open({
    ...{ definition, dataDir, seed: context.seed, startMs: history.ties[0]?.timeMs ?? 0 },
    users: new Set(events.map(({ user }) => user)).size,
    items: new Set([...events, ...documents].map(({ item }) => item)).size,
  });
}

/** The days that the model is trained on: told, never asked. */
async function tellPast(task: Task, server: ReplayedServer): Promise<void> {
  const { history, told, context } = task;
  await server.documents(history.documents);
  let done = 0;
  for (const { ties, documents } of toldBatches(history.ties.slice(0, told))) {
    await server.documents(documents);
    await server.tell(ties);
    const before = Math.floor((4 * done) / told);
    done += ties.length;
    if (Math.floor((4 * done) / told) > before) context.say(`  told ${done} of ${told} moments`);
  }
}

function trainOffline({ context, definition, history }: Task, server: ReplayedServer): Offline {
  const data = rankingData(history, { definition, known: server.ids });
  const trained = trainRanking(data, { ...trainOptionsOf(context.options), definition });
  context.say(`trained on ${data.train.flat().length} rows, ${data.test.length} to judge on`);
  return { data, trained, heads: judgedHeads(data, trained) };
}

/** Asks for the held rows, each moment before it is told. */
async function askRest(
  { context, history, told }: Task,
  server: ReplayedServer,
): Promise<RowHeads[]> {
  const rest = history.ties.slice(told);
  const asked: RowHeads[] = [];
  for (const [done, tie] of rest.entries()) {
    await server.documents(tie.rows.flatMap(({ document }) => document ?? []));
    asked.push(...(await server.ask(tie.rows)));
    await server.tell([tie]);
    if ((done + 1) % 1_000 === 0) context.say(`  asked ${done + 1} of ${rest.length} moments`);
  }
  return asked;
}

async function runArm(task: Task, arm: Arm, known: Offline | null) {
  const { context, definition } = task;
  const dataDir = join(task.folder, arm.name);
  const server = await openServer(task, dataDir);
  try {
    context.say(`${arm.name}:`);
    await tellPast(task, server);
    const offline = known ?? trainOffline(task, server);
    const target = { definition, state: offline.data.replay.state, clock: systemClock };
    const warn = (text: string) => context.say(text);
    const { version } = saveSnapshot(offline.trained.trainer, { ...target, dataDir, warn });
    await server.promote(version);
    server.freeze(arm);
    const asked = await askRest(task, server);
    context.say(`  ${server.published.swaps} models went live meanwhile`);
    return { offline, served: servedHeads(offline, asked) };
  } finally {
    await server.close();
  }
}

function servedHeads({ heads }: Offline, asked: readonly RowHeads[]): JudgedHead[] {
  return heads.map((head, h) => {
    assert(asked.length === head.labels.length, "an answer for every held row");
    return { ...head, predictions: Float64Array.from(asked, (row) => row[h] ?? Number.NaN) };
  });
}

const upper = (name: string) => name.charAt(0).toUpperCase() + name.slice(1);

/** The largest distance of a prediction from the other's; seconds as log1p seconds. */
function gapMax(ours: readonly JudgedHead[], others: readonly JudgedHead[]): number {
  return ours.reduce((most, head, h) => {
    const scale = head.seconds ? Math.log1p : (value: number) => value;
    const other = others[h]?.predictions ?? [];
    const gap = (value: number, row: number) => Math.abs(scale(value) - scale(other[row] ?? 0));
    return Array.from(head.predictions, gap).reduce((a, b) => Math.max(a, b), most);
  }, 0);
}

function asRuns({ name, heads }: { name: string; heads: readonly JudgedHead[] }): Runs {
  return { name, runs: [heads.map(({ predictions }) => predictions)] };
}

async function runAll(task: Task): Promise<Record<string, Figure>> {
  const { context, history, told } = task;
  const known = arms.map(({ name }) => name);
  const wanted = context.options.names("arms", known);
  const runs: { name: string; heads: readonly JudgedHead[] }[] = [];
  let offline: Offline | null = null;
  let figures: Record<string, Figure> = {};
  try {
    for (const arm of arms.filter(({ name }) => wanted.includes(name))) {
      const run = await runArm(task, arm, offline);
      offline = run.offline;
      const ours = { name: arm.name, heads: run.served };
      runs.push(ours);
      const before = { name: "offline", heads: offline.heads };
      const pair = { ours: asRuns(ours), other: asRuns(before) };
      figures = { ...figures, ...pairedFigures(context, run.served, pair, compared) };
      for (const { name, heads } of [before, ours]) {
        figures = { ...figures, ...levelFigures(heads, upper(name)) };
      }
      const gap = gapMax(run.served, offline.heads);
      figures[`predictionGapMax${upper(arm.name)}`] = { value: gap, unit: "most" };
    }
  } finally {
    offline?.data.replay.close();
  }
  const rows = history.ties.slice(told).flatMap((tie) => tie.rows);
  context.say(aucByHour(rows, runs, context.options.number("hours")));
  return figures;
}

async function run(context: BenchContext): Promise<Record<string, Figure>> {
  const { options, smoke } = context;
  const definition = await loadDefinition(
    options.text("definition") ?? (process.env.REC_DEFINITION || null),
  );
  const made = smoke && options.text("data") === undefined;
  const history = made
    ? syntheticHistory(definition, context.seed, 1_500)
    : await readHistory({ ...historyParts(options, definition), definition, nowMs: Date.now() });
  const folder = mkdtempSync(join(tmpdir(), "rec-replay-"));
  try {
    return await runAll({
      context,
      definition,
      history,
      told: toldTies(history, definition),
      folder,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export const bench: Bench = {
  name: "replay",
  about: `A history through a server over HTTP, each row ranked before it is told, in its own time.
${rankingNotes}`,
  options: {
    ...rankingSpecs,
    arms: {
      kind: "text",
      help: "what stands still while the held rows come",
      default: arms.map(({ name }) => name).join(","),
    },
    hours: { kind: "number", help: "hours of one line of the table by hour", default: 1, min: 1 },
  },
  run,
};
