import { limits } from "../../../models/limits.ts";
import { RowScores } from "../../../models/recall/row-scores.ts";
import { TopRows } from "../../../models/recall/top-rows.ts";
import type { ListTable } from "./list-table.ts";
import type { RecallColumns, RecallQuery, RecallSource } from "./query.ts";

const words = 2;
/** More categories than this say little about the user. */
const categoriesMax = 8;
/** How much less each further category counts. */
const fade = 0.85;

/** What trends in the categories that the user prefers; better categories weigh more. */
export class CategoryTrendingSource implements RecallSource {
  readonly name = "categoryTrending";
  readonly #table: ListTable;
  readonly #records = new Uint32Array(limits.listItemsMax * words);
  readonly #bits = new Float32Array(this.#records.buffer);
  readonly #scores = new RowScores(1 << 13);
  readonly #top = new TopRows(limits.candidatesMax);

  constructor(table: ListTable) {
    this.#table = table;
  }

  recall(query: RecallQuery, quota: number, out: RecallColumns): number {
    this.#scores.clear();
    let weight = 1;
    for (let c = 0; c < Math.min(query.categories.length, categoriesMax); c++) {
      const category = query.categories[c];
      if (category < 0) break;
      const count = this.#table.read(1 + category, this.#records);
      for (let i = 0; i < count; i++) {
        const score = Math.max(0, this.#bits[words * i + 1]);
        // Without clicks yet the order of the list is all there is.
        this.#scores.add(this.#records[words * i], weight * (score + 1e-6 / (1 + i)));
      }
      weight *= fade;
    }
    this.#top.begin(Math.min(quota, limits.candidatesMax));
    this.#scores.offerTo(this.#top);
    return this.#top.drain(out.rows, out.scores);
  }
}
