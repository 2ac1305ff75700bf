import { type Id128, noId, viewOf, writeId128 } from "../../models/core/bytes.ts";
import {
  encodeEvent,
  eventAt,
  eventHeaderBytes,
  writeEventCategories,
} from "../../models/core/event.ts";
import type { AppendOptions, EventLog } from "../../workers/stores/event-log.ts";
import { partitionOfUser } from "../../workers/stores/partitions.ts";

/** Accepted events become records, and a batch becomes one append for each partition. */

/** An accepted event with its rows; what `encodeEvent` takes. */
export interface AcceptedEvent {
  readonly type: number;
  readonly userRow: number;
  readonly itemRow: number;
  readonly user: string;
  readonly item: string;
  readonly timeMs: number;
  readonly receivedMs: number;
  readonly value: number;
  readonly id: Id128;
  readonly requestId: Id128;
  /** Rows of the item's categories now. */
  readonly categories: ArrayLike<number>;
}

/** The parts of the log that ingest writes through; a test counts on a small fake. */
export type AppendLog = Pick<EventLog, "append" | "partitions">;

const encoder = new TextEncoder();
/** Bytes of the largest character in UTF-8 for each UTF-16 unit. */
const bytesPerUnit = 3;

/** The version byte is the codec's own affair: taken from a record that it made. */
const version = encodeEvent({
  type: 0,
  userRow: 0,
  itemRow: 0,
  user: "",
  item: "",
  timeMs: 0,
  receivedMs: 0,
  value: 0,
  id: noId,
  requestId: noId,
})[0]!;

/** Writes the layout of `encodeEvent` at `at`; returns the bytes written. */
function encodeInto(out: Uint8Array, view: DataView, at: number, event: AcceptedEvent): number {
  const userFrom = at + eventHeaderBytes;
  const userBytes = encoder.encodeInto(event.user, out.subarray(userFrom)).written;
  const itemFrom = userFrom + userBytes;
  const itemBytes = encoder.encodeInto(event.item, out.subarray(itemFrom)).written;
  view.setUint8(at, version);
  view.setUint8(at + eventAt.type, event.type);
  view.setUint32(at + eventAt.userRow, event.userRow, true);
  view.setUint32(at + eventAt.itemRow, event.itemRow, true);
  view.setFloat32(at + eventAt.value, event.value, true);
  view.setFloat64(at + eventAt.timeMs, event.timeMs, true);
  view.setFloat64(at + eventAt.receivedMs, event.receivedMs, true);
  writeId128(view, at + eventAt.id, event.id);
  writeId128(view, at + eventAt.requestId, event.requestId);
  view.setUint16(at + eventAt.userBytes, userBytes, true);
  view.setUint16(at + eventAt.itemBytes, itemBytes, true);
  return writeEventCategories(view, at, itemFrom + itemBytes, event.categories) - at;
}

/** Records of a batch as views of one buffer: one allocation instead of three an event. */
export function encodeEvents(events: readonly AcceptedEvent[]): Uint8Array[] {
  let room = 0;
  for (const { user, item, categories } of events) {
    const text = bytesPerUnit * (user.length + item.length);
    room += eventHeaderBytes + text + 4 * categories.length;
  }
  const out = new Uint8Array(room);
  const view = viewOf(out);
  let at = 0;
  return events.map((event) => {
    const from = at;
    at += encodeInto(out, view, at, event);
    return out.subarray(from, at);
  });
}

/**
 * Appends a batch to topic `events`, `records` being its events' records; a user's events share a
 * partition, in order. Resolves once all of them are durable.
 */
export async function appendEvents(
  log: AppendLog,
  events: readonly AcceptedEvent[],
  records: readonly Uint8Array[],
  options?: AppendOptions,
): Promise<void> {
  const partitions = log.partitions("events");
  if (partitions === 1) {
    await log.append("events", 0, records, options);
    return;
  }
  const byPartition = Array.from({ length: partitions }, (): Uint8Array[] => []);
  for (let i = 0; i < events.length; i++) {
    byPartition[partitionOfUser(events[i]!.user, partitions)]!.push(records[i]!);
  }
  const appends = byPartition.flatMap((part, partition) =>
    part.length === 0 ? [] : [log.append("events", partition, part, options)],
  );
  // Waits for all of them even when one fails: an id may only be taken back after its write.
  const results = await Promise.allSettled(appends);
  for (const result of results) if (result.status === "rejected") throw result.reason;
}
