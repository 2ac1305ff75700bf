import { loadNative } from "./load.ts";

interface Functions {
  idTableCreate(capacity: number, bytesMax: number): number;
  idTableSize(handle: number): number;
  idTableIntern(handle: number, id: string): number;
  idTableFind(handle: number, id: string): number;
  idTableId(handle: number, row: number): string;
  idTableSavedBytes(handle: number, firstRow: number, count: number): number;
  idTableSave(handle: number, firstRow: number, count: number, out: Uint8Array): number;
  idTableLoad(handle: number, data: Uint8Array): number;
  idTableInternPair(handle: number, a: number, b: number): number;
  idTableInternPairs(
    handle: number,
    as: Uint32Array,
    bs: Uint32Array,
    count: number,
    out: Uint32Array,
  ): number;
  idTableFindPairs(
    handle: number,
    a: number,
    bs: Int32Array | Uint32Array,
    count: number,
    out: Int32Array,
  ): void;
  idTableLoadPairs(handle: number, firstRow: number, pairs: Uint32Array, total: number): void;
  idTablePairs(handle: number, firstRow: number, count: number, out: Uint32Array): void;
  sharedRelease(handle: number): void;
}

export interface IdTableOptions {
  /** Rows at most. */
  readonly capacity: number;
  /** Bytes of all ids together at most; 0 makes a table of pairs of rows. */
  readonly bytesMax: number;
}

/**
 * Ids (1 to 4,096 bytes of UTF-8), or pairs of rows, to dense rows 0 .. size - 1 that never
 * change. Finding takes no lock and allocates nothing.
 */
export class IdTable {
  readonly handle: number;
  readonly #native = loadNative<Functions>();

  private constructor(handle: number) {
    this.handle = handle;
    this.#native.idTableSize(handle);
  }

  static create(options: IdTableOptions): IdTable {
    const { capacity, bytesMax } = options;
    return new IdTable(loadNative<Functions>().idTableCreate(capacity, bytesMax));
  }

  static attach(handle: number): IdTable {
    return new IdTable(handle);
  }

  get size(): number {
    return this.#native.idTableSize(this.handle);
  }

  /** The id's row, a new one if need be. Throws REC_IDS_FULL when rows or bytes are used up. */
  intern(id: string): number {
    return this.#native.idTableIntern(this.handle, id);
  }

  /** The id's row, or -1. */
  find(id: string): number {
    return this.#native.idTableFind(this.handle, id);
  }

  /** The id of a row below `size`; any other row throws. */
  id(row: number): string {
    return this.#native.idTableId(this.handle, row);
  }

  /** The ids of `count` rows as bytes for `load`: each its length (u16), then itself. */
  save(firstRow: number, count: number): Uint8Array {
    const out = new Uint8Array(this.savedBytes(firstRow, count));
    this.#native.idTableSave(this.handle, firstRow, count, out);
    return out;
  }

  /** Length of what `save` gives for these rows. */
  savedBytes(firstRow: number, count: number): number {
    return this.#native.idTableSavedBytes(this.handle, firstRow, count);
  }

  /**
   * Gives saved ids the next rows, in their order; returns how many. One that has a row already
   * throws, and those before it stay.
   */
  load(data: Uint8Array): number {
    return this.#native.idTableLoad(this.handle, data);
  }

  /** As `intern`, for a pair of rows (u32 each). */
  internPair(a: number, b: number): number {
    return this.#native.idTableInternPair(this.handle, a, b);
  }

  /**
   * `out[i]` = row of the pair (as[i], bs[i]), new ones in the order in which they come; 0xffffffff
   * where no room is left. Returns how many found none.
   */
  internPairs(as: Uint32Array, bs: Uint32Array, count: number, out: Uint32Array): number {
    return this.#native.idTableInternPairs(this.handle, as, bs, count, out);
  }

  /** `out[i]` = row of the pair (a, bs[i]), or -1 where there is none or `bs[i]` is no row. */
  findPairs(a: number, bs: Int32Array | Uint32Array, count: number, out: Int32Array): void {
    this.#native.idTableFindPairs(this.handle, a, bs, count, out);
  }

  /**
   * Gives pairs that `pairs` wrote the rows from `firstRow` on, or finds that they have them;
   * throws for others. An empty table makes room for `total` pairs at once.
   */
  loadPairs(firstRow: number, pairs: Uint32Array, total: number): void {
    this.#native.idTableLoadPairs(this.handle, firstRow, pairs, total);
  }

  /** Both rows of each of `count` pairs, one pair after the other. */
  pairs(firstRow: number, count: number, out: Uint32Array): void {
    this.#native.idTablePairs(this.handle, firstRow, count, out);
  }

  /** Frees the memory. Only when no thread uses the table any more. */
  release(): void {
    this.#native.sharedRelease(this.handle);
  }
}
