/** What the windows role needs of shared memory; the native tables have these shapes. */

/** Columns of counter updates; the table must not keep them. */
export interface CounterUpdates {
  readonly rows: Uint32Array;
  readonly counters: Uint8Array;
  readonly deltas: Uint32Array;
  readonly times: Float64Array;
  readonly offsets: Float64Array;
  readonly count: number;
  readonly watermarkMs: number;
}

/** Rows of bytes that a checkpoint holds. */
export interface SavedRows {
  readonly rowBytes: number;
  save(firstRow: number, count: number, out: Uint8Array): void;
  load(firstRow: number, count: number, data: Uint8Array): void;
  /** Every row as if never written. */
  clear(): void;
}

export interface CounterTable extends SavedRows {
  apply(updates: CounterUpdates, lateOut: Uint32Array): void;
  /** Rows with more counts than their slot holds have a full row beside, saved on its own. */
  readonly fullRowBytes: number;
  readonly fullRowsUsed: number;
  saveFull(firstRow: number, count: number, out: Uint8Array): void;
  loadFull(firstRow: number, count: number, data: Uint8Array): void;
}

/** Writes at or below the offset that a row has taken in are skipped. */
export interface RecordTable extends SavedRows {
  push(row: number, record: Uint32Array, offset: number): void;
  replace(row: number, records: Uint32Array, count: number, offset: number): void;
  read(row: number, out: Uint32Array): number;
}

/** Pairs of rows to dense rows that never change, even while the role restarts. */
export interface PairRows {
  readonly size: number;
  internPair(userRow: number, categoryRow: number): number;
  /** Both rows of a pair, into `out[0]` and `out[1]`. */
  pair(row: number, out: Uint32Array): void;
}

export interface WindowTables {
  readonly user: CounterTable;
  readonly item: CounterTable;
  readonly category: CounterTable;
  readonly userCategory: CounterTable;
  /** Rows of user x category; only the windows role interns them. */
  readonly pairs: PairRows;
  /** Recent interactions by user row. */
  readonly recent: RecordTable;
}

/** Writes the category rows of an item into `out` and returns how many it has. */
export type CategoriesOf = (itemRow: number, out: Int32Array) => number;

/** Updates of one table, gathered so that a native call carries thousands. */
export class UpdateBuffer implements CounterUpdates {
  readonly rows: Uint32Array;
  readonly counters: Uint8Array;
  readonly deltas: Uint32Array;
  readonly times: Float64Array;
  readonly offsets: Float64Array;
  count = 0;
  watermarkMs = 0;
  /** Rows that were ever touched: 0 .. rowsUsed - 1. */
  rowsUsed = 0;
  readonly #table: CounterTable;
  readonly #lateOut: Uint32Array;

  constructor(table: CounterTable, options: { capacity: number; windows: number }) {
    const { capacity } = options;
    this.rows = new Uint32Array(capacity);
    this.counters = new Uint8Array(capacity);
    this.deltas = new Uint32Array(capacity);
    this.times = new Float64Array(capacity);
    this.offsets = new Float64Array(capacity);
    this.#table = table;
    this.#lateOut = new Uint32Array(options.windows);
  }

  get table(): SavedRows {
    return this.#table;
  }

  get isFull(): boolean {
    return this.count === this.rows.length;
  }

  flush(watermarkMs: number): void {
    if (this.count === 0) return;
    this.watermarkMs = watermarkMs;
    this.#table.apply(this, this.#lateOut);
    this.count = 0;
  }
}
