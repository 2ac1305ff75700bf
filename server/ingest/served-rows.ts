import { noRow, viewOf } from "../../models/core/bytes.ts";
import { RecError } from "../../models/core/errors.ts";
import {
  servedCount,
  servedItemRow,
  servedTimeMs,
  servedUserRow,
} from "../../models/training/served-view.ts";
import type { EventLog, LogBatch } from "../../workers/stores/event-log.ts";

/** Numbers of rows; the first free one. */
export interface RowCounts {
  users: number;
  items: number;
}

type ReadableLog = Pick<EventLog, "partitions" | "read" | "startOffset" | "endOffset">;

/** No event waits longer than this for its sync while slates of its user go out. */
const inFlightMsMax = 10_000;
const chunkRecords = 256;

/**
 * Rows that the latest slates name. A user gets a row when an event comes in, and a slate may go
 * out while that event is still on its way to the disk: after a crash the slate can be in the log
 * and the event not. Such a row must not become somebody else's, so the end of `served` is read,
 * backwards, for as long as an event can be on its way.
 */
export async function servedRows(
  log: ReadableLog,
  report: (message: string) => void,
): Promise<RowCounts> {
  const rows: RowCounts = { users: 0, items: 0 };
  for (let partition = 0; partition < log.partitions("served"); partition++) {
    try {
      await readBack(log, partition, rows);
    } catch (error) {
      // No reason to refuse a start: within seconds an event names the row as well.
      if (!(error instanceof RecError) || error.code !== "REC_LOG_CORRUPT") throw error;
      report(`${error.message}: rows that only these slates name may be given to others`);
    }
  }
  return rows;
}

async function readBack(log: ReadableLog, partition: number, rows: RowCounts): Promise<void> {
  const startOffset = log.startOffset("served", partition);
  let newestMs = Number.NEGATIVE_INFINITY;
  let oldestMs = Number.POSITIVE_INFINITY;
  let to = log.endOffset("served", partition);
  while (to > startOffset && !(oldestMs < newestMs - inFlightMsMax)) {
    const from = Math.max(startOffset, to - chunkRecords);
    for (let offset = from; offset < to; ) {
      const batch = await log.read("served", partition, offset, 1 << 20);
      const times = takeRows(batch, rows);
      newestMs = Math.max(newestMs, times.newestMs);
      oldestMs = Math.min(oldestMs, times.oldestMs);
      offset = batch.firstOffset + Math.max(1, batch.count);
    }
    to = from;
  }
}

function takeRows(batch: LogBatch, rows: RowCounts): { newestMs: number; oldestMs: number } {
  const view = viewOf(batch.data);
  const times = { newestMs: Number.NEGATIVE_INFINITY, oldestMs: Number.POSITIVE_INFINITY };
  for (let i = 0; i < batch.count; i++) {
    const at = batch.bounds[i]!;
    const timeMs = servedTimeMs(view, at);
    times.newestMs = Math.max(times.newestMs, timeMs);
    times.oldestMs = Math.min(times.oldestMs, timeMs);
    const user = servedUserRow(view, at);
    if (user !== noRow) rows.users = Math.max(rows.users, user + 1);
    const count = servedCount(view, at);
    for (let place = 0; place < count; place++) {
      rows.items = Math.max(rows.items, servedItemRow(view, at, count, place) + 1);
    }
  }
  return times;
}
