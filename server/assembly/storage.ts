import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../models/core/clock.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { rankerShapeOf } from "../../models/ranking/definition-shape.ts";
import { createRanker } from "../../models/ranking/ranker.ts";
import { createSharedState, type SharedState } from "../../workers/shared-state.ts";
import type { DocumentStore } from "../../workers/stores/document-store.ts";
import {
  lockDataDirectory,
  openCheckpoints,
  openDocumentStore,
  openEventLog,
} from "../../workers/stores/open.ts";
import { createIngest, type IngestAssembly } from "../ingest/create-ingest.ts";
import { keepCheckpoints } from "../ingest/keep-checkpoints.ts";
import { mainTurns } from "../turns.ts";

export interface StorageOptions {
  readonly definition: RecommenderDefinition;
  readonly dataDir: string;
  readonly eventLogUrl: string;
  readonly durability: "fsync" | "async";
  /** Partitions of `served`: one for each ranking thread, and at least those that exist. */
  readonly rankWorkers: number;
  readonly clock: Clock;
  readonly warn: (text: string) => void;
}

/** What the process owns of a data directory, and the way in. */
export interface Storage {
  readonly definition: RecommenderDefinition;
  readonly state: SharedState;
  readonly log: ReturnType<typeof openEventLog>;
  readonly topics: ReturnType<typeof topicsOf>;
  readonly store: DocumentStore;
  readonly ingest: IngestAssembly;
  close(): Promise<void>;
}

/** A slate that was written by one more thread than there are now must still be read. */
function topicsOf(dataDir: string, rankWorkers: number) {
  const folder = join(dataDir, "log", "served");
  const known = existsSync(folder) ? readdirSync(folder).length : 0;
  const served = Math.max(rankWorkers, known);
  return { events: 1, served, samples: 1, items: 1, commits: 1 } as const;
}

/** Names and attributes hang on no definition, so their checkpoints outlive a change of it. */
const ingestLayout = "ingest";

/** Locks a data directory, opens what is in it, and rebuilds ids and attributes from the log. */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const { definition, dataDir, eventLogUrl, durability, clock, warn } = options;
  const lock = lockDataDirectory(dataDir);
  try {
    const topics = topicsOf(dataDir, options.rankWorkers);
    const log = openEventLog(eventLogUrl, { dataDir, topics, durability, clock, report: warn });
    const store = openDocumentStore({ dataDir, report: warn });
    const modelFloats = createRanker(rankerShapeOf(definition)).slotFloats;
    const state = createSharedState(definition, { dataDir, modelFloats });
    const about = { dataDir, definitionHash: ingestLayout, clock, report: warn };
    const checkpoints = openCheckpoints("ingest", about);
    const ingest = createIngest({
      ...{ definition, state, log, store, clock, checkpoints },
      ...{ turns: mainTurns, report: warn },
    });
    await ingest.restore();
    const keeping = keepCheckpoints({ log, ingest, warn });
    const close = async () => {
      await ingest.settle();
      await keeping.stop();
      await log.close();
      store.close();
      lock.release();
    };
    return { definition, state, log, topics, store, ingest, close };
  } catch (error) {
    lock.release();
    throw error;
  }
}
