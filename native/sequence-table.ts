import { loadNative } from "./load.ts";
import { type RowUsage, rowUsage } from "./row-usage.ts";

interface Functions {
  sequenceTableCreate(rows: number, length: number, words: number, rowsInMemory: number): number;
  sequenceTableShape(handle: number, out: Uint32Array): void;
  sequenceTableUsage(handle: number, out: Float64Array): void;
  sequenceTableOpenFile(handle: number, path: string, recordsMax: number): void;
  sequenceTablePush(handle: number, row: number, record: Uint32Array, offset: number): number;
  sequenceTablePushAll(
    handle: number,
    rows: Uint32Array,
    count: number,
    records: Uint32Array,
    timeAt: number,
    offsets: Float64Array | null,
  ): void;
  sequenceTableReplace(
    handle: number,
    row: number,
    records: Uint32Array,
    count: number,
    offset: number,
  ): number;
  sequenceTableRead(
    handle: number,
    row: number,
    out: Uint32Array,
    offsetOut: Float64Array | null,
    waits: number,
  ): number;
  sequenceTableSave(handle: number, firstRow: number, count: number, out: Uint8Array): number;
  sequenceTableLoad(handle: number, firstRow: number, data: Uint8Array): number;
  sequenceTableClear(handle: number): void;
  sharedRelease(handle: number): void;
}

export interface SequenceTableOptions {
  readonly rows: number;
  /** Records kept per row. */
  readonly length: number;
  /** u32 words a record. */
  readonly words: number;
  /** Of more the least recently used are in the table's file, or lost without; default: all. */
  readonly rowsInMemory?: number;
}

/** How `pushAll` orders records, and which it skips. */
export interface RecordOrder {
  /** By the float64 in the words `timeAt` and `timeAt + 1`, behind equal ones. */
  readonly timeAt: number;
  /** One for each record; by the same rule as `push`. */
  readonly offsets: Float64Array;
}

/**
 * Per row the last `length` records of `words` u32 each. Any thread writes, any thread reads.
 *
 * When `rowsInMemory` are in use, the one that was read or written least recently of a few that are
 * looked at moves to the table's file, and comes back, offset and all, when it is written next.
 * Without a file, or once that is full, a row is lost: it is as before its first record.
 * `save` takes the rows wherever they stand, and `load` puts them where there is room.
 */
export class SequenceTable {
  readonly handle: number;
  readonly rows: number;
  readonly length: number;
  readonly words: number;
  /** Bytes that a row takes in `save`, at most. */
  readonly rowBytes: number;
  /** Bytes that a row takes in memory, and in the file. */
  readonly memoryRowBytes: number;
  readonly #native = loadNative<Functions>();

  private constructor(handle: number) {
    const shape = new Uint32Array(5);
    this.#native.sequenceTableShape(handle, shape);
    this.handle = handle;
    this.rows = shape[0];
    this.length = shape[1];
    this.words = shape[2];
    this.rowBytes = shape[3];
    this.memoryRowBytes = shape[4];
  }

  static create(options: SequenceTableOptions): SequenceTable {
    const { rows, length, words, rowsInMemory = rows } = options;
    const native = loadNative<Functions>();
    return new SequenceTable(native.sequenceTableCreate(rows, length, words, rowsInMemory));
  }

  static attach(handle: number): SequenceTable {
    return new SequenceTable(handle);
  }

  /**
   * Adds a record as the newest; the oldest goes when the row is full. Skipped, with `false`,
   * when `offset` is at or below the largest one pushed; -1 always pushes and sets none.
   */
  push(row: number, record: Uint32Array, offset: number): boolean {
    return this.#native.sequenceTablePush(this.handle, row, record, offset) === 1;
  }

  /**
   * Record i of `records` becomes the newest of row `rows[i]`; or takes its place in an order,
   * where one that is older than all of a full row is left out. A refused batch changes nothing.
   */
  pushAll(
    rows: Uint32Array,
    records: Uint32Array,
    count: number,
    order: RecordOrder | null = null,
  ): void {
    const { timeAt = -1, offsets = null } = order ?? {};
    this.#native.sequenceTablePushAll(this.handle, rows, count, records, timeAt, offsets);
  }

  /**
   * Replaces the row's records at once by `count` records, oldest first; skipped, with `false`, by
   * the same rule as `push`.
   */
  replace(row: number, records: Uint32Array, count: number, offset = -1): boolean {
    return this.#native.sequenceTableReplace(this.handle, row, records, count, offset) === 1;
  }

  /**
   * Copies the records, oldest first; returns their number. `out` holds length x words;
   * `offsetOut[0]` becomes the row's offset, -1 where it has none. A row that only the disk has is
   * fetched for the next read, and this one finds no record and no offset, unless it `waits`: so do
   * checks, whose reads do not count as use.
   */
  read(
    row: number,
    out: Uint32Array,
    offsetOut: Float64Array | null = null,
    waits = false,
  ): number {
    return this.#native.sequenceTableRead(this.handle, row, out, offsetOut, waits ? 1 : 0);
  }

  get usage(): RowUsage {
    return rowUsage((out) => this.#native.sequenceTableUsage(this.handle, out));
  }

  /** As `PaneTable.openFile`, for whole rows. */
  openFile(path: string, recordsMax: number): void {
    this.#native.sequenceTableOpenFile(this.handle, path, recordsMax);
  }

  /** Writes the records of `count` rows one after the other; returns the bytes used. */
  save(firstRow: number, count: number, out: Uint8Array): number {
    return this.#native.sequenceTableSave(this.handle, firstRow, count, out);
  }

  /** Takes rows that `save` wrote for a table of the same shape; returns how many they were. */
  load(firstRow: number, data: Uint8Array): number {
    return this.#native.sequenceTableLoad(this.handle, firstRow, data);
  }

  clear(): void {
    this.#native.sequenceTableClear(this.handle);
  }

  /** Frees the memory. Only when no thread uses the table any more. */
  release(): void {
    this.#native.sharedRelease(this.handle);
  }
}
