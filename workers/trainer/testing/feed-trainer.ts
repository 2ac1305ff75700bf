import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "../../../models/core/clock.ts";
import { Random } from "../../../models/core/random.ts";
import { hashedRows, type IdRows, ownRows } from "../../../models/layers/id-rows.ts";
import { RowIndex } from "../../../models/layers/row-index.ts";
import { createRanker } from "../../../models/ranking/ranker.ts";
import { adamDefault } from "../../../models/training/optimizer.ts";
import { encodeSample, type Sample } from "../../../models/training/sample.ts";
import { feedShape } from "../../../models/training/testing/feed-world.ts";
import { RankTrainer, trainerDefaults } from "../../../models/training/trainer.ts";
import { EmbeddingTable, ModelSlots, SharedMetrics } from "../../../native/index.ts";
import { metricNames } from "../../metrics.ts";
import type { TailedLog } from "../../stores/event-log.ts";
import { realFileSystem } from "../../stores/file-system.ts";
import { memoryFileSystem } from "../../stores/memory-file-system.ts";
import { openEventLog } from "../../stores/open.ts";
import { ModelSnapshots } from "../model-snapshots.ts";
import { batchSizeOf, OnlineTrainer, type OnlineTrainerOptions } from "../trainer.ts";
import { TrainerRole } from "../worker.ts";

/** Of snapshots, by test. */
export const folder = mkdtempSync(join(tmpdir(), "rec-trainer-"));
export const ranker = createRanker(feedShape);

/** Memory that outlives a trainer, as shared memory outlives a thread. */
export interface Shared {
  readonly users: EmbeddingTable;
  readonly items: EmbeddingTable;
  readonly slots: ModelSlots;
  readonly ids: { readonly users: IdRows; readonly items: IdRows };
  readonly userIndex?: EmbeddingTable;
  readonly itemIndex?: EmbeddingTable;
}

/** How rows of embeddings are found: ids are up to 63, so that there are not rows for all. */
export const kinds = ["exact", "hashed", "recycled"] as const;
const fewRows = 12;

function idsOf(kind: (typeof kinds)[number]): Pick<Shared, "ids" | "userIndex" | "itemIndex"> {
  if (kind === "exact") return { ids: { users: ownRows, items: ownRows } };
  const hashed = hashedRows(fewRows);
  if (kind === "hashed") return { ids: { users: hashed, items: hashed } };
  const index = () => EmbeddingTable.create({ path: null, rows: 64, dim: 1 });
  const [userIndex, itemIndex] = [index(), index()];
  opened.push(userIndex, itemIndex);
  const ids = {
    users: new RowIndex(userIndex, fewRows),
    items: new RowIndex(itemIndex, fewRows),
  };
  return { ids, userIndex, itemIndex };
}

const opened: { release(): void }[] = [];

/** After the tests of a file; those of the next begin anew. */
export function releaseAll(): void {
  for (const one of opened.splice(0)) one.release();
  rmSync(folder, { recursive: true, force: true });
}

export function shared(kind: (typeof kinds)[number] = "exact"): Shared {
  const table = (dim: number) => EmbeddingTable.create({ path: null, rows: 64, dim });
  const made = {
    users: table(feedShape.userEmbedding),
    items: table(feedShape.itemEmbedding),
    slots: ModelSlots.create({ slots: 4, floats: ranker.slotFloats, readers: 4 }),
  };
  opened.push(...Object.values(made));
  return { ...made, ...idsOf(kind) };
}

export function online(memory: Shared, options: Partial<OnlineTrainerOptions> = {}): OnlineTrainer {
  const { users, items, ids, ...published } = memory;
  const initial = new Float32Array(ranker.floats);
  ranker.initialise(new Random(1), initial);
  const publishEvery = options.publishEvery ?? 100;
  const trainer = new RankTrainer(ranker, { users, items, ids }, initial, {
    batchMax: batchSizeOf(publishEvery),
    metricsWindow: 2_000,
    optimizer: { ...adamDefault, learningRate: 0.005 },
    userEmbedding: { ...trainerDefaults.userEmbedding, admission: 0 },
  });
  const tables = { ...published, users, items };
  return new OnlineTrainer({ ...tables, trainer, publishEvery, matureMs: 0, ...options });
}

export const inverted = (sample: Sample): Sample => {
  return { ...sample, labels: sample.labels.map((label, h) => (h === 3 ? label : 1 - label)) };
};

export async function sampleLog(samples: readonly Sample[]): Promise<TailedLog> {
  const log = openEventLog("embedded:", {
    ...{ dataDir: "/trainer", durability: "async", clock: new ManualClock(1e12), lingerMs: 0 },
    topics: { events: 1, served: 1, samples: 1, items: 1, commits: 1 },
    fileSystem: memoryFileSystem(),
  });
  for (let from = 0; from < samples.length; from += 1_000) {
    await log.append("samples", 0, samples.slice(from, from + 1_000).map(encodeSample));
  }
  return log;
}

export interface Place {
  readonly memory: Shared;
  readonly directory: string;
  readonly log: TailedLog;
  readonly clock?: ManualClock;
  readonly readBytes?: number;
}

export const metrics = SharedMetrics.create(metricNames);

export async function roleAt(place: Place) {
  const { memory, directory, log, clock = new ManualClock(1e12), readBytes = 100_000 } = place;
  const { slots: _, ids: __, ...tables } = memory;
  const snapshots = new ModelSnapshots({
    ...{ files: realFileSystem(), directory: join(folder, directory), ...tables },
    ...{ definitionHash: "feed", report: () => undefined },
  });
  const trainer = online(memory);
  const warnings: string[] = [];
  const role = await TrainerRole.open({
    ...{ log, trainer, snapshots, clock, metrics, readBytes },
    warn: (text) => void warnings.push(text),
  });
  return { role, trainer, snapshots, warnings };
}

export async function stepTo(
  role: TrainerRole,
  trainer: OnlineTrainer,
  offset: number,
): Promise<void> {
  while (trainer.readOffset < offset && (await role.step()) > 0);
}

export function stateOf(
  trainer: OnlineTrainer,
  { slots: _, ids: __, ...tables }: Shared,
): Uint8Array[] {
  const rows = Object.values(tables).map((table) => {
    const working = new Float32Array(64 * table.dim);
    const all = Uint32Array.from({ length: 64 }, (_, i) => i);
    table.gatherWorking(all, 64, working);
    return new Uint8Array(working.buffer);
  });
  const owners = trainer.trainer.saveOwners() ?? new Uint8Array(0);
  return [trainer.trainer.save(), trainer.save(), owners, ...rows];
}
