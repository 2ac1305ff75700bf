import { type Id128, text, utf8 } from "../../models/core/bytes.ts";
import type { IdTable, RowTable, SequenceTable } from "../../native/index.ts";
import {
  type CheckpointSection,
  type CheckpointStore,
  packedBytes,
  type SlicedBytes,
  type SlicedSection,
  sectionOf,
} from "../../workers/stores/checkpoint-store.ts";
import type { DocumentStore } from "../../workers/stores/document-store.ts";
import type { EventLog, LogPoint } from "../../workers/stores/event-log.ts";
import type { Deduplicator } from "./deduplicate.ts";
import { documentPartition } from "./documents.ts";
import type { EventIngest } from "./ingest.ts";
import type { ItemMemory } from "./item-attributes.ts";

/** The tables that ingest alone writes. */
export interface IngestTables {
  readonly users: IdTable;
  readonly items: IdTable;
  readonly categories: IdTable;
  readonly attributes: RowTable;
  readonly fresh: SequenceTable;
}

export interface IngestCheckpointParts extends IngestTables {
  readonly checkpoints: CheckpointStore;
  readonly memory: ItemMemory;
  readonly deduplicator: Deduplicator;
  readonly events: Pick<EventIngest, "settle" | "pendingIds">;
  readonly log: Pick<EventLog, "partitions" | "endOffset" | "flush" | "letGo">;
  readonly store: Pick<DocumentStore, "sync">;
  /** How far topic `items` is in the tables. */
  readonly applied: { applied(): number };
}

/** Where the log goes on behind a checkpoint. */
export interface IngestPoint {
  /** By partition of `events`. */
  readonly events: readonly number[];
  /** Of partition 0, the only one. */
  readonly items: number;
}

/** The log lost its end: what comes next stands where the checkpoint says it has been. */
export function isBeyond(point: IngestPoint, log: Pick<EventLog, "endOffset">): boolean {
  const lost = point.events.some((offset, p) => offset > log.endOffset("events", p));
  return lost || point.items > log.endOffset("items", documentPartition);
}

interface Meta extends IngestPoint {
  readonly version: number;
  readonly rows: { readonly users: number; readonly items: number; readonly categories: number };
  /** Event ids that were taken, but not durable yet: the log says which of them were kept. */
  readonly pending: readonly Id128[];
  readonly olderIds: number;
}

const version = 1;
const rowsPerSlice = 16_384;

/** `make(first, count)` for all rows in turn. */
function* inSlices(rows: number, make: (first: number, count: number) => Uint8Array) {
  for (let first = 0; first < rows; first += rowsPerSlice) {
    yield make(first, Math.min(rowsPerSlice, rows - first));
  }
}

/** Names of rows never change: they are read while they are written. */
function namesOf(table: IdTable, rows: number): SlicedBytes {
  const slices = () => inSlices(rows, (first, count) => table.save(first, count));
  return { byteLength: table.savedBytes(0, rows), slices };
}

/**
 * Read while they are written, so a row may be newer than the checkpoint. It does no harm: what
 * changed it stands behind the checkpoint's offset and is applied again.
 */
function attributesOf(table: RowTable, rows: number): SlicedBytes {
  const slice = (first: number, count: number) => {
    const bytes = new Uint8Array(count * table.rowBytes);
    table.read(
      Int32Array.from({ length: count }, (_, i) => first + i),
      count,
      bytes,
    );
    return bytes;
  };
  return { byteLength: rows * table.rowBytes, slices: () => inSlices(rows, slice) };
}

/**
 * What ingest keeps in memory alone, so that a start reads the log from there: names of rows, item
 * attributes, fresh lists, and the ids of the latest events. Two are kept, each of them whole; the
 * log before the older one is needed by no start.
 */
export class IngestCheckpoint {
  readonly #parts: IngestCheckpointParts;

  constructor(parts: IngestCheckpointParts) {
    this.#parts = parts;
  }

  /** Resolves once it would survive a power loss. Events and documents may go on meanwhile. */
  async save(): Promise<void> {
    const { log, events, checkpoints, store, deduplicator } = this.#parts;
    const ends = Array.from({ length: log.partitions("events") }, (_, p) =>
      log.endOffset("events", p),
    );
    // What is pending afterwards came later, so its records stand behind these ends.
    await events.settle();
    try {
      const { meta, sections } = this.#capture(ends);
      const stored = store.sync();
      // What the checkpoint has must outlive it.
      await log.flush();
      const needed: LogPoint[] = ends.map((offset, partition) => ({
        ...{ topic: "events", partition, offset },
      }));
      const items = { partition: documentPartition, offset: Math.min(meta.items, stored) };
      await checkpoints.save(sections, [...needed, { topic: "items", ...items }]);
    } finally {
      deduplicator.release();
    }
    log.letGo("ingest", checkpoints.needed());
  }

  /** All at one moment, but for what is read while it is written. */
  #capture(events: readonly number[]): {
    meta: Meta;
    sections: (CheckpointSection | SlicedSection)[];
  } {
    const { users, items, categories, attributes, fresh } = this.#parts;
    const rows = { users: users.size, items: items.size, categories: categories.size };
    const ids = this.#parts.deduplicator.save();
    const meta: Meta = {
      ...{ version, events, items: this.#parts.applied.applied(), rows },
      pending: this.#parts.events.pendingIds(),
      olderIds: ids.older.length,
    };
    const sections = [
      { name: "meta", bytes: utf8(JSON.stringify(meta)) },
      { name: "users", bytes: namesOf(users, rows.users) },
      { name: "items", bytes: namesOf(items, rows.items) },
      { name: "categories", bytes: namesOf(categories, rows.categories) },
      { name: "attributes", bytes: attributesOf(attributes, rows.items) },
      { name: "fresh", bytes: packedBytes(fresh, 1 + rows.categories) },
      { name: "listed", bytes: this.#parts.memory.saveListed(rows.items) },
      { name: "ids.newest", bytes: ids.newest },
      ...ids.older.map((bytes, i) => ({ name: `ids.${i}`, bytes })),
    ];
    return { meta, sections };
  }

  /** Fills the tables, which are empty, from the newest good checkpoint; null without one. */
  async load(): Promise<IngestPoint | null> {
    const { checkpoints } = this.#parts;
    const sections = await checkpoints.load();
    this.#parts.log.letGo("ingest", checkpoints.needed());
    if (sections === null) return null;
    const meta: Meta = JSON.parse(text(sectionOf(sections, "meta")));
    const { memory, deduplicator, log } = this.#parts;
    const { users, items, categories, attributes, fresh } = this.#parts;
    if (meta.version !== version || meta.events.length !== log.partitions("events")) return null;
    const ids = {
      newest: sectionOf(sections, "ids.newest"),
      older: Array.from({ length: meta.olderIds }, (_, i) => sectionOf(sections, `ids.${i}`)),
    };
    if (!deduplicator.restore(ids)) return null;
    for (const id of meta.pending) deduplicator.forget(id);
    users.load(sectionOf(sections, "users"));
    items.load(sectionOf(sections, "items"));
    categories.load(sectionOf(sections, "categories"));
    loadRows(attributes, sectionOf(sections, "attributes"));
    fresh.load(0, sectionOf(sections, "fresh"));
    memory.restoreListed(sectionOf(sections, "listed"));
    return meta;
  }
}

function loadRows(table: RowTable, bytes: Uint8Array): void {
  const { rowBytes } = table;
  for (let row = 0; row * rowBytes < bytes.length; row++) {
    table.write(row, bytes.subarray(row * rowBytes, (row + 1) * rowBytes));
  }
}
