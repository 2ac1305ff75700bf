import { resolve } from "node:path";
import type { Clock } from "../../models/core/clock.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { definitionHash } from "../../models/definition/hash.ts";
import type { Manifest } from "../../models/snapshot/manifest.ts";
import { SnapshotWriter } from "../../models/snapshot/writer.ts";
import type { RankTrainer } from "../../models/training/trainer.ts";
import type { SharedState } from "../../workers/shared-state.ts";
import { realFileSystem } from "../../workers/stores/file-system.ts";
import { ModelSnapshots } from "../../workers/trainer/model-snapshots.ts";
import { OnlineTrainer } from "../../workers/trainer/trainer.ts";

export interface SnapshotTarget {
  readonly dataDir: string;
  readonly definition: RecommenderDefinition;
  /** Holds the embeddings that the trainer has learned. */
  readonly state: SharedState;
  readonly clock: Clock;
  readonly warn: (text: string) => void;
}

/**
 * Writes a trained ranker as the newest model of a data folder: a server that starts there, with
 * the same definition, serves it and goes on learning from it. Samples that the folder's log holds
 * are learned on top at that start. The folder must be locked by the caller.
 */
export function saveSnapshot(trainer: RankTrainer, target: SnapshotTarget): Manifest {
  const { dataDir, definition, state, clock, warn } = target;
  const { slots, userEmbeddings: users, itemEmbeddings: items, indexes } = state;
  const tables = { users, items, ...indexes };
  const snapshots = new ModelSnapshots({
    ...{ files: realFileSystem(), directory: `${dataDir}/models`, report: warn },
    ...{ definitionHash: definitionHash(definition), ...tables },
  });
  const online = new OnlineTrainer({ trainer, slots, ...tables, publishEvery: 1 });
  online.versionBase = 1 + (snapshots.list()[0]?.version ?? 0);
  return snapshots.save(online, clock.nowMs());
}

/**
 * Writes a trained ranker as one file: weights, input moments and optimizer, for `export onnx`. Its
 * ids' embeddings are left out: which row is whose, only a data folder knows. Returns its bytes.
 */
export function saveSnapshotFile(
  trainer: RankTrainer,
  path: string,
  definition: RecommenderDefinition,
): number {
  const state = trainer.save();
  const writer = new SnapshotWriter(realFileSystem(), resolve(path), definitionHash(definition));
  try {
    writer.add({ name: "trainer", dtype: "u8", shape: [state.length] }, state);
    return writer.finish();
  } catch (error) {
    writer.discard();
    throw error;
  }
}
