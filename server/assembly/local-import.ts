import { loadDefinition } from "../../workers/load-definition.ts";
import { systemClock } from "../../workers/system-clock.ts";
import { readConfig } from "../config.ts";
import { localSink } from "../import/local-sink.ts";
import type { ImportSink } from "../import/types.ts";
import { openStorage } from "./storage.ts";

/**
 * Opens a data directory to import into, with no server running: the directory is locked, ids and
 * what is known already are rebuilt from its log first. The roles take the history in at the next
 * start, in its own event time.
 */
export async function openLocalImport(
  dataDir: string,
): Promise<{ sink: ImportSink; close(): Promise<void> }> {
  const config = readConfig({ environment: { ...process.env, DATA_DIR: dataDir } });
  const definition = await loadDefinition(config.definition === "" ? null : config.definition);
  const storage = await openStorage({
    ...{ definition, dataDir, clock: systemClock },
    eventLogUrl: config.eventLogUrl,
    durability: config.durability,
    rankWorkers: config.rankWorkers,
    warn: (text) => void process.stderr.write(`${text}\n`),
  });
  const { events, documents } = storage.ingest;
  const sink = localSink({ ingest: events, documents, interactions: definition.interactions });
  return { sink, close: () => storage.close() };
}
