import type { Clock } from "../../models/core/clock.ts";
import { RecError } from "../../models/core/errors.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { rankerShapeOf } from "../../models/ranking/definition-shape.ts";
import { createRanker } from "../../models/ranking/ranker.ts";
import { createSharedState, type SharedState } from "../../workers/shared-state.ts";
import type { DocumentStore } from "../../workers/stores/document-store.ts";
import {
  knownPartitions,
  type LogRetention,
  lockDataDirectory,
  openCheckpoints,
  openDocumentStore,
  openEventLog,
} from "../../workers/stores/open.ts";
import { createIngest, type IngestAssembly } from "../ingest/create-ingest.ts";
import { keepCheckpoints } from "../ingest/keep-checkpoints.ts";
import { letGoOfUnread } from "../log-retention.ts";
import { mainTurns } from "../turns.ts";

export interface StorageOptions {
  readonly definition: RecommenderDefinition;
  readonly dataDir: string;
  readonly eventLogUrl: string;
  readonly durability: "fsync" | "async";
  /** Each writes slates to log partitions of its own. */
  readonly rankWorkers: number;
  /** Partitions of users; null or absent: those of the folder, 1 in a new one. */
  readonly logPartitions?: number | null;
  /** Of each table; null or absent: as the limits say. */
  readonly rowsInMemory?: number | null;
  /** Default: keeps everything. */
  readonly logRetention?: LogRetention;
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

/**
 * Partitions of users: fixed when a folder is made, as counters, commits and row offsets are kept
 * by partition. Throws REC_DATA_DIR_PARTITIONS where others are asked for.
 */
export function userPartitions(of: Pick<StorageOptions, "dataDir" | "logPartitions">): number {
  const { dataDir, logPartitions = null } = of;
  const known = knownPartitions(dataDir, "events");
  if (known === 0) return logPartitions ?? 1;
  if (logPartitions === null || logPartitions === known) return known;
  const message = `LOG_PARTITIONS is ${logPartitions}, but ${dataDir} was made with ${known}`;
  const fix = `leave LOG_PARTITIONS out, or set DATA_DIR to a new directory and import into it`;
  throw new RecError("REC_DATA_DIR_PARTITIONS", message, { path: "LOG_PARTITIONS", fix });
}

/** Log partitions of each topic, for so many of users. */
export function topicsFor(partitions: number, served = partitions) {
  // Where samples come from several, the trainer commits in which order it takes them.
  const commits = partitions === 1 ? 1 : partitions + 1;
  return {
    events: partitions,
    served,
    samples: partitions,
    items: 1,
    commits,
    late: partitions,
  } as const;
}

/** A slate that was written by one more thread than there are now must still be read. */
function topicsOf(options: StorageOptions) {
  const partitions = userPartitions(options);
  const known = Math.ceil(knownPartitions(options.dataDir, "served") / partitions);
  const served = Math.max(options.rankWorkers, known) * partitions;
  return topicsFor(partitions, served);
}

function memoryLimits({ rowsInMemory = null }: StorageOptions) {
  if (rowsInMemory === null) return {};
  return { paneFullRowsMax: rowsInMemory, rowsInMemoryMax: rowsInMemory };
}

/** Names and attributes hang on no definition, so their checkpoints outlive a change of it. */
const ingestLayout = "ingest";

/** Locks a data directory, opens what is in it, and rebuilds ids and attributes from the log. */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const { definition, dataDir, eventLogUrl, durability, clock, warn } = options;
  const lock = lockDataDirectory(dataDir);
  try {
    const topics = topicsOf(options);
    const log = openEventLog(eventLogUrl, {
      ...{ dataDir, topics, durability, clock, report: warn },
      retention: options.logRetention ?? {},
    });
    letGoOfUnread(log);
    const store = openDocumentStore({ dataDir, report: warn });
    const modelFloats = createRanker(rankerShapeOf(definition)).slotFloats;
    const partitions = topics.events;
    const limits = memoryLimits(options);
    const state = createSharedState(definition, { dataDir, modelFloats, partitions, limits });
    const about = { dataDir, definitionHash: ingestLayout, clock, report: warn };
    const checkpoints = openCheckpoints("ingest", about);
    const ingest = createIngest({
      ...{ definition, state, log, store, clock, checkpoints },
      ...{ turns: mainTurns, report: warn },
    });
    const restored = await ingest.restore();
    const replayed = restored.events + restored.documents;
    const keeping = keepCheckpoints({ log, ingest, warn, replayed });
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
