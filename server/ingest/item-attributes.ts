import { hash128 } from "../../models/core/bytes.ts";
import { limits } from "../../models/limits.ts";
import type { ItemDocument } from "./document-schemas.ts";
import type { FreshLists, ItemAttributeSink, ItemAttributeValues, RowIds } from "./state.ts";

/** What an item's document means for shared memory: its attribute row and the fresh lists. */

export interface ItemMemoryOptions {
  readonly categories: RowIds;
  /** Rows of the category table; `limits.categoriesMax` unless a test says less. */
  readonly categoriesMax: number;
  readonly attributes: ItemAttributeSink;
  readonly fresh: FreshLists;
  /** Called for every category that found the table full. */
  readonly onFull?: () => void;
}

const noCategories = new Int32Array(limits.itemCategoriesMax).fill(-1);

const deletedItem: ItemAttributeValues = {
  categories: noCategories,
  publishedAtMs: 0,
  expiresAtMs: 0,
  durationSeconds: 0,
  hidden: false,
  deleted: true,
  known: false,
  authorHash: 0,
};

export class ItemMemory {
  readonly #options: ItemMemoryOptions;
  /** One bit an item: it is in the fresh lists already, so a repeated PUT adds nothing. */
  readonly #listed = new Uint8Array(limits.itemsMax >>> 3);
  readonly #record = new Uint32Array(1);

  constructor(options: ItemMemoryOptions) {
    this.#options = options;
  }

  /** Categories get rows here, in the order of the topic, so that a replay gives the same. */
  put(row: number, document: ItemDocument): void {
    const values = this.#valuesOf(document);
    this.#options.attributes.write(row, values);
    if (!values.hidden && this.#mark(row)) this.#pushFresh(row, values.categories);
  }

  remove(row: number): void {
    this.#options.attributes.write(row, deletedItem);
    this.#listed[row >>> 3]! &= ~(1 << (row & 7));
  }

  /** Which of the first `rows` items are in the fresh lists, eight a byte. */
  saveListed(rows: number): Uint8Array {
    return this.#listed.slice(0, (rows + 7) >>> 3);
  }

  restoreListed(bits: Uint8Array): void {
    this.#listed.set(bits);
  }

  /** True where the row was not marked before. */
  #mark(row: number): boolean {
    const bit = 1 << (row & 7);
    const before = this.#listed[row >>> 3]!;
    this.#listed[row >>> 3] = before | bit;
    return (before & bit) === 0;
  }

  #valuesOf(document: ItemDocument): ItemAttributeValues {
    const categories = noCategories.slice();
    const names = new Set(document.categories ?? []);
    let at = 0;
    for (const name of names) {
      if (at === categories.length) break;
      const category = this.#categoryRow(name);
      if (category >= 0) categories[at++] = category;
    }
    return {
      categories,
      publishedAtMs: document.publishedAt ?? 0,
      expiresAtMs: document.expiresAt ?? 0,
      durationSeconds: document.durationSeconds ?? 0,
      hidden: document.hidden ?? false,
      deleted: false,
      known: true,
      authorHash: document.author === undefined ? 0 : hash128(document.author)[0],
    };
  }

  /**
   * -1 once the table is full: the document is durable by now, so the item goes without, today
   * and in every replay.
   */
  #categoryRow(name: string): number {
    const { categories, categoriesMax, onFull } = this.#options;
    const known = categories.find(name);
    if (known >= 0 || categories.size < categoriesMax) return categories.intern(name);
    onFull?.();
    return -1;
  }

  #pushFresh(row: number, categories: Int32Array): void {
    this.#record[0] = row;
    this.#options.fresh.push(0, this.#record, -1);
    for (const category of categories) {
      if (category >= 0) this.#options.fresh.push(1 + category, this.#record, -1);
    }
  }
}
