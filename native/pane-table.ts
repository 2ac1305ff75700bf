import { loadNative } from "./load.ts";
import { type RowUsage, rowUsage } from "./row-usage.ts";

interface Functions {
  paneTableCreate(rows: number, counters: number, windows: Uint32Array, fullRows: number): number;
  paneTableShape(handle: number, out: Uint32Array): void;
  paneTableUsage(handle: number, out: Float64Array): void;
  paneTableOpenFile(handle: number, path: string, recordsMax: number): void;
  paneTableWindow(handle: number, index: number, out: Uint32Array): void;
  paneTableApply(
    handle: number,
    rows: Uint32Array,
    counters: Uint8Array,
    deltas: Uint32Array,
    times: Float64Array,
    offsets: Float64Array,
    count: number,
    watermarkMs: number,
    lateOut: Uint32Array,
  ): number;
  paneTableRead(
    handle: number,
    rows: Int32Array | Uint32Array,
    count: number,
    asOfMs: number,
    out: Uint32Array,
    offsetsOut: Float64Array | null,
    waits: number,
  ): void;
  paneTableSave(handle: number, firstRow: number, count: number, out: Uint8Array): number;
  paneTableLoad(handle: number, firstRow: number, data: Uint8Array): number;
  paneTableClear(handle: number): void;
  sharedRelease(handle: number): void;
}

export interface PaneWindow {
  readonly paneMs: number;
  readonly panes: number;
}

export interface PaneTableOptions {
  readonly rows: number;
  /** Counters a pane, at most 64. */
  readonly counters: number;
  /** At most 8. */
  readonly windows: readonly PaneWindow[];
  /** Rows in memory that may have more panes than fit into their slot; default: all. */
  readonly fullRows?: number;
}

/** Update i adds `deltas[i]` to counter `counters[i]` of row `rows[i]` at `times[i]`. */
export interface PaneUpdates {
  readonly rows: Uint32Array;
  readonly counters: Uint8Array;
  readonly deltas: Uint32Array;
  /** Event times, epoch milliseconds, >= 0. */
  readonly times: Float64Array;
  /** Log offsets; an update at or below its row's applied offset is skipped. -1: always. */
  readonly offsets: Float64Array;
  readonly count: number;
  /** Panes that end at or before it are closed. -Infinity closes none. */
  readonly watermarkMs: number;
}

/** Where `read` writes: count x (windows + 1) x counters, and count offsets where not null. */
export interface PaneValues {
  readonly out: Uint32Array;
  readonly offsets: Float64Array | null;
  /** Rows that the disk has to be asked for are waited for; default: no (see `PaneTable.read`). */
  readonly waits?: boolean;
}

/** What the native table and its twin have in common. */
export interface PaneCounters {
  /** Values of one row in `read`: (windows + 1) x counters. */
  readonly width: number;
  apply(updates: PaneUpdates, lateOut: Uint32Array): number;
  read(rows: Int32Array | Uint32Array, count: number, asOfMs: number, into: PaneValues): void;
  clear(): void;
}

/**
 * Sliding-window counters: per window a ring of panes + 1 panes, the sum of the newest `panes`
 * kept with them, and totals. Counters are u32 and wrap. One writer at a time a row; readers never
 * block it and always see a row between two updates.
 *
 * A row is a slot with room for a few counts; only a row with more of them has rings, a full row.
 * When `fullRows` are in use, the one whose newest event is the oldest of a few that are looked at
 * moves to the table's file, and comes back with its next event; once no window holds it any more
 * it is dropped. Without a file, or once that is full, the row keeps its totals and gives its
 * windows up. `save` takes the rows wherever they stand, and `load` puts them where there is room.
 */
export class PaneTable implements PaneCounters {
  readonly handle: number;
  readonly rows: number;
  readonly counters: number;
  readonly windows: readonly PaneWindow[];
  readonly width: number;
  /** Bytes that a row takes in `save`, at most. */
  readonly rowBytes: number;
  /** Bytes of a full row, in memory and, with 8 more, in the file. */
  readonly fullRowBytes: number;
  readonly #native = loadNative<Functions>();

  private constructor(handle: number) {
    const shape = new Uint32Array(5);
    this.#native.paneTableShape(handle, shape);
    this.handle = handle;
    this.rows = shape[0];
    this.counters = shape[1];
    this.rowBytes = shape[3];
    this.fullRowBytes = shape[4];
    this.windows = Array.from({ length: shape[2] }, (_, index) => this.#window(handle, index));
    this.width = (this.windows.length + 1) * this.counters;
  }

  static create(options: PaneTableOptions): PaneTable {
    const windows = Uint32Array.from(options.windows.flatMap((w) => [w.paneMs, w.panes]));
    const { rows, counters, fullRows = rows } = options;
    const native = loadNative<Functions>();
    return new PaneTable(native.paneTableCreate(rows, counters, windows, fullRows));
  }

  static attach(handle: number): PaneTable {
    return new PaneTable(handle);
  }

  #window(handle: number, index: number): PaneWindow {
    const out = new Uint32Array(2);
    this.#native.paneTableWindow(handle, index, out);
    return { paneMs: out[0], panes: out[1] };
  }

  /**
   * Applies a batch in order and returns how many updates applied. `lateOut[w]` becomes the number
   * of updates that window w no longer takes: their pane is closed by the watermark, or older
   * than the row's ring. Totals always count. A refused batch (it throws) changes nothing.
   */
  apply(updates: PaneUpdates, lateOut: Uint32Array): number {
    return this.#native.paneTableApply(
      this.handle,
      updates.rows,
      updates.counters,
      updates.deltas,
      updates.times,
      updates.offsets,
      updates.count,
      updates.watermarkMs,
      lateOut,
    );
  }

  /**
   * Values as of a time: `into.out[i][w][c]` sums the panes with index in (p - panes, p], where
   * p = floor(asOfMs / paneMs); w = windows.length is the total, which has no time. Row -1 (or
   * noRow) gives zeros. A row keeps panes + 1 panes: a time further back than one pane before the
   * row's newest event sees only what is still kept. `into.offsets[i]` = applied offset, -1 none.
   *
   * A row in the file that is not in the system's page cache is fetched for the next read; this one
   * does not wait for it and gives what the row was before its first update: zeros, and offset -1.
   */
  read(rows: Int32Array | Uint32Array, count: number, asOfMs: number, into: PaneValues): void {
    this.#native.paneTableRead(
      this.handle,
      rows,
      count,
      asOfMs,
      into.out,
      into.offsets,
      into.waits ? 1 : 0,
    );
  }

  /** Full rows in use. */
  get fullRowsUsed(): number {
    return this.usage.inMemory;
  }

  get usage(): RowUsage {
    return rowUsage((out) => this.#native.paneTableUsage(this.handle, out));
  }

  /**
   * Where full rows go that memory has no room for, `recordsMax` at most. The file is emptied: it
   * is scratch. Throws REC_NATIVE_IO.
   */
  openFile(path: string, recordsMax: number): void {
    this.#native.paneTableOpenFile(this.handle, path, recordsMax);
  }

  /** Writes `count` rows one after the other, whole; returns the bytes used. */
  save(firstRow: number, count: number, out: Uint8Array): number {
    return this.#native.paneTableSave(this.handle, firstRow, count, out);
  }

  /** Takes rows that `save` wrote for a table of the same shape; returns how many they were. */
  load(firstRow: number, data: Uint8Array): number {
    return this.#native.paneTableLoad(this.handle, firstRow, data);
  }

  clear(): void {
    this.#native.paneTableClear(this.handle);
  }

  /** Frees the memory. Only when no thread uses the table any more. */
  release(): void {
    this.#native.sharedRelease(this.handle);
  }
}
