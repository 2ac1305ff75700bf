import { noRow } from "../core/bytes.ts";

/** The part of an embedding table that training uses. Rows may repeat; `noRow` reads as zeros. */
export interface VectorRows {
  gather(rows: Uint32Array, count: number, pinVersion: number, out: Float32Array): void;
  gatherWorking(rows: Uint32Array, count: number, out: Float32Array): void;
  applyAdagrad(
    rows: Uint32Array,
    count: number,
    gradients: Float32Array,
    options: { learningRate: number; epsilon: number },
  ): void;
}

export interface EmbeddingOptions {
  readonly learningRate: number;
  /** Damps first steps: row-wise accumulators start at zero. */
  readonly epsilon: number;
  /** Occurrences before a row is learned: rare ids overfit. */
  readonly admission: number;
}

export interface EmbeddingBatch {
  readonly rows: Uint32Array;
  readonly count: number;
  /** count x width, by the mean loss of the batch. */
  readonly gradients: Float32Array;
  readonly scale: number;
}

/**
 * Row-wise Adagrad on one embedding table: gradients of a row that stands in a batch more than once
 * are summed first, rows below their admission count are left alone, and rows that changed are
 * remembered until the publisher takes them.
 */
export class EmbeddingUpdates {
  readonly #table: VectorRows;
  readonly #width: number;
  readonly #options: EmbeddingOptions;
  readonly #slots = new Map<number, number>();
  readonly #touched = new Set<number>();
  readonly #rows: Uint32Array;
  readonly #sums: Float32Array;
  #seen = new Uint8Array(1024);

  constructor(
    table: VectorRows,
    shape: { width: number; rowsMax: number },
    options: EmbeddingOptions,
  ) {
    this.#table = table;
    this.#width = shape.width;
    this.#options = options;
    this.#rows = new Uint32Array(shape.rowsMax);
    this.#sums = new Float32Array(shape.rowsMax * shape.width);
  }

  /** How often each row stood in a batch, saturating at 255. */
  get seen(): Uint8Array {
    return this.#seen;
  }

  restoreSeen(seen: Uint8Array): void {
    this.#seen = seen.slice();
  }

  get touched(): Uint32Array {
    return Uint32Array.from(this.#touched);
  }

  restoreTouched(rows: Uint32Array): void {
    this.#touched.clear();
    for (const row of rows) this.#touched.add(row);
  }

  /** Rows that changed since the last call. */
  takeTouched(): Uint32Array {
    const rows = this.touched;
    this.#touched.clear();
    return rows;
  }

  apply(batch: EmbeddingBatch): void {
    if (this.#width === 0) return;
    const count = this.#collect(batch);
    if (count === 0) return;
    const { learningRate, epsilon } = this.#options;
    this.#table.applyAdagrad(this.#rows, count, this.#sums, { learningRate, epsilon });
  }

  #collect(batch: EmbeddingBatch): number {
    this.#slots.clear();
    for (let r = 0; r < batch.count; r++) {
      const row = batch.rows[r]!;
      if (row === noRow || this.#count(row) <= this.#options.admission) continue;
      addRow(this.#sums, this.#slotOf(row), batch, { width: this.#width, r });
    }
    return this.#slots.size;
  }

  #slotOf(row: number): number {
    const known = this.#slots.get(row);
    if (known !== undefined) return known;
    const slot = this.#slots.size;
    this.#slots.set(row, slot);
    this.#touched.add(row);
    this.#rows[slot] = row;
    this.#sums.fill(0, slot * this.#width, (slot + 1) * this.#width);
    return slot;
  }

  #count(row: number): number {
    if (row >= this.#seen.length) {
      const grown = new Uint8Array(2 ** Math.ceil(Math.log2(row + 1)));
      grown.set(this.#seen);
      this.#seen = grown;
    }
    const count = Math.min(255, this.#seen[row]! + 1);
    this.#seen[row] = count;
    return count;
  }
}

function addRow(
  sums: Float32Array,
  slot: number,
  batch: EmbeddingBatch,
  at: { width: number; r: number },
): void {
  for (let j = 0; j < at.width; j++) {
    sums[slot * at.width + j]! += batch.scale * batch.gradients[at.r * at.width + j]!;
  }
}
