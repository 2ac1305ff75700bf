import { RecError } from "../../models/core/errors.ts";
import { type CommitRecord, decodeCommit } from "../../workers/stores/commit-record.ts";
import {
  type EventLog,
  type LogBatch,
  recordOf,
  type Topic,
} from "../../workers/stores/event-log.ts";
import { readAll } from "../../workers/stores/read-all.ts";

export type ReadableLog = Pick<EventLog, "partitions" | "read" | "startOffset" | "endOffset">;

const readBytes = 4 << 20;

/** A record of a topic, where it stands, and its number in the order of the commits. */
export type TakeRecord = (
  commit: CommitRecord,
  record: { batch: LogBatch; index: number; sequence: number },
) => void;

/** Throws REC_CHECK_LOG_GONE where a topic does not begin with its first record. */
export function requireWhole(log: ReadableLog, topics: readonly Topic[]): void {
  for (const topic of topics) {
    for (let partition = 0; partition < log.partitions(topic); partition++) {
      const start = log.startOffset(topic, partition);
      if (start === 0) continue;
      const message = `${topic}/${partition} begins at ${start}: its first records were dropped`;
      throw new RecError("REC_CHECK_LOG_GONE", message);
    }
  }
}

/**
 * Gives `take` each record of a partition of users in the order in which the windows took them in,
 * until `isDone`; returns the number after the last commit's.
 */
export async function readInOrder(
  { log, partition }: { readonly log: ReadableLog; readonly partition: number },
  take: TakeRecord,
  isDone: () => boolean,
): Promise<number> {
  const batches = new Map<string, LogBatch>();
  const commits: CommitRecord[] = [];
  await readAll(log, { topic: "commits", partition, offset: 0 }, (batch) => {
    for (let i = 0; i < batch.count; i++) commits.push(decodeCommit(recordOf(batch, i)));
  });
  for (const commit of commits) {
    if (isDone()) break;
    const { topic, partition, first, count, sequence } = commit;
    const end = Math.min(first + count, log.endOffset(topic, partition));
    for (let offset = first; offset < end; ) {
      const key = `${topic}/${partition}`;
      let batch = batches.get(key);
      if (batch === undefined || !holds(batch, offset)) {
        batch = await log.read(topic, partition, offset, readBytes);
        batches.set(key, batch);
      }
      for (; offset < end && holds(batch, offset); offset++) {
        const index = offset - batch.firstOffset;
        take(commit, { batch, index, sequence: sequence + (offset - first) });
      }
    }
  }
  const last = commits.at(-1);
  return last === undefined ? 0 : last.sequence + last.count;
}

function holds({ firstOffset, count }: LogBatch, offset: number): boolean {
  return offset >= firstOffset && offset < firstOffset + count;
}
