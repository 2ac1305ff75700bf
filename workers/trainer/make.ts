import type { Clock } from "../../models/core/clock.ts";
import { Random } from "../../models/core/random.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { definitionHash } from "../../models/definition/hash.ts";
import { rankerShapeOf } from "../../models/ranking/definition-shape.ts";
import { createRanker } from "../../models/ranking/ranker.ts";
import type { SnapshotFiles } from "../../models/snapshot/format.ts";
import { learningOf } from "../../models/training/learning.ts";
import { RankTrainer } from "../../models/training/trainer.ts";
import type { SharedState } from "../shared-state.ts";
import { realFileSystem } from "../stores/file-system.ts";
import { systemClock } from "../system-clock.ts";
import { ModelSnapshots } from "./model-snapshots.ts";
import { batchSizeOf, OnlineTrainer } from "./trainer.ts";
import { type SampleLog, TrainerRole } from "./worker.ts";

export interface TrainerParts {
  readonly definition: RecommenderDefinition;
  readonly state: SharedState;
  readonly log: SampleLog;
  /** Null: no snapshots. */
  readonly dataDir: string | null;
  readonly publishEvery: number;
  /** Default: yes. */
  readonly trains?: boolean;
  readonly seed: number;
  readonly warn: (text: string) => void;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Default: yes. */
  readonly guarded?: boolean;
  /** Default: an hour. */
  readonly matureMs?: number;
  /** Default: the real one. */
  readonly files?: SnapshotFiles;
}

/** The trainer of a definition over shared state; restores, catches up and publishes. */
export async function makeTrainerRole(parts: TrainerParts): Promise<TrainerRole> {
  const { definition, state, log, dataDir, publishEvery, seed, warn } = parts;
  const { slots, userEmbeddings: users, itemEmbeddings: items, ids, indexes, metrics } = state;
  const clock = parts.clock ?? systemClock;
  const ranker = createRanker(rankerShapeOf(definition));
  const initial = new Float32Array(ranker.floats);
  ranker.initialise(new Random(seed), initial);
  const core = new RankTrainer(ranker, { users, items, ids }, initial, {
    batchMax: batchSizeOf(publishEvery),
    ...learningOf(definition),
  });
  const { guarded = true, matureMs } = parts;
  const trainer = new OnlineTrainer({
    ...{ trainer: core, slots, users, items, ...indexes, publishEvery, guarded },
    ...(matureMs === undefined ? {} : { matureMs }),
  });
  const snapshots =
    dataDir === null
      ? null
      : new ModelSnapshots({
          files: parts.files ?? realFileSystem(),
          directory: `${dataDir}/models`,
          definitionHash: definitionHash(definition),
          report: warn,
          ...{ users, items, ...indexes },
        });
  const rests = parts.trains === false;
  return await TrainerRole.open({ log, trainer, snapshots, clock, metrics, warn, rests });
}
