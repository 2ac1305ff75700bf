import { limits } from "../../../models/limits.ts";
import type { ListTable } from "./list-table.ts";
import type { RecallColumns, RecallQuery, RecallSource } from "./query.ts";

const words = 2;

/** What trends over all users, best first: the list as the windows role wrote it. */
export class TrendingSource implements RecallSource {
  readonly name = "trending";
  readonly #table: ListTable;
  readonly #records = new Uint32Array(limits.listItemsMax * words);
  readonly #bits = new Float32Array(this.#records.buffer);

  constructor(table: ListTable) {
    this.#table = table;
  }

  recall(_query: RecallQuery, quota: number, out: RecallColumns): number {
    const count = Math.min(quota, this.#table.read(0, this.#records));
    for (let i = 0; i < count; i++) {
      out.rows[i] = this.#records[words * i];
      out.scores[i] = Math.max(0, this.#bits[words * i + 1]);
    }
    return count;
  }
}
