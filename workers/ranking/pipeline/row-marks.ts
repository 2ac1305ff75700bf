import { assert } from "../../../models/core/assert.ts";

/**
 * A set of rows that is emptied in one step: an open-addressing table whose entries count only
 * when stamped with the current generation. It is as large as what a request may hold, not as the
 * item table, so it stays in the cache and costs the same with a thousand items as with millions.
 */
export class RowMarks {
  readonly #rows: Int32Array;
  readonly #stamps: Uint32Array;
  readonly #values: Int32Array;
  readonly #mask: number;
  #generation = 0;
  #size = 0;

  /** `rowsMax`: most rows that are marked between two `clear`s. */
  constructor(rowsMax: number) {
    const slots = 2 ** Math.ceil(Math.log2(Math.max(16, rowsMax * 3)));
    this.#rows = new Int32Array(slots);
    this.#stamps = new Uint32Array(slots);
    this.#values = new Int32Array(slots);
    this.#mask = slots - 1;
    this.clear();
  }

  clear(): void {
    this.#size = 0;
    this.#generation = (this.#generation + 1) >>> 0;
    if (this.#generation !== 0) return;
    // After 2^32 requests old stamps would look current.
    this.#stamps.fill(0);
    this.#generation = 1;
  }

  /** The value that `row` was first marked with; marks it with `value` and gives -1 if new. */
  mark(row: number, value: number): number {
    const at = this.#slot(row);
    if (this.#stamps[at] === this.#generation) return this.#values[at];
    assert(++this.#size * 2 <= this.#mask, "more rows marked than the table was made for");
    this.#rows[at] = row;
    this.#stamps[at] = this.#generation;
    this.#values[at] = value;
    return -1;
  }

  has(row: number): boolean {
    return this.#stamps[this.#slot(row)] === this.#generation;
  }

  #slot(row: number): number {
    const hash = Math.imul(row, 0x9e3779b1);
    let at = (hash ^ (hash >>> 15)) & this.#mask;
    while (this.#stamps[at] === this.#generation && this.#rows[at] !== row) {
      at = (at + 1) & this.#mask;
    }
    return at;
  }
}
