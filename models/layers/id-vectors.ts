import { type IdRows, meanVectors } from "./id-rows.ts";

type Ids = Uint32Array | Int32Array;

/** The part of an embedding table that is read. */
export interface GatheredRows {
  readonly dim: number;
  gather(rows: Ids, count: number, pinVersion: number, out: Float32Array): void;
  gatherWorking(rows: Ids, count: number, out: Float32Array): void;
}

/** The vectors of ids, from the rows of a table. Allocates only when asked for more than before. */
export class IdVectors {
  readonly #table: GatheredRows;
  readonly #ids: IdRows;
  #rows = new Uint32Array(0);
  #vectors = new Float32Array(0);

  constructor(table: GatheredRows, ids: IdRows) {
    this.#table = table;
    this.#ids = ids;
  }

  /** As of a published version; zeros where there is none. `out`: count x dim. */
  gather(ids: Ids, count: number, pinVersion: number, out: Float32Array): void {
    const rows = this.#rowsOf(ids, count, pinVersion);
    const vectors = this.#vectorsFor(rows, out);
    this.#table.gather(this.#rows, rows, pinVersion, vectors);
    this.#mean(vectors, count, out);
  }

  /** As the trainer has them. Its thread only. */
  gatherWorking(ids: Ids, count: number, out: Float32Array): void {
    const rows = this.#rowsOf(ids, count);
    const vectors = this.#vectorsFor(rows, out);
    this.#table.gatherWorking(this.#rows, rows, vectors);
    this.#mean(vectors, count, out);
  }

  #rowsOf(ids: Ids, count: number, pinVersion?: number): number {
    const rows = count * this.#ids.perId;
    if (this.#rows.length < rows) this.#rows = new Uint32Array(2 * rows);
    this.#ids.rowsOf(ids, count, this.#rows, pinVersion);
    return rows;
  }

  #vectorsFor(rows: number, out: Float32Array): Float32Array {
    if (this.#ids.perId === 1) return out;
    const floats = rows * this.#table.dim;
    if (this.#vectors.length < floats) this.#vectors = new Float32Array(2 * floats);
    return this.#vectors;
  }

  #mean(vectors: Float32Array, count: number, out: Float32Array): void {
    const { perId } = this.#ids;
    if (perId > 1) meanVectors(vectors, { count, perId, width: this.#table.dim }, out);
  }
}
