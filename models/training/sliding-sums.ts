import { assert } from "../core/assert.ts";

/**
 * Sums over the latest batches: each entry is one batch's sums, the first of them how many pairs it
 * has. Kept are the fewest latest batches that together have at least `window` pairs.
 */
export class SlidingSums {
  readonly columns: number;
  readonly #window: number;
  #entries: Float64Array[] = [];

  constructor(columns: number, window: number) {
    this.columns = columns;
    this.#window = window;
  }

  add(entry: Float64Array): void {
    assert(entry.length === this.columns, "an entry has every column");
    this.#entries.push(entry);
    let pairs = this.total(0);
    while (pairs - this.#entries[0]![0]! >= this.#window) pairs -= this.#entries.shift()![0]!;
  }

  total(column: number): number {
    let sum = 0;
    for (const entry of this.#entries) sum += entry[column]!;
    return sum;
  }

  /** The same over the fewest latest batches that have at least `pairs` pairs. */
  latest(column: number, pairs: number): number {
    let sum = 0;
    let seen = 0;
    for (let i = this.#entries.length - 1; i >= 0 && seen < pairs; i--) {
      sum += this.#entries[i]![column]!;
      seen += this.#entries[i]![0]!;
    }
    return sum;
  }

  clear(): void {
    this.#entries = [];
  }

  /** Changes every entry in place. */
  forEach(change: (entry: Float64Array) => void): void {
    for (const entry of this.#entries) change(entry);
  }

  /** All entries, one after another. */
  save(): Float64Array {
    const out = new Float64Array(this.#entries.length * this.columns);
    for (const [i, entry] of this.#entries.entries()) out.set(entry, i * this.columns);
    return out;
  }

  restore(saved: Float64Array): void {
    const count = saved.length / this.columns;
    const entryAt = (i: number) => saved.slice(i * this.columns, (i + 1) * this.columns);
    this.#entries = Array.from({ length: count }, (_, i) => entryAt(i));
  }
}
