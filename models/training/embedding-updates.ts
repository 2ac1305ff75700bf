import { noRow } from "../core/bytes.ts";
import { type IdRows, ownRows } from "../layers/id-rows.ts";
import { RowIndex } from "../layers/row-index.ts";
import { RecycledRows, recycledColumns } from "./recycled-rows.ts";
import { packNumbers, unpackNumbers } from "./state-codec.ts";

/** The part of an embedding table that training uses. Rows may repeat; `noRow` reads as zeros. */
export interface VectorRows {
  gatherWorking(rows: Uint32Array, count: number, out: Float32Array): void;
  applyAdagrad(
    rows: Uint32Array,
    count: number,
    gradients: Float32Array,
    options: { learningRate: number; epsilon: number; decay: number },
  ): void;
  /** Sets working values and clears their accumulators. */
  initialise(rows: Uint32Array, count: number, values: Float32Array): void;
}

export interface EmbeddingOptions {
  readonly learningRate: number;
  /** Damps first steps: row-wise accumulators start at zero. */
  readonly epsilon: number;
  /** What is kept of an accumulator at each step of its row; below 1 an old row can still turn. */
  readonly decay: number;
  /** Occurrences before a row is learned: rare ids overfit. Restored with the state. */
  readonly admission: number;
  /** A row that did not occur for so long (in time of samples) is forgotten, and its count. */
  readonly expiryMs: number;
}

export interface EmbeddingShape {
  readonly width: number;
  /** Samples of a batch at most. */
  readonly rowsMax: number;
  /** Which rows are an id's; default: its own. */
  readonly ids?: IdRows;
}

export interface EmbeddingBatch {
  /**
   * What occurrences are counted of, count x perId: rows of each sample's id, which are what is
   * learned; where rows are handed out, the ids.
   */
  readonly keys: Uint32Array;
  readonly count: number;
  /** count x width, by the mean loss of the batch. */
  readonly gradients: Float32Array;
  readonly scale: number;
  /** Time of the newest sample, epoch milliseconds. */
  readonly timeMs: number;
}

const hourMs = 3_600_000;
/** Occurrences are counted up to so many; an admission count of it admits nothing. */
export const seenMax = 255;
/** Rows looked at for expiry with each batch: all of a million in a few thousand batches. */
const sweptRows = 512;

/**
 * Row-wise Adagrad on one embedding table: gradients of a row that stands in a batch more than once
 * are summed first, rows below their admission count are left alone, rows that have not occurred
 * for long are set back to zeros (filtering and expiry of Monolith, Liu et al. 2022), and rows that
 * changed are remembered until the publisher takes them. Where there are fewer rows than ids, ids
 * are counted, and take a row once they are admitted until they expire.
 */
export class EmbeddingUpdates {
  readonly #table: VectorRows;
  readonly #width: number;
  readonly #perId: number;
  readonly #options: EmbeddingOptions;
  readonly #slots = new Map<number, number>();
  readonly #touched = new Set<number>();
  /** Null where an id's rows are its own, or follow from it. */
  readonly #recycled: RecycledRows | null;
  /** Ids that took a row or gave it back. */
  readonly #moved = new Set<number>();
  /** Rows that were given to ids, until someone asks. */
  #handedOut: number[] = [];
  #waiting = 0;
  readonly #rows: Uint32Array;
  readonly #sums: Float32Array;
  readonly #zeros: Float32Array;
  #seen = new Uint8Array(1024);
  /** Hour of the last occurrence. */
  #seenAt = new Uint32Array(1024);
  readonly #marks = {
    /** Key that expiry looks at next. */
    next: 0,
    /** Rows that it has set back since the beginning. */
    expired: 0,
    /** Occurrences after which an id is learned. */
    admission: 0,
  };

  constructor(table: VectorRows, shape: EmbeddingShape, options: EmbeddingOptions) {
    const { width, rowsMax, ids = ownRows } = shape;
    this.#table = table;
    this.#width = width;
    this.#perId = ids.perId;
    this.#options = options;
    this.#marks.admission = options.admission;
    this.#recycled = ids instanceof RowIndex ? new RecycledRows(ids) : null;
    this.#rows = new Uint32Array(rowsMax * ids.perId);
    this.#sums = new Float32Array(rowsMax * ids.perId * width);
    this.#zeros = new Float32Array(sweptRows * width);
  }

  /** Rows that expiry has set back since the beginning. */
  get expired(): number {
    return this.#marks.expired;
  }

  /** All state but the table's. */
  save(): (Uint8Array | Uint32Array | Float64Array)[] {
    return [this.#seen, this.#seenAt, Uint32Array.from(this.#touched), packNumbers(this.#marks)];
  }

  /** Takes the bytes of what `save` gave. */
  restore([seen, seenAt, touched, marks]: readonly Uint8Array[]): void {
    this.#seen = seen!.slice();
    this.#seenAt = new Uint32Array(seenAt!.slice().buffer);
    this.#touched.clear();
    for (const row of new Uint32Array(touched!.slice().buffer)) this.#touched.add(row);
    unpackNumbers(new Float64Array(marks!.slice().buffer), this.#marks);
  }

  /** Who has which row, where they are handed out: none elsewhere. */
  saveOwners(): Uint32Array[] {
    return this.#recycled?.save() ?? [];
  }

  /** Arrays of `saveOwners`. */
  get ownerColumns(): number {
    return this.#recycled === null ? 0 : recycledColumns;
  }

  restoreOwners(columns: readonly Uint8Array[]): void {
    this.#recycled?.restore(columns);
    this.#moved.clear();
    this.#handedOut = [];
  }

  /** Rows that changed since the last call, and ids that have another row or none. */
  takeTouched(): { readonly rows: Uint32Array; readonly ids: Uint32Array } {
    const touched = { rows: Uint32Array.from(this.#touched), ids: Uint32Array.from(this.#moved) };
    this.#touched.clear();
    this.#moved.clear();
    return touched;
  }

  /** Rows given since the last call to ids that had none: what they held before was others'. */
  takeHandedOut(): Uint32Array {
    const rows = Uint32Array.from(this.#handedOut);
    this.#handedOut = [];
    return rows;
  }

  /** Occurrences since the last call of ids that were admitted and found no row. */
  takeWaiting(): number {
    const waiting = this.#waiting;
    this.#waiting = 0;
    return waiting;
  }

  /** Sets all rows back to zeros, and their counts: as if none had occurred. */
  forget(): void {
    for (let from = 0; from < this.#seen.length; from += sweptRows) this.#setBack(from, Infinity);
  }

  apply(batch: EmbeddingBatch): void {
    if (this.#width === 0) return;
    const count = this.#collect(batch);
    this.#expire(batch.timeMs);
    if (count > 0) this.#table.applyAdagrad(this.#rows, count, this.#sums, this.#options);
  }

  #expire(timeMs: number): void {
    const { expiryMs } = this.#options;
    if (expiryMs === Infinity) return;
    const before = Math.floor((timeMs - expiryMs) / hourMs);
    const from = this.#marks.next % this.#seen.length;
    this.#marks.expired += this.#setBack(from, before);
    this.#marks.next = Math.min(this.#seen.length, from + sweptRows);
  }

  /** Sets back those of `sweptRows` keys that have not occurred since an hour; how many rows. */
  #setBack(from: number, beforeHour: number): number {
    const to = Math.min(this.#seen.length, from + sweptRows);
    const old: number[] = [];
    for (let key = from; key < to; key++) {
      if (this.#seen[key]! === 0 || this.#seenAt[key]! >= beforeHour) continue;
      this.#seen[key] = 0;
      const row = this.#recycled === null ? key : this.#recycled.giveBack(key);
      if (row === noRow) continue;
      if (this.#recycled !== null) this.#moved.add(key);
      old.push(row);
    }
    this.#empty(old);
    return old.length;
  }

  #empty(rows: readonly number[]): void {
    for (const row of rows) this.#touched.add(row);
    if (rows.length > 0) this.#table.initialise(Uint32Array.from(rows), rows.length, this.#zeros);
  }

  /** The row to learn for a key that is admitted; `noRow` where none is to be had. */
  #rowOf(key: number, hour: number): number {
    const recycled = this.#recycled;
    if (recycled === null) return key;
    const known = recycled.rowOf(key);
    if (known !== noRow) return known;
    const taken = recycled.take(key, hour, (id) => this.#seenAt[id] ?? 0);
    if (taken === null) {
      this.#waiting++;
      return noRow;
    }
    this.#moved.add(key);
    if (taken.from !== noRow) this.#moved.add(taken.from);
    this.#handedOut.push(taken.row);
    this.#empty([taken.row]);
    return taken.row;
  }

  #collect(batch: EmbeddingBatch): number {
    const hour = Math.max(0, Math.floor(batch.timeMs / hourMs));
    this.#slots.clear();
    const perId = this.#perId;
    for (let at = 0; at < batch.count * perId; at++) {
      const key = batch.keys[at]!;
      if (key === noRow || this.#count(key, hour) <= this.#marks.admission) continue;
      const row = this.#rowOf(key, hour);
      if (row === noRow) continue;
      const gradient = {
        width: this.#width,
        r: Math.floor(at / perId),
        scale: batch.scale / perId,
      };
      addRow(this.#sums, this.#slotOf(row), batch.gradients, gradient);
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

  /** How often the key stood in a batch, this time included, saturating. */
  #count(key: number, hour: number): number {
    if (key >= this.#seen.length) {
      const length = 2 ** Math.ceil(Math.log2(key + 1));
      const seen = new Uint8Array(length);
      const seenAt = new Uint32Array(length);
      seen.set(this.#seen);
      seenAt.set(this.#seenAt);
      this.#seen = seen;
      this.#seenAt = seenAt;
    }
    this.#seenAt[key] = hour;
    const count = Math.min(seenMax, this.#seen[key]! + 1);
    this.#seen[key] = count;
    return count;
  }
}

function addRow(
  sums: Float32Array,
  slot: number,
  gradients: Float32Array,
  { width, r, scale }: { width: number; r: number; scale: number },
): void {
  for (let j = 0; j < width; j++) {
    sums[slot * width + j]! += scale * gradients[r * width + j]!;
  }
}
