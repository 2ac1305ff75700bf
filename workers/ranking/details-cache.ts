import { LRUCache } from "lru-cache";
import { isRecord } from "../../models/core/schema.ts";
import type { DocumentStore } from "../stores/document-store.ts";
import type { ItemDocument } from "./feed-context.ts";
import type { Metrics } from "./state.ts";

/** An item without a document is remembered too. */
const none: ItemDocument = Object.freeze({});

/**
 * Parsed item documents by row, most recently used kept. What changed must be dropped: a lookup
 * that was under way when something was dropped is answered but not kept.
 */
export class DetailsCache {
  readonly #cache: LRUCache<number, ItemDocument>;
  readonly #store: Pick<DocumentStore, "getMany">;
  readonly #metrics: Metrics;
  #drops = 0;

  constructor(options: {
    store: Pick<DocumentStore, "getMany">;
    entriesMax: number;
    metrics: Metrics;
  }) {
    this.#store = options.store;
    this.#metrics = options.metrics;
    this.#cache = new LRUCache({ max: options.entriesMax });
  }

  drop(rows: readonly number[]): void {
    this.#drops++;
    for (const row of rows) this.#cache.delete(row);
  }

  /**
   * Puts the documents of `rows` into `out`, null where there is none. Undefined when all were at
   * hand. The hit rate counts what the answer asks for, not what is fetched on suspicion.
   */
  load(
    rows: readonly number[],
    out: Map<number, ItemDocument | null>,
    purpose: "answer" | "prefetch",
  ): undefined | Promise<void> {
    const missing: number[] = [];
    for (const row of rows) {
      if (out.has(row)) continue;
      const found = this.#cache.get(row);
      if (found === undefined) missing.push(row);
      else out.set(row, found === none ? null : found);
    }
    if (purpose === "answer") this.#count(rows.length, missing.length);
    return missing.length === 0 ? undefined : this.#fetch(missing, out);
  }

  #count(asked: number, missing: number): void {
    this.#metrics.add("rec_ranking_details_hits_total", asked - missing);
    this.#metrics.add("rec_ranking_details_misses_total", missing);
  }

  async #fetch(rows: readonly number[], out: Map<number, ItemDocument | null>): Promise<void> {
    const drops = this.#drops;
    const stored = await this.#store.getMany("item", rows);
    rows.forEach((row, i) => {
      const document = parsed(stored[i]?.json);
      out.set(row, document);
      if (drops === this.#drops) this.#cache.set(row, document ?? none);
    });
  }
}

function parsed(json: string | undefined): ItemDocument | null {
  if (json === undefined) return null;
  const value: unknown = JSON.parse(json);
  return isRecord(value) ? value : null;
}
