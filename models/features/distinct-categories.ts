import { limits } from "../limits.ts";

const perItem = limits.itemCategoriesMax;

/**
 * The distinct categories of a set of items, found in one pass. `rows[0 .. distinct]` are category
 * rows in order of first appearance; `slots` has itemCategoriesMax entries an item, indexes into
 * `rows`, -1 from the first missing category on. At most `slots.length` distinct rows come out.
 */
export class DistinctCategories {
  readonly rows: Int32Array;
  readonly slots: Int32Array;
  distinct = 0;
  /** Slot + 1 by category row; cleared by walking `rows`, so a call costs what it finds. */
  readonly #slotOf: Uint16Array;

  constructor(options: { itemsMax: number; categoriesMax?: number }) {
    this.rows = new Int32Array(options.itemsMax * perItem);
    this.slots = new Int32Array(options.itemsMax * perItem);
    this.#slotOf = new Uint16Array(options.categoriesMax ?? limits.categoriesMax);
  }

  /** `categories` has itemCategoriesMax rows an item, -1 where there is none. */
  find(categories: Int32Array, count: number): void {
    for (let i = 0; i < this.distinct; i++) this.#slotOf[this.rows[i]] = 0;
    this.distinct = 0;
    for (let item = 0; item < count; item++) {
      const from = item * perItem;
      let to = from;
      for (let i = from; i < from + perItem; i++) {
        if (categories[i] >= 0) this.slots[to++] = this.#slot(categories[i]);
      }
      while (to < from + perItem) this.slots[to++] = -1;
    }
  }

  #slot(row: number): number {
    if (this.#slotOf[row] === 0) {
      this.rows[this.distinct++] = row;
      this.#slotOf[row] = this.distinct;
    }
    return this.#slotOf[row] - 1;
  }
}
