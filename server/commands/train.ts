import { RecError } from "../../models/core/errors.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import type { HeadMetrics } from "../../models/training/progressive.ts";
import { loadDefinition } from "../../workers/load-definition.ts";
import { systemClock } from "../../workers/system-clock.ts";
import { openStorage, type Storage } from "../assembly/storage.ts";
import { readConfig } from "../config.ts";
import {
  historyParts,
  rankingNotes,
  rankingSpecs,
  trainOptionsOf,
} from "../history/ranking-options.ts";
import {
  evaluateRanking,
  type RankingData,
  rankingData,
  type TrainedRanker,
  trainRanking,
} from "../history/ranking-run.ts";
import { rankingFigures, rankingTable } from "../history/ranking-table.ts";
import { readHistory } from "../history/read-history.ts";
import { saveSnapshot, saveSnapshotFile } from "../history/save-snapshot.ts";
import { helpText, type OptionSpec, type ParsedOptions, parseOptions } from "./options.ts";

const specs: Readonly<Record<string, OptionSpec>> = {
  ...rankingSpecs,
  out: { kind: "text", help: "a file to write the model to, such as model.snap" },
  "data-dir": { kind: "text", help: "a data folder, with no server running, to put the model in" },
  help: { kind: "flag", help: "this text" },
};

const notes = `${rankingNotes}

--out writes weights and input moments to one file, which export onnx --snapshot FILE reads. With
--data-dir a server that starts there with the same definition serves the model and learns on.
Import the history into that folder first: ids that it does not know get no embedding.`;

export interface TrainHooks {
  readonly write?: (text: string) => void;
}

/** `train ranking`: a model from history, so that a server starts with one. */
export async function run(args: readonly string[], hooks: TrainHooks = {}): Promise<number> {
  const write = hooks.write ?? ((text: string) => void process.stdout.write(text));
  const options = parseOptions(args, specs);
  if (options.flag("help")) {
    write(helpText("train ranking [options]", specs, notes));
    return 0;
  }
  if (options.rest.join(" ") !== "ranking") {
    throw new RecError("REC_COMMAND_OPTION", "what is to be trained?", { fix: "train ranking" });
  }
  const named = options.text("definition") ?? process.env.REC_DEFINITION ?? "";
  const definition = await loadDefinition(named === "" ? null : named);
  const dataDir = options.text("data-dir");
  const storage = dataDir === undefined ? null : await storageOf(dataDir, definition);
  try {
    await trainInto(storage, { options, definition, write });
  } finally {
    await storage?.close();
  }
  return 0;
}

interface Task {
  readonly options: ParsedOptions;
  readonly definition: RecommenderDefinition;
  readonly write: (text: string) => void;
}

async function trainInto(storage: Storage | null, task: Task): Promise<void> {
  const { options, definition, write } = task;
  const say = options.flag("json") ? () => {} : write;
  const parts = historyParts(options, definition);
  const history = await readHistory({ ...parts, definition, nowMs: systemClock.nowMs() });
  const known = storage === null ? {} : { known: knownIds(storage) };
  const data = rankingData(history, { definition, ...known });
  try {
    const rows = data.train.reduce((sum, tie) => sum + tie.length, 0);
    if (rows === 0) throw new RecError("REC_HISTORY_EMPTY", "no row is left to train on");
    say(`${rows} rows to train on, ${data.test.length} to judge on\n`);
    const trained = trainRanking(data, {
      ...{ definition, ...trainOptionsOf(options) },
      afterEpoch: (epoch, { trainer }) => say(`epoch ${epoch}: ${progress(trainer.metrics())}\n`),
    });
    report(data, trained, { ...task, say });
    const [out, dataDir] = [options.text("out"), options.text("data-dir")];
    if (out !== undefined) {
      const sizeBytes = saveSnapshotFile(trained.trainer, out, definition);
      say(`model in ${out}, ${(sizeBytes / 1e6).toFixed(1)} MB\n`);
    }
    if (dataDir !== undefined) save(dataDir, { data, trained, definition, say });
  } finally {
    data.replay.close();
  }
}

/** Of the latest rows, each judged before it was learned: from the second epoch on seen before. */
function progress(metrics: readonly HeadMetrics[]): string {
  return metrics.map(({ head, loss }) => `${head} ${loss.toFixed(4)}`).join(", ");
}

function report(
  data: RankingData,
  trained: TrainedRanker,
  { options, write, say }: Task & { readonly say: (text: string) => void },
): void {
  const { samples, refused, skippedSteps } = trained.trainer.totals;
  say(`${samples} samples learned, ${refused} refused, ${skippedSteps} steps skipped\n`);
  const bootstrap = { draws: options.number("draws"), seed: options.number("seed") };
  const reports = data.test.length === 0 ? [] : evaluateRanking(data, trained, bootstrap);
  if (reports.length > 0) say(rankingTable(reports));
  if (!options.flag("json")) return;
  write(
    `${JSON.stringify({ samples, refused, skippedSteps, figures: rankingFigures(reports) })}\n`,
  );
}

interface Saved {
  readonly data: RankingData;
  readonly trained: TrainedRanker;
  readonly definition: RecommenderDefinition;
  readonly say: (text: string) => void;
}

function save(dataDir: string, { data, trained, definition, say }: Saved): void {
  const { state } = data.replay;
  const warn = (text: string) => void process.stderr.write(`${text}\n`);
  const target = { dataDir, definition, state, clock: systemClock, warn };
  const { version, sizeBytes } = saveSnapshot(trained.trainer, target);
  say(`model version ${version} in ${dataDir}/models, ${(sizeBytes / 1e6).toFixed(1)} MB\n`);
}

/** The folder's ids in their rows: embeddings must stand in the rows that a server reads. */
function knownIds({ state: { users, items } }: Storage) {
  const ids = (table: { size: number; id(row: number): string }) =>
    Array.from({ length: table.size }, (_, row) => table.id(row));
  return { users: ids(users), items: ids(items) };
}

/** Opens and locks the folder as an import does. */
async function storageOf(dataDir: string, definition: RecommenderDefinition): Promise<Storage> {
  const config = readConfig({ environment: { ...process.env, DATA_DIR: dataDir } });
  return await openStorage({
    ...{ definition, dataDir, clock: systemClock },
    eventLogUrl: config.eventLogUrl,
    durability: config.durability,
    rankWorkers: config.rankWorkers,
    warn: (text) => void process.stderr.write(`${text}\n`),
  });
}
