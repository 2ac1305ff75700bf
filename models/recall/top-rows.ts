import { assert } from "../core/assert.ts";

/**
 * The best `capacity` (row, score) pairs of many: a binary heap in two columns with the worst on
 * top, so that nearly all offers cost one comparison. Ties go to the lower row, so that runs
 * repeat. Reused without allocating.
 */
export class TopRows {
  readonly #rows: Int32Array;
  readonly #scores: Float32Array;
  #size = 0;
  #limit: number;

  constructor(capacity: number) {
    this.#rows = new Int32Array(capacity);
    this.#scores = new Float32Array(capacity);
    this.#limit = capacity;
  }

  get size(): number {
    return this.#size;
  }

  /** Empties it; keeps at most `limit` from now on. */
  begin(limit: number): void {
    assert(limit >= 0 && limit <= this.#rows.length, "limit within the capacity");
    this.#size = 0;
    this.#limit = limit;
  }

  offer(row: number, score: number): void {
    if (this.#size < this.#limit) {
      this.#rise(this.#size++, row, Math.fround(score));
    } else if (this.#limit > 0 && this.#worse(0, row, Math.fround(score))) {
      this.#sink(this.#size, row, Math.fround(score));
    }
  }

  /** Writes best first from `at` and empties it; gives how many. */
  drain(rows: Int32Array, scores: Float32Array, at = 0): number {
    const count = this.#size;
    for (let place = at + count - 1; place >= at; place--) {
      rows[place] = this.#rows[0];
      scores[place] = this.#scores[0];
      this.#size--;
      this.#sink(this.#size, this.#rows[this.#size], this.#scores[this.#size]);
    }
    return count;
  }

  /** Is what stands at `place` worse than (row, score)? */
  #worse(place: number, row: number, score: number): boolean {
    const held = this.#scores[place];
    return held < score || (held === score && this.#rows[place] > row);
  }

  #rise(from: number, row: number, score: number): void {
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (this.#worse(parent, row, score)) break;
      this.#rows[place] = this.#rows[parent];
      this.#scores[place] = this.#scores[parent];
      place = parent;
    }
    this.#rows[place] = row;
    this.#scores[place] = score;
  }

  /** Puts (row, score) at the top of a heap of `size` and lets it sink. */
  #sink(size: number, row: number, score: number): void {
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= size) break;
      const right = child + 1;
      if (right < size && this.#worse(right, this.#rows[child], this.#scores[child])) child = right;
      if (!this.#worse(child, row, score)) break;
      this.#rows[place] = this.#rows[child];
      this.#scores[place] = this.#scores[child];
      place = child;
    }
    if (size === 0) return;
    this.#rows[place] = row;
    this.#scores[place] = score;
  }
}
