import { loadNative } from "./load.ts";

interface Functions {
  sequenceTableCreate(rows: number, length: number, words: number): number;
  sequenceTableShape(handle: number, out: Uint32Array): void;
  sequenceTablePush(handle: number, row: number, record: Uint32Array, offset: number): number;
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
  ): number;
  sequenceTableSave(handle: number, firstRow: number, count: number, out: Uint8Array): void;
  sequenceTableLoad(handle: number, firstRow: number, count: number, data: Uint8Array): void;
  sequenceTableClear(handle: number): void;
  sharedRelease(handle: number): void;
}

export interface SequenceTableOptions {
  readonly rows: number;
  /** Records kept per row. */
  readonly length: number;
  /** u32 words a record. */
  readonly words: number;
}

/** Per row the last `length` records of `words` u32 each. Any thread writes, any thread reads. */
export class SequenceTable {
  readonly handle: number;
  readonly rows: number;
  readonly length: number;
  readonly words: number;
  /** Bytes of a row in memory and in `save`. */
  readonly rowBytes: number;
  readonly #native = loadNative<Functions>();

  private constructor(handle: number) {
    const shape = new Uint32Array(4);
    this.#native.sequenceTableShape(handle, shape);
    this.handle = handle;
    this.rows = shape[0];
    this.length = shape[1];
    this.words = shape[2];
    this.rowBytes = shape[3];
  }

  static create(options: SequenceTableOptions): SequenceTable {
    const { rows, length, words } = options;
    return new SequenceTable(loadNative<Functions>().sequenceTableCreate(rows, length, words));
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
   * Replaces the row's records at once by `count` records, oldest first; skipped, with `false`, by
   * the same rule as `push`.
   */
  replace(row: number, records: Uint32Array, count: number, offset = -1): boolean {
    return this.#native.sequenceTableReplace(this.handle, row, records, count, offset) === 1;
  }

  /**
   * Copies the records, oldest first; returns their number. `out` holds length x words;
   * `offsetOut[0]` becomes the row's offset, -1 where it has none.
   */
  read(row: number, out: Uint32Array, offsetOut: Float64Array | null = null): number {
    return this.#native.sequenceTableRead(this.handle, row, out, offsetOut);
  }

  /** Writes `count` rows of `rowBytes` bytes. */
  save(firstRow: number, count: number, out: Uint8Array): void {
    this.#native.sequenceTableSave(this.handle, firstRow, count, out);
  }

  /** Takes rows that `save` wrote for a table of the same shape. */
  load(firstRow: number, count: number, data: Uint8Array): void {
    this.#native.sequenceTableLoad(this.handle, firstRow, count, data);
  }

  clear(): void {
    this.#native.sequenceTableClear(this.handle);
  }

  /** Frees the memory. Only when no thread uses the table any more. */
  release(): void {
    this.#native.sharedRelease(this.handle);
  }
}
