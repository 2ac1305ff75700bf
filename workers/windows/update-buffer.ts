import { noRow } from "../../models/core/bytes.ts";
import type { Columns, PairRows, UpdateTable } from "./tables.ts";

/** What an update adds, and when. */
export interface Addition {
  counter: number;
  delta: number;
  timeMs: number;
  /** Of the next update; grows with each. */
  updateOffset: number;
}

/** Updates of one table, gathered so that a native call carries thousands. */
export class UpdateBuffer<Table extends UpdateTable> implements Columns {
  readonly rows: Uint32Array;
  readonly counters: Uint8Array;
  readonly deltas: Uint32Array;
  /** Of aggregates: what kind of value each is; 0 where `tag` says nothing else. */
  readonly sources: Uint8Array;
  readonly times: Float64Array;
  readonly offsets: Float64Array;
  count = 0;
  watermarkMs = 0;
  /** Rows that were ever touched: 0 .. rowsUsed - 1. */
  rowsUsed = 0;
  readonly table: Table;
  readonly #lateOut: Uint32Array;

  /** `late`: how many counts of what came too late the table gives. */
  constructor(table: Table, options: { capacity: number; late: number }) {
    const { capacity } = options;
    this.rows = new Uint32Array(capacity);
    this.counters = new Uint8Array(capacity);
    this.deltas = new Uint32Array(capacity);
    this.sources = new Uint8Array(capacity);
    this.times = new Float64Array(capacity);
    this.offsets = new Float64Array(capacity);
    this.table = table;
    this.#lateOut = new Uint32Array(options.late);
  }

  get isFull(): boolean {
    return this.count === this.rows.length;
  }

  /** There must be room. */
  add(row: number, what: Addition): void {
    const i = this.count++;
    this.rows[i] = row;
    this.counters[i] = what.counter;
    this.deltas[i] = what.delta;
    this.times[i] = what.timeMs;
    this.offsets[i] = what.updateOffset++;
    if (row >= this.rowsUsed) this.rowsUsed = row + 1;
  }

  /** The values of an aggregate's updates are its amounts, or rows. */
  get values(): Uint32Array {
    return this.deltas;
  }

  /** The last update is a value of this source. */
  tag(source: number, value: number): void {
    this.sources[this.count - 1] = source;
    this.deltas[this.count - 1] = value;
  }

  flush(watermarkMs: number): void {
    if (this.count === 0) return;
    this.watermarkMs = watermarkMs;
    this.table.apply(this, this.#lateOut);
    this.count = 0;
  }
}

/** Updates of pairs, whose rows are looked up when they are flushed, all at once. */
export class PairUpdateBuffer<Table extends UpdateTable> extends UpdateBuffer<Table> {
  /** Updates that found no room for a new pair. */
  refused = 0;
  readonly pairs: PairRows;
  readonly #users: Uint32Array;
  readonly #categories: Uint32Array;

  constructor(table: Table, pairs: PairRows, options: { capacity: number; late: number }) {
    super(table, options);
    this.pairs = pairs;
    this.#users = new Uint32Array(options.capacity);
    this.#categories = new Uint32Array(options.capacity);
  }

  /** There must be room. */
  addPair(user: number, category: number, what: Addition): void {
    this.#users[this.count] = user;
    this.#categories[this.count] = category;
    this.add(0, what);
  }

  override flush(watermarkMs: number): void {
    if (this.count === 0) return;
    const { pairs, rows, count } = this;
    const refused = pairs.internPairs(this.#users, this.#categories, count, rows);
    if (refused > 0) this.#dropRefused();
    this.refused += refused;
    this.rowsUsed = pairs.size;
    super.flush(watermarkMs);
  }

  #dropRefused(): void {
    let kept = 0;
    for (let i = 0; i < this.count; i++) {
      if (this.rows[i] === noRow) continue;
      this.rows[kept] = this.rows[i];
      this.counters[kept] = this.counters[i];
      this.deltas[kept] = this.deltas[i];
      this.sources[kept] = this.sources[i];
      this.times[kept] = this.times[i];
      this.offsets[kept] = this.offsets[i];
      kept++;
    }
    this.count = kept;
  }
}
