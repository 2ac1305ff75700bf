import { assert } from "../core/assert.ts";
import type { TopRows } from "./top-rows.ts";

/**
 * Sums of scores by row, for a few thousand rows of millions: an open-addressed table that is
 * cleared by walking what was used. Rows beyond three quarters of the places are left out.
 */
export class RowScores {
  readonly #keys: Int32Array;
  readonly #scores: Float32Array;
  readonly #used: Int32Array;
  readonly #mask: number;
  #count = 0;

  /** `places` is a power of two. */
  constructor(places: number) {
    assert((places & (places - 1)) === 0, "places are a power of two");
    this.#keys = new Int32Array(places).fill(-1);
    this.#scores = new Float32Array(places);
    this.#used = new Int32Array((places >> 2) * 3);
    this.#mask = places - 1;
  }

  clear(): void {
    for (let i = 0; i < this.#count; i++) this.#keys[this.#used[i]] = -1;
    this.#count = 0;
  }

  add(row: number, score: number): void {
    const place = this.#find(row);
    if (this.#keys[place] === row) {
      this.#scores[place] += score;
    } else if (this.#count < this.#used.length) {
      this.#keys[place] = row;
      this.#scores[place] = score;
      this.#used[this.#count++] = place;
    }
  }

  has(row: number): boolean {
    return this.#keys[this.#find(row)] === row;
  }

  /** Offers every row whose score is above 0. */
  offerTo(top: TopRows): void {
    for (let i = 0; i < this.#count; i++) {
      const place = this.#used[i];
      if (this.#scores[place] > 0) top.offer(this.#keys[place], this.#scores[place]);
    }
  }

  #find(row: number): number {
    let place = Math.imul(row, 0x9e3779b1) >>> 0;
    place = (place ^ (place >>> 15)) & this.#mask;
    while (this.#keys[place] !== -1 && this.#keys[place] !== row) place = (place + 1) & this.#mask;
    return place;
  }
}
