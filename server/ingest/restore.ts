import { assert } from "../../models/core/assert.ts";
import { readId128, text, viewOf } from "../../models/core/bytes.ts";
import { decodeDocument, eventAt, eventHeaderBytes } from "../../models/core/event.ts";
import { Fault } from "../../models/core/schema.ts";
import type { DocumentStore } from "../../workers/stores/document-store.ts";
import type { EventLog, LogBatch } from "../../workers/stores/event-log.ts";
import { recordOf } from "../../workers/stores/event-log.ts";
import { readAll } from "../../workers/stores/read-all.ts";
import type { Deduplicator } from "./deduplicate.ts";
import { itemDocument } from "./document-schemas.ts";
import { documentPartition } from "./documents.ts";
import type { ItemMemory } from "./item-attributes.ts";
import { servedRows } from "./served-rows.ts";
import type { AppliedSink, RowIds } from "./state.ts";

/** Rebuilds at start what lives in memory alone: id tables, attributes, the dedup horizon. */

export interface RestoreOptions {
  readonly log: Pick<EventLog, "partitions" | "read" | "startOffset" | "endOffset">;
  readonly store: DocumentStore;
  readonly users: RowIds;
  readonly items: RowIds;
  readonly memory: ItemMemory;
  readonly applied: AppliedSink;
  readonly deduplicator: Deduplicator;
}

export interface RestoreReport {
  readonly events: number;
  readonly documents: number;
  readonly users: number;
  readonly items: number;
}

/** Ids by row, as the records name them. Holes are rows whose record was not kept. */
type IdsByRow = (string | undefined)[];

/** Decodes two rows and the id hash of each record, and the texts of rows not seen before. */
function takeEvents(
  batch: LogBatch,
  into: { users: IdsByRow; items: IdsByRow; deduplicator: Deduplicator },
): void {
  const { data, bounds } = batch;
  const view = viewOf(data);
  for (let i = 0; i < batch.count; i++) {
    const at = bounds[i]!;
    into.deduplicator.remember(readId128(view, at + eventAt.id));
    const userFrom = at + eventHeaderBytes;
    const itemFrom = userFrom + view.getUint16(at + eventAt.userBytes, true);
    const userRow = view.getUint32(at + eventAt.userRow, true);
    const itemRow = view.getUint32(at + eventAt.itemRow, true);
    if (into.users[userRow] === undefined) {
      into.users[userRow] = text(data.subarray(userFrom, itemFrom));
    }
    if (into.items[itemRow] === undefined) {
      const itemTo = itemFrom + view.getUint16(at + eventAt.itemBytes, true);
      into.items[itemRow] = text(data.subarray(itemFrom, itemTo));
    }
  }
}

/**
 * Gives every id its row again. A hole (its append failed or was cut
 * short, or its segment is gone) gets a name
 * that no client can send, so that later rows stay what the records say.
 */
function internInOrder(ids: RowIds, byRow: IdsByRow): void {
  for (let row = ids.size; row < byRow.length; row++) {
    const interned = ids.intern(byRow[row] ?? `\u0000row ${row}`);
    assert(interned === row, `row ${row} was interned as ${interned}`);
  }
}

type StoreChange = Parameters<DocumentStore["apply"]>[0][number];

/** Replays topic `items`: names and attributes of all, and to the store what it has not got. */
async function takeDocuments(
  options: RestoreOptions,
  into: { users: IdsByRow; items: IdsByRow },
): Promise<number> {
  const { log, store, memory } = options;
  const stored = store.appliedOffset();
  const from = { topic: "items", partition: documentPartition, offset: 0 } as const;
  return await readAll(log, from, (batch) => {
    const missing: StoreChange[] = [];
    for (let i = 0; i < batch.count; i++) {
      const { kind, operation, row, id, json } = decodeDocument(recordOf(batch, i));
      (kind === "item" ? into.items : into.users)[row] ??= id;
      const put = operation === "put";
      if (kind === "item") replayItem(memory, row, put ? json : null);
      if (batch.firstOffset + i >= stored) missing.push({ kind, row, id, json: put ? json : null });
    }
    if (missing.length > 0) store.apply(missing, batch.firstOffset + batch.count);
  });
}

function replayItem(memory: ItemMemory, row: number, json: string | null): void {
  if (json === null) {
    memory.remove(row);
    return;
  }
  const document = itemDocument.read(JSON.parse(json));
  // Written under older rules that let it in: it stays stored, but is not shown to anyone.
  memory.put(row, document instanceof Fault ? { hidden: true } : document);
}

/** Replays both topics in full. Call before anything is accepted. */
export async function restore(options: RestoreOptions): Promise<RestoreReport> {
  const { log, deduplicator } = options;
  const users: IdsByRow = [];
  const items: IdsByRow = [];
  const into = { users, items, deduplicator };
  let events = 0;
  for (let partition = 0; partition < log.partitions("events"); partition++) {
    const from = { topic: "events", partition, offset: 0 } as const;
    events += await readAll(log, from, (batch) => takeEvents(batch, into));
  }
  const documents = await takeDocuments(options, into);
  options.applied.end(log.endOffset("items", documentPartition));
  const served = await servedRows(log);
  users.length = Math.max(users.length, served.users);
  items.length = Math.max(items.length, served.items);
  internInOrder(options.users, users);
  internInOrder(options.items, items);
  return { events, documents, users: users.length, items: items.length };
}
