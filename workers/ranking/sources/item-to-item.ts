import { limits } from "../../../models/limits.ts";
import type { InteractionWeights } from "../../../models/recall/interaction-weights.ts";
import { RowScores } from "../../../models/recall/row-scores.ts";
import { TopRows } from "../../../models/recall/top-rows.ts";
import type { RecallColumns, RecallQuery, RecallSource } from "./query.ts";
import { writeRecentWeights } from "./recent-weights.ts";

/** Places for the neighbours of 100 recent items, 100 each, at most three quarters full. */
const places = 1 << 15;

/** Neighbours of what the user took to of late, summed; the recent items are left out. */
export class ItemToItemSource implements RecallSource {
  readonly name = "itemToItem";
  readonly #weights: InteractionWeights;
  readonly #recent = new Float32Array(limits.recentItemsMax);
  readonly #scores = new RowScores(places);
  readonly #top = new TopRows(limits.candidatesMax);

  constructor(weights: InteractionWeights) {
    this.#weights = weights;
  }

  recall(query: RecallQuery, quota: number, out: RecallColumns): number {
    const table = query.generation?.itemToItem;
    if (table === undefined) return 0;
    writeRecentWeights(query, this.#weights, this.#recent);
    this.#scores.clear();
    for (let i = 0; i < query.recentCount; i++) {
      const item = query.recentItems[i];
      const weight = this.#recent[i];
      // Minus infinity stays so whatever is added: a seen item is never its own suggestion.
      if (weight > 0) this.#scores.add(item, Number.NEGATIVE_INFINITY);
      if (weight <= 0 || item < 0 || item >= table.rows) continue;
      const end = (item + 1) * table.perItem;
      for (let at = item * table.perItem; at < end && table.neighbours[at] >= 0; at++) {
        this.#scores.add(table.neighbours[at], weight * table.weights[at]);
      }
    }
    this.#top.begin(Math.min(quota, limits.candidatesMax));
    this.#scores.offerTo(this.#top);
    return this.#top.drain(out.rows, out.scores);
  }
}
