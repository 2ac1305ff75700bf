import type { EventLog, LogBatch, LogPoint } from "./event-log.ts";

const readBytes = 8 << 20;

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
