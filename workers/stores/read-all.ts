import type { EventLog, LogBatch, LogPoint, Topic } from "./event-log.ts";

const readBytes = 8 << 20;

/** Records that a topic ever got, over its partitions. */
export function recordsIn(log: Pick<EventLog, "partitions" | "endOffset">, topic: Topic): number {
  let records = 0;
  for (let partition = 0; partition < log.partitions(topic); partition++) {
    records += log.endOffset(topic, partition);
  }
  return records;
}

/** Gives `take` every batch of a partition from `from.offset` on; returns how many records. */
export async function readAll(
  log: Pick<EventLog, "read" | "startOffset" | "endOffset">,
  from: LogPoint,
  take: (batch: LogBatch) => void,
): Promise<number> {
  const { topic, partition } = from;
  let offset = Math.max(from.offset, log.startOffset(topic, partition));
  let records = 0;
  while (offset < log.endOffset(topic, partition)) {
    const batch = await log.read(topic, partition, offset, readBytes);
    if (batch.count === 0) break;
    take(batch);
    offset = batch.firstOffset + batch.count;
    records += batch.count;
  }
  return records;
}
