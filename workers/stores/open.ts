import { Database } from "bun:sqlite";
import { existsSync, readdirSync } from "node:fs";
import { RecError } from "../../models/core/errors.ts";
import type { CheckpointStore } from "./checkpoint-store.ts";
import type { DocumentStore } from "./document-store.ts";
import { openDocuments } from "./embedded/documents.ts";
import type { Retention } from "./embedded/retention.ts";
import { openSegmentLog, type SegmentLog, type SegmentLogOptions } from "./embedded/segment-log.ts";
import {
  type SnapshotCheckpointOptions,
  SnapshotCheckpoints,
} from "./embedded/snapshot-checkpoints.ts";
import type { Topic } from "./event-log.ts";
import { realFileSystem } from "./file-system.ts";

/** What each store URL may be. Other schemes come with their adapters. */
export const storeSchemes = {
  EVENT_LOG_URL: ["embedded:"],
  FEATURE_STORE_URL: ["embedded:"],
  VECTOR_INDEX_URL: ["embedded:"],
} as const;

export type StoreVariable = keyof typeof storeSchemes;

/** Throws REC_CONFIG_STORE_URL with what is allowed; a password in the URL is not repeated. */
export function requireStoreUrl(variable: StoreVariable, url: string): void {
  const allowed: readonly string[] = storeSchemes[variable];
  if (allowed.includes(url)) return;
  const shown = url.replace(/\/\/[^@/]*@/, "//***@");
  throw new RecError(
    "REC_CONFIG_STORE_URL",
    `${variable} is "${shown}"; allowed: ${allowed.join(", ")}`,
    { path: variable, fix: `set ${variable} to ${allowed.join(" or ")}` },
  );
}

export type { Retention };
/** What of each topic may be dropped; nothing of those that are not named. */
export type LogRetention = Readonly<Partial<Record<Topic, Retention>>>;

export interface EventLogOptions extends Omit<SegmentLogOptions, "directory" | "fileSystem"> {
  readonly dataDir: string;
  readonly fileSystem?: SegmentLogOptions["fileSystem"];
}

/** The event log of `EVENT_LOG_URL`. Threads after the first pass its `control`. */
export function openEventLog(url: string, options: EventLogOptions): SegmentLog {
  requireStoreUrl("EVENT_LOG_URL", url);
  const { dataDir, fileSystem = realFileSystem(), ...rest } = options;
  return openSegmentLog({ ...rest, fileSystem, directory: `${dataDir}/log` });
}

/** Log partitions that a data folder has of a topic; 0 where it has none. */
export function knownPartitions(dataDir: string, topic: Topic): number {
  const folder = `${dataDir}/log/${topic}`;
  return existsSync(folder) ? readdirSync(folder).length : 0;
}

/**
 * Makes this process the only one that uses `dataDir`: two would write over each other. The kernel
 * frees the lock when the process ends, however it ends. Throws REC_DATA_DIR_BUSY.
 */
export function lockDataDirectory(dataDir: string): { release(): void } {
  realFileSystem().makeDirectory(dataDir);
  const database = new Database(`${dataDir}/lock.sqlite`, { create: true });
  try {
    database.run("BEGIN EXCLUSIVE");
  } catch (cause) {
    database.close();
    const message = `${dataDir} is in use by another process`;
    const fix = "stop that process, or set DATA_DIR to another directory";
    throw new RecError("REC_DATA_DIR_BUSY", message, { path: "DATA_DIR", fix, cause });
  }
  return { release: () => database.close() };
}

export interface CheckpointOptions extends Omit<SnapshotCheckpointOptions, "files" | "directory"> {
  readonly dataDir: string;
  /** Default: the real ones. */
  readonly files?: SnapshotCheckpointOptions["files"];
}

/** The checkpoints that `name` keeps beside the log. */
export function openCheckpoints(name: string, options: CheckpointOptions): CheckpointStore {
  const { dataDir, files = realFileSystem(), ...rest } = options;
  const directory = `${dataDir}/checkpoints/${name}`;
  return new SnapshotCheckpoints({ ...rest, files, directory });
}

/** Documents of items and users: beside the log, or in memory where `dataDir` is null. */
export function openDocumentStore(options: {
  dataDir: string | null;
  readOnly?: boolean;
  /** Told that a damaged file was set aside; without it such a file throws. */
  report?: (message: string) => void;
}): DocumentStore {
  const { dataDir, ...rest } = options;
  return openDocuments({ path: dataDir === null ? null : `${dataDir}/documents.sqlite`, ...rest });
}
