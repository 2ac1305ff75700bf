import { noRow } from "../../models/core/bytes.ts";
import type { EmbeddingTable } from "../../native/index.ts";

type WorkingRows = Pick<EmbeddingTable, "dim" | "gatherWorking" | "initialise">;

/**
 * A table's rows as they were when a candidate was last accepted: the working values, but for rows
 * that were learned since, whose values of then are kept. What readers see does not do for
 * judging: it hangs on their pins, and is ahead of a trainer that starts again.
 */
export class GoodRows {
  readonly #table: WorkingRows;
  /** Row to its place in the values. */
  readonly #places = new Map<number, number>();
  #values = new Float32Array(0);

  constructor(table: WorkingRows) {
    this.#table = table;
  }

  /** Keeps the values of rows that are about to be learned; `noRow` is skipped. */
  remember(rows: Uint32Array): void {
    const { dim } = this.#table;
    const first = this.#places.size;
    const fresh: number[] = [];
    for (const row of rows) {
      if (row === noRow || this.#places.has(row)) continue;
      this.#places.set(row, first + fresh.length);
      fresh.push(row);
    }
    const length = this.#places.size * dim;
    if (length > this.#values.length) {
      const values = new Float32Array(2 * length);
      values.set(this.#values.subarray(0, first * dim));
      this.#values = values;
    }
    const out = this.#values.subarray(first * dim, length);
    this.#table.gatherWorking(Uint32Array.from(fresh), fresh.length, out);
  }

  /** Rows that were just handed to other ids: what is good of those is nothing yet. */
  forget(rows: Uint32Array): void {
    const { dim } = this.#table;
    this.remember(rows);
    for (const row of rows) {
      const from = this.#places.get(row)! * dim;
      this.#values.fill(0, from, from + dim);
    }
  }

  /** Good values of `count` rows into `out` (count x dim). */
  gather(rows: Uint32Array, count: number, out: Float32Array): void {
    const { dim } = this.#table;
    this.#table.gatherWorking(rows, count, out);
    for (let i = 0; i < count; i++) {
      const place = this.#places.get(rows[i]!);
      if (place === undefined) continue;
      for (let j = 0; j < dim; j++) out[i * dim + j] = this.#values[place * dim + j]!;
    }
  }

  /** The working rows are good as they are. */
  accept(): void {
    this.#places.clear();
  }

  /** Sets the working rows back to the good ones; their accumulators start anew. */
  takeBack(): void {
    const [rows, values] = this.save();
    this.#table.initialise(rows, rows.length, values);
    this.#places.clear();
  }

  /** The kept rows and their values (rows x dim). */
  save(): [Uint32Array, Float32Array] {
    const rows = Uint32Array.from(this.#places.keys());
    return [rows, this.#values.slice(0, rows.length * this.#table.dim)];
  }

  restore(rows: Uint32Array, values: Float32Array): void {
    this.#places.clear();
    for (const [place, row] of rows.entries()) this.#places.set(row, place);
    this.#values = values.slice();
  }
}
