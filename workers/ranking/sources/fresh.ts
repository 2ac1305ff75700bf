import { limits } from "../../../models/limits.ts";
import { RowScores } from "../../../models/recall/row-scores.ts";
import type { ListTable } from "./list-table.ts";
import type { RecallColumns, RecallQuery, RecallSource } from "./query.ts";

const categoriesMax = 4;

/**
 * Items that came last. Half of the quota goes to the user's preferred categories in equal parts,
 * the rest to all: a new item must be able to find its first users anywhere.
 */
export class FreshSource implements RecallSource {
  readonly name = "fresh";
  readonly #table: ListTable;
  readonly #records = new Uint32Array(limits.listItemsMax);
  readonly #taken = new RowScores(1 << 13);

  constructor(table: ListTable) {
    this.#table = table;
  }

  recall(query: RecallQuery, quota: number, out: RecallColumns): number {
    this.#taken.clear();
    const wanted = Math.min(quota, limits.candidatesMax);
    const known = query.categories.findIndex((category) => category < 0);
    const categories = Math.min(known < 0 ? query.categories.length : known, categoriesMax);
    let count = 0;
    for (let c = 0; c < categories; c++) {
      const end = Math.floor((wanted * (c + 1)) / (2 * categories));
      count = this.#take(1 + query.categories[c], { from: count, end }, out);
    }
    return this.#take(0, { from: count, end: wanted }, out);
  }

  /** Newest first; the newest of a list scores 1, the next a little less. */
  #take(row: number, places: { from: number; end: number }, out: RecallColumns): number {
    const length = this.#table.read(row, this.#records);
    let count = places.from;
    for (let i = length - 1; i >= 0 && count < places.end; i--) {
      const item = this.#records[i];
      if (this.#taken.has(item)) continue;
      this.#taken.add(item, 1);
      out.rows[count] = item;
      out.scores[count++] = 1 / (length - i);
    }
    return count;
  }
}
