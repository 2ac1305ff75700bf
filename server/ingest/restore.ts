import { assert } from "../../models/core/assert.ts";
import { readId128, text, viewOf } from "../../models/core/bytes.ts";
import { decodeDocument, eventAt, eventHeaderBytes } from "../../models/core/event.ts";
import { Fault } from "../../models/core/schema.ts";
import type { DocumentStore } from "../../workers/stores/document-store.ts";
import type { EventLog, LogBatch, LogPoint } from "../../workers/stores/event-log.ts";
import { recordOf } from "../../workers/stores/event-log.ts";
import { readAll } from "../../workers/stores/read-all.ts";
import type { IngestPoint } from "./checkpoint.ts";
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
  /** Filled the tables as far as it goes; null: the log is read from its first record. */
  readonly point: IngestPoint | null;
  /** Told what cannot be rebuilt because the log does not go back far enough. */
  readonly report: (message: string) => void;
}

export interface RestoreReport {
  readonly events: number;
  readonly documents: number;
  readonly users: number;
  readonly items: number;
}

/** Ids of the rows that a table has not got yet, as the records name them. */
class NewNames {
  readonly #table: RowIds;
  readonly #first: number;
  /** From row `#first` on. Holes are rows whose record was not kept. */
  readonly #names: (string | undefined)[] = [];

  constructor(table: RowIds) {
    this.#table = table;
    this.#first = table.size;
  }

  lacks(row: number): boolean {
    return row >= this.#first && this.#names[row - this.#first] === undefined;
  }

  set(row: number, name: string): void {
    if (row >= this.#first) this.#names[row - this.#first] ??= name;
  }

  /**
   * Gives every id its row again, `rows` of them at least. A hole (its append failed or was cut
   * short, or its segment is gone) gets a name that no client can send, so that later rows stay
   * what the records say. Returns how many rows there are.
   */
  intern(rows: number): number {
    const names = this.#names;
    names.length = Math.max(names.length, rows - this.#first);
    for (let i = 0; i < names.length; i++) {
      const row = this.#first + i;
      const interned = this.#table.intern(names[i] ?? `\u0000row ${row}`);
      assert(interned === row, `row ${row} was interned as ${interned}`);
    }
    return this.#first + names.length;
  }
}

interface Names {
  readonly users: NewNames;
  readonly items: NewNames;
}

/** Decodes two rows and the id hash of each record, and the texts of rows not seen before. */
function takeEvents(batch: LogBatch, names: Names, deduplicator: Deduplicator): void {
  const { data, bounds } = batch;
  const view = viewOf(data);
  for (let i = 0; i < batch.count; i++) {
    const at = bounds[i]!;
    deduplicator.remember(readId128(view, at + eventAt.id));
    const userFrom = at + eventHeaderBytes;
    const itemFrom = userFrom + view.getUint16(at + eventAt.userBytes, true);
    const userRow = view.getUint32(at + eventAt.userRow, true);
    const itemRow = view.getUint32(at + eventAt.itemRow, true);
    if (names.users.lacks(userRow))
      names.users.set(userRow, text(data.subarray(userFrom, itemFrom)));
    if (names.items.lacks(itemRow)) {
      const itemTo = itemFrom + view.getUint16(at + eventAt.itemBytes, true);
      names.items.set(itemRow, text(data.subarray(itemFrom, itemTo)));
    }
  }
}

type StoreChange = Parameters<DocumentStore["apply"]>[0][number];

/** Replays topic `items`: to memory what is behind `from`, and to the store what it has not got. */
async function takeDocuments(options: RestoreOptions, names: Names): Promise<number> {
  const { log, store, memory, point } = options;
  const stored = store.appliedOffset();
  const from = point?.items ?? 0;
  const offset = Math.min(from, stored);
  reportGone(options, { topic: "items", partition: documentPartition, offset });
  const records = { topic: "items", partition: documentPartition, offset } as const;
  return await readAll(log, records, (batch) => {
    const missing: StoreChange[] = [];
    for (let i = 0; i < batch.count; i++) {
      const at = batch.firstOffset + i;
      const { kind, operation, row, id, json } = decodeDocument(recordOf(batch, i));
      names[kind === "item" ? "items" : "users"].set(row, id);
      const put = operation === "put";
      if (kind === "item" && at >= from) replayItem(memory, row, put ? json : null);
      if (at >= stored) missing.push({ kind, row, id, json: put ? json : null });
    }
    if (missing.length > 0) store.apply(missing, batch.firstOffset + batch.count);
  });
}

/** What retention dropped and no checkpoint or document holds is lost: never silently. */
function reportGone({ log, report }: RestoreOptions, from: LogPoint): void {
  const { topic, partition, offset } = from;
  const start = log.startOffset(topic, partition);
  if (start <= offset) return;
  const what =
    topic === "items"
      ? "documents that were put there and not since are lost: put them again"
      : "names of users and items that are in no later event are lost, and these ids are new again";
  report(`${topic}/${partition} begins at offset ${start}, but is needed from ${offset}: ${what}`);
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

/** Replays both topics behind `point`. Call before anything is accepted. */
export async function restore(options: RestoreOptions): Promise<RestoreReport> {
  const { log, deduplicator, point } = options;
  const names = { users: new NewNames(options.users), items: new NewNames(options.items) };
  let events = 0;
  for (let partition = 0; partition < log.partitions("events"); partition++) {
    const from = { topic: "events", partition, offset: point?.events[partition] ?? 0 } as const;
    reportGone(options, from);
    events += await readAll(log, from, (batch) => takeEvents(batch, names, deduplicator));
  }
  const documents = await takeDocuments(options, names);
  options.applied.end(log.endOffset("items", documentPartition));
  const served = await servedRows(log, options.report);
  const users = names.users.intern(served.users);
  const items = names.items.intern(served.items);
  return { events, documents, users, items };
}
