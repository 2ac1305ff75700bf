import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { loadDefinition } from "../../workers/load-definition.ts";
import type { Topic } from "../../workers/stores/event-log.ts";
import { knownPartitions, lockDataDirectory, openEventLog } from "../../workers/stores/open.ts";
import type { ReadableLog } from "../check/ordered-log.ts";
import { readConfig } from "../config.ts";

/** The log of a data folder that no server uses, and the definition that it was written under. */
export interface FolderLog {
  readonly log: ReadableLog;
  readonly definition: RecommenderDefinition;
}

/**
 * Opens some topics of the folder (default: DATA_DIR) for as long as `use` takes. Throws
 * REC_DATA_DIR_BUSY while a server runs on it.
 */
export async function readFolder<T>(
  { dataDir, topics }: { readonly dataDir: string | undefined; readonly topics: readonly Topic[] },
  use: (folder: FolderLog) => Promise<T>,
): Promise<T> {
  const flags = dataDir === undefined ? [] : ["--data-dir", dataDir];
  const config = readConfig({ environment: process.env, flags });
  const { definition: path, eventLogUrl } = config;
  const definition = await loadDefinition(path === "" ? null : path);
  const lock = lockDataDirectory(config.dataDir);
  const partitions = topics.map((topic) => [
    topic,
    Math.max(1, knownPartitions(config.dataDir, topic)),
  ]);
  const log = openEventLog(eventLogUrl, {
    ...{ dataDir: config.dataDir, topics: Object.fromEntries(partitions), durability: "async" },
  });
  try {
    return await use({ log, definition });
  } finally {
    await log.close();
    lock.release();
  }
}
