import type { CategoryPrior } from "./catalog.ts";
import type { CompiledScope, RawRows, ValueTarget } from "./window-values.ts";

/** A category's own rate is drawn to the definition's by so many impressions. */
export const categoryPriorWeight = 10;

/**
 * Rates of items and of user x category, smoothed towards the rate of their category instead of a
 * fixed one: what is common to the category is known early, and a feed whose rates are far from
 * the definition's guess is not misled by it (empirical Bayes; Efron and Morris 1975).
 */
export class CategoryRates {
  readonly #scope: CompiledScope;
  readonly #priors: readonly CategoryPrior[];
  /** [prior][distinct category]. */
  #rates = new Float64Array(0);
  #stride = 0;

  constructor(scope: CompiledScope) {
    this.#scope = scope;
    this.#priors = scope.towardsCategory;
  }

  /** Takes in the categories' counters: rates over their whole life. */
  take({ counts, rows, cells }: RawRows): void {
    const priors = this.#priors;
    if (this.#rates.length < priors.length * rows) {
      this.#rates = new Float64Array(priors.length * rows);
    }
    this.#stride = rows;
    for (let k = 0; k < priors.length; k++) {
      const { rate, hitCell, shownCell } = priors[k];
      for (let c = 0; c < rows; c++) {
        const hits = counts[c * cells + hitCell];
        const shown = Math.max(hits, counts[c * cells + shownCell]);
        const prior = categoryPriorWeight;
        this.#rates[k * rows + c] = (hits + prior * rate) / (shown + prior);
      }
    }
  }

  /** Row i of `own` belongs to distinct category i. */
  writePairs(own: RawRows, target: ValueTarget): void {
    for (let k = 0; k < this.#priors.length; k++) {
      for (let c = 0; c < own.rows; c++) {
        this.#write({ k, row: c, rate: this.#rates[k * this.#stride + c] }, own, target);
      }
    }
  }

  /** `slots`: for each row of `own` `perItem` indexes of distinct categories, -1 ends them. */
  writeItems(own: RawRows, slots: Int32Array, perItem: number, target: ValueTarget): void {
    for (let k = 0; k < this.#priors.length; k++) {
      const from = k * this.#stride;
      for (let i = 0; i < own.rows; i++) {
        let sum = 0;
        let known = 0;
        for (let at = i * perItem; known < perItem && slots[at] >= 0; at++, known++) {
          sum += this.#rates[from + slots[at]];
        }
        const rate = known === 0 ? this.#priors[k].rate : sum / known;
        this.#write({ k, row: i, rate }, own, target);
      }
    }
  }

  /** log((hits + w p) / (misses + w (1 - p))); more hits than impressions count as no miss. */
  #write(at: { k: number; row: number; rate: number }, own: RawRows, target: ValueTarget) {
    const { feature, weight } = this.#priors[at.k];
    const start = at.row * own.cells;
    const hits = own.counts[start + this.#scope.cells[feature]];
    const shown = own.counts[start + this.#scope.impressionCells[feature]];
    const misses = shown > hits ? shown - hits : 0;
    const odds = (hits + weight * at.rate) / (misses + weight * (1 - at.rate));
    target.out[target.at + feature + at.row * target.stride] = Math.log(odds);
  }
}
