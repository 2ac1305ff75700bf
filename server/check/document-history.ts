import { hash128 } from "../../models/core/bytes.ts";
import { decodeDocument } from "../../models/core/event.ts";
import { Fault } from "../../models/core/schema.ts";
import { limits } from "../../models/limits.ts";
import { type LogBatch, recordOf } from "../../workers/stores/event-log.ts";
import { itemDocument } from "../ingest/document-schemas.ts";

/** What an item's document means for features. */
export interface PlainAttributes {
  /** Rows, in the document's order. */
  readonly categories: readonly number[];
  readonly publishedAtMs: number;
  readonly durationSeconds: number;
  readonly author: number;
}

interface Version extends PlainAttributes {
  readonly offset: number;
}

export const noAttributes: PlainAttributes = {
  ...{ categories: [], publishedAtMs: 0, durationSeconds: 0, author: 0 },
};

/** Every version of every item's attributes, by the offset of its change in topic `items`. */
export class DocumentHistory {
  readonly #versions = new Map<number, Version[]>();
  /** Rows in the order in which names first appear in the topic. */
  readonly #categories = new Map<string, number>();

  take(batch: LogBatch): void {
    for (let i = 0; i < batch.count; i++) {
      const { kind, operation, row, json } = decodeDocument(recordOf(batch, i));
      if (kind !== "item") continue;
      const attributes = operation === "put" ? this.#attributesOf(json) : noAttributes;
      const versions = this.#versions.get(row) ?? [];
      this.#versions.set(row, versions);
      versions.push({ ...attributes, offset: batch.firstOffset + i });
    }
  }

  /** As of the changes before `offset`. */
  at(row: number, offset: number): PlainAttributes {
    return this.#versions.get(row)?.findLast((one) => one.offset < offset) ?? noAttributes;
  }

  /** Whether a change of the item stands from `from` to before `to`. */
  changed(row: number, from: number, to: number): boolean {
    if (from >= to) return false;
    return this.#versions.get(row)?.some(({ offset }) => offset >= from && offset < to) ?? false;
  }

  #attributesOf(json: string): PlainAttributes {
    const document = itemDocument.read(JSON.parse(json));
    if (document instanceof Fault) return noAttributes;
    const rows = [...new Set(document.categories ?? [])]
      .slice(0, limits.itemCategoriesMax)
      .map((name) => this.#categoryRow(name))
      .filter((row) => row >= 0);
    return {
      categories: rows,
      publishedAtMs: document.publishedAt ?? 0,
      durationSeconds: Math.fround(document.durationSeconds ?? 0),
      author: document.author === undefined ? 0 : hash128(document.author)[0],
    };
  }

  /** -1 once there are too many. */
  #categoryRow(name: string): number {
    const known = this.#categories.get(name);
    if (known !== undefined) return known;
    if (this.#categories.size >= limits.categoriesMax) return -1;
    this.#categories.set(name, this.#categories.size);
    return this.#categories.size - 1;
  }
}
