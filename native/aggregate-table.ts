import { loadNative } from "./load.ts";
import { type RowUsage, rowUsage } from "./row-usage.ts";

interface Functions {
  aggregateTableCreate(rows: number, aggregates: Float64Array, rowsInMemory: number): number;
  aggregateTableShape(handle: number, out: Uint32Array): void;
  aggregateTableUsage(handle: number, out: Float64Array): void;
  aggregateTableOpenFile(handle: number, path: string, recordsMax: number): void;
  aggregateTableApply(
    handle: number,
    rows: Uint32Array,
    counters: Uint8Array,
    sources: Uint8Array,
    values: Uint32Array,
    times: Float64Array,
    offsets: Float64Array,
    count: number,
    watermarkMs: number,
    lateOut: Uint32Array,
  ): number;
  aggregateTableRead(
    handles: Int32Array,
    rows: Int32Array | Uint32Array,
    count: number,
    asOfMs: number,
    out: Float64Array,
    offsetsOut: Float64Array | null,
    waits: number,
  ): void;
  aggregateTableSave(handle: number, firstRow: number, count: number, out: Uint8Array): number;
  aggregateTableLoad(handle: number, firstRow: number, data: Uint8Array): number;
  aggregateTableClear(handle: number): void;
  sharedRelease(handle: number): void;
}

/** What is kept of the updates with this counter and source. */
export type Aggregate = {
  readonly counter: number;
  /** Updates with one counter may carry several kinds of values; which of them. */
  readonly source: number;
} & (
  | {
      /** Sum of the values, each halved every `halfLifeMs` since it happened. */
      readonly kind: "decayed";
      readonly halfLifeMs: number;
    }
  | {
      /** The largest value, or how many distinct ones, in a window; null: in the whole life. */
      readonly kind: "max" | "distinct";
      readonly window: { readonly paneMs: number; readonly panes: number } | null;
    }
);

/** Update i: `values[i]` for counter `counters[i]` of row `rows[i]` at `times[i]`. */
export interface AggregateUpdates {
  readonly rows: Uint32Array;
  readonly counters: Uint8Array;
  readonly sources: Uint8Array;
  /** Below 2^32 - 1. */
  readonly values: Uint32Array;
  /** Event times, epoch milliseconds, >= 0. */
  readonly times: Float64Array;
  /** Log offsets; an update at or below its row's applied offset is skipped. -1: always. */
  readonly offsets: Float64Array;
  readonly count: number;
  /** Panes that end at or before it are closed. -Infinity closes none. */
  readonly watermarkMs: number;
}

/** Where `read` writes: count x aggregates, and [table][row] offsets where not null. */
export interface AggregateValues {
  readonly out: Float64Array;
  readonly offsets: Float64Array | null;
  /** As `PaneValues.waits`. */
  readonly waits?: boolean;
}

/** What the native table and its twin have in common. */
export interface AggregateRows {
  /** Aggregates of a row. */
  readonly width: number;
  apply(updates: AggregateUpdates, lateOut: Uint32Array): number;
  read(rows: Int32Array | Uint32Array, count: number, asOfMs: number, into: AggregateValues): void;
  clear(): void;
}

const kinds = ["decayed", "max", "distinct"] as const;

/**
 * Aggregates by row that are no sums of panes. Windows are those of `PaneTable`: the same panes,
 * the same rule of late updates.
 *
 * A decayed count holds a value and the time it is as of, and is moved to the later time by each
 * update: the order of events changes its last bits at most; no event is late for it. Read before
 * its newest event it is as of that event.
 *
 * Distinct values are counted exactly while no pane of the window has more than 32 of them, else
 * estimated by a HyperLogLog of 128 registers (standard error 9.2 %), as a whole number. A row of
 * a window takes 136 bytes a pane for distinct values, 8 for the largest value.
 */
export class AggregateTable implements AggregateRows {
  readonly handle: number;
  readonly rows: number;
  readonly width: number;
  /** Bytes that a row takes in `save`, at most. */
  readonly rowBytes: number;
  /** Bytes that a row takes in memory, and in the file. */
  readonly memoryRowBytes: number;
  readonly #handles: Int32Array;
  readonly #native = loadNative<Functions>();

  private constructor(handle: number) {
    const shape = new Uint32Array(4);
    this.#native.aggregateTableShape(handle, shape);
    this.handle = handle;
    this.#handles = Int32Array.of(handle);
    this.rows = shape[0];
    this.width = shape[1];
    this.rowBytes = shape[2];
    this.memoryRowBytes = shape[3];
  }

  /**
   * At most 64 aggregates, of windows of at most 64 panes. Rows that memory has no room for are
   * where those of a `SequenceTable` are.
   */
  static create(
    rows: number,
    aggregates: readonly Aggregate[],
    rowsInMemory = rows,
  ): AggregateTable {
    const flat = Float64Array.from(aggregates.flatMap(numbersOf));
    const native = loadNative<Functions>();
    return new AggregateTable(native.aggregateTableCreate(rows, flat, rowsInMemory));
  }

  static attach(handle: number): AggregateTable {
    return new AggregateTable(handle);
  }

  /**
   * Applies a batch in order and returns how many updates applied. `lateOut[a]` becomes the number
   * of updates that aggregate a no longer takes. A refused batch (it throws) changes nothing.
   */
  apply(updates: AggregateUpdates, lateOut: Uint32Array): number {
    return this.#native.aggregateTableApply(
      this.handle,
      updates.rows,
      updates.counters,
      updates.sources,
      updates.values,
      updates.times,
      updates.offsets,
      updates.count,
      updates.watermarkMs,
      lateOut,
    );
  }

  /** Values as of a time, as `PaneTable.read`. Row -1 (or noRow) gives zeros. */
  read(rows: Int32Array | Uint32Array, count: number, asOfMs: number, into: AggregateValues): void {
    readTables(this.#handles, { rows, count, asOfMs }, into);
  }

  get usage(): RowUsage {
    return rowUsage((out) => this.#native.aggregateTableUsage(this.handle, out));
  }

  /** As `PaneTable.openFile`, for whole rows. */
  openFile(path: string, recordsMax: number): void {
    this.#native.aggregateTableOpenFile(this.handle, path, recordsMax);
  }

  /** Writes `count` rows one after the other and returns the bytes used. */
  save(firstRow: number, count: number, out: Uint8Array): number {
    return this.#native.aggregateTableSave(this.handle, firstRow, count, out);
  }

  /** Takes rows that `save` wrote for a table of the same shape; returns how many they were. */
  load(firstRow: number, data: Uint8Array): number {
    return this.#native.aggregateTableLoad(this.handle, firstRow, data);
  }

  clear(): void {
    this.#native.aggregateTableClear(this.handle);
  }

  /** Frees the memory. Only when no thread uses the table any more. */
  release(): void {
    this.#native.sharedRelease(this.handle);
  }
}

/**
 * The same rows of several tables of one shape, read as if one table had taken in what all have:
 * sums of what is left, the largest of the largest, the distinct of the union.
 */
export class MergedAggregates {
  readonly width: number;
  readonly #handles: Int32Array;

  constructor(tables: readonly AggregateTable[]) {
    this.width = tables[0]?.width ?? 0;
    this.#handles = Int32Array.from(tables, ({ handle }) => handle);
  }

  /** Tables that a row is read from. */
  get partials(): number {
    return this.#handles.length;
  }

  /** As `AggregateTable.read`. */
  read(rows: Int32Array | Uint32Array, count: number, asOfMs: number, into: AggregateValues): void {
    readTables(this.#handles, { rows, count, asOfMs }, into);
  }
}

interface RowsAsOf {
  readonly rows: Int32Array | Uint32Array;
  readonly count: number;
  readonly asOfMs: number;
}

function readTables(handles: Int32Array, of: RowsAsOf, into: AggregateValues): void {
  const { rows, count, asOfMs } = of;
  const { out, offsets, waits = false } = into;
  const native = loadNative<Functions>();
  native.aggregateTableRead(handles, rows, count, asOfMs, out, offsets, waits ? 1 : 0);
}

/** Kind, counter, source, pane, panes, half-life. */
function numbersOf(aggregate: Aggregate): number[] {
  const { kind, counter, source } = aggregate;
  const start = [kinds.indexOf(kind), counter, source];
  if (aggregate.kind === "decayed") return [...start, 0, 0, aggregate.halfLifeMs];
  const { paneMs = 0, panes = 0 } = aggregate.window ?? {};
  return [...start, paneMs, panes, 0];
}
