import { messageOf } from "../../models/core/errors.ts";
import type { EventLog } from "../../workers/stores/event-log.ts";
import type { IngestAssembly } from "./create-ingest.ts";

/** So many records are read again by a start, at most about twice as many. */
const recordsMax = 500_000;
/** What has come since is kept after so long, however little it is. */
const quietMs = 600_000;
const lookEveryMs = 1_000;

interface Kept {
  readonly log: Pick<EventLog, "partitions" | "endOffset">;
  readonly ingest: Pick<IngestAssembly, "checkpoint">;
  readonly warn: (text: string) => void;
  /** Records that the start read behind its checkpoint: the next one is as much nearer. */
  readonly replayed: number;
}

/** Keeps ingest's state now and then, and once more at the end. A failed save is tried again. */
export function keepCheckpoints({ log, ingest, warn, replayed }: Kept): { stop(): Promise<void> } {
  let keptRecords = recordsOf(log) - replayed;
  let keptMs = performance.now();
  let saving: Promise<void> | null = null;
  const save = async () => {
    const records = recordsOf(log);
    if (records === keptRecords) return;
    try {
      await ingest.checkpoint();
      keptRecords = records;
    } catch (error) {
      warn(`no checkpoint of ids and attributes was written: ${messageOf(error)}`);
    }
    keptMs = performance.now();
  };
  const look = () => {
    const due = recordsOf(log) - keptRecords >= recordsMax || performance.now() - keptMs > quietMs;
    if (!due || saving !== null) return;
    saving = save().finally(() => {
      saving = null;
    });
  };
  const timer = setInterval(look, lookEveryMs);
  timer.unref();
  return {
    async stop() {
      clearInterval(timer);
      await saving;
      await save();
    },
  };
}

/** Records that ingest has written. */
function recordsOf(log: Kept["log"]): number {
  let records = log.endOffset("items", 0);
  for (let partition = 0; partition < log.partitions("events"); partition++) {
    records += log.endOffset("events", partition);
  }
  return records;
}
