/** What ingest needs of shared memory. The native tables fit; a test passes small fakes. */

/** Ids and their dense rows. Only this thread interns. */
export interface RowIds {
  readonly size: number;
  /** The id's row, a new one where it has none; throws REC_IDS_FULL. */
  intern(id: string): number;
  /** -1 where the id is unknown. */
  find(id: string): number;
}

/** Lists of the newest, newest last: row 0 for all, row 1 + category for one category. */
export interface FreshLists {
  push(row: number, record: Uint32Array, offset: number): void;
}

/** An item's columns for filters and features; `workers/stores` packs them into a row. */
export interface ItemAttributeValues {
  /** Category rows, -1 where there is none; `limits.itemCategoriesMax` long. */
  readonly categories: Int32Array;
  /** Epoch ms; 0 where unknown. */
  readonly publishedAtMs: number;
  /** Epoch ms; 0 where the item never expires. */
  readonly expiresAtMs: number;
  /** 0 where unknown. */
  readonly durationSeconds: number;
  readonly hidden: boolean;
  readonly deleted: boolean;
  /** Has a document. */
  readonly known: boolean;
  /** 0 where there is no author. */
  readonly authorHash: number;
}

/** Told how far topic `items` is in shared memory. */
export interface AppliedSink {
  /** Changes to before this offset are about to be applied. */
  begin(offset: number): void;
  /** They are. */
  end(offset: number): void;
}

export interface ItemAttributeSink {
  write(row: number, values: ItemAttributeValues): void;
}
