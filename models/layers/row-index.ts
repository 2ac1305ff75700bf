import type { EmbeddingTable } from "../../native/index.ts";
import type { IdRows } from "./id-rows.ts";

/**
 * Exact with fewer rows than ids: rows are handed out and given back, and this says which one an id
 * has. It is a table of one word an id, the bits of row + 1, so that it keeps versions as the rows
 * do: under a pin an id is found in the row that held it in that version, whoever has the row now.
 */
export class RowIndex implements IdRows {
  readonly perId = 1;
  /** Published and saved with the rows. Its `dim` is 1. */
  readonly table: EmbeddingTable;
  /** Rows that there are to hand out. */
  readonly rows: number;
  #words = new Float32Array(0);
  #bits = new Uint32Array(0);
  readonly #one = new Uint32Array(1);
  readonly #oneWord = new Float32Array(1);
  readonly #oneWordBits = new Uint32Array(this.#oneWord.buffer);

  constructor(table: EmbeddingTable, rows: number) {
    this.table = table;
    this.rows = rows;
  }

  rowsOf(
    ids: Uint32Array | Int32Array,
    count: number,
    out: Uint32Array,
    pinVersion?: number,
  ): void {
    if (this.#words.length < count) {
      this.#words = new Float32Array(2 * count);
      this.#bits = new Uint32Array(this.#words.buffer);
    }
    if (pinVersion === undefined) this.table.gatherWorking(ids, count, this.#words);
    else this.table.gather(ids, count, pinVersion, this.#words);
    // Without a row the word is 0, and the largest number is no row.
    for (let i = 0; i < count; i++) out[i] = this.#bits[i]! - 1;
  }

  /** Gives the id a row; `noRow` takes it away. Trainer's thread. */
  set(id: number, row: number): void {
    this.#one[0] = id;
    this.#oneWordBits[0] = row + 1;
    this.table.initialise(this.#one, 1, this.#oneWord);
  }
}
