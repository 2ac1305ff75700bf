import { noRow } from "../../models/core/bytes.ts";
import type { TouchedRows } from "../../models/training/trainer.ts";
import type { EmbeddingTable, ModelSlots } from "../../native/index.ts";

/** What is published beside the weights; an index where rows are handed out. */
export interface PublishedTables {
  readonly users: EmbeddingTable;
  readonly items: EmbeddingTable;
  readonly userIndex?: EmbeddingTable;
  readonly itemIndex?: EmbeddingTable;
}

const tableNames = ["users", "items", "userIndex", "itemIndex"] as const;

/** What is published: its parameters and the form that serving multiplies with. */
export interface SlotFiller {
  fillSlot(slot: Float32Array): void;
}

/**
 * Makes trained weights live in two steps: fills a free slot, which can be judged there, then
 * writes the changed embedding rows under the new version and flips the one pointer. While someone
 * still pins a version older than the current one, a row's older value is theirs, so the publish is
 * left out and its rows go with the next.
 */
export class Publisher {
  readonly #slots: ModelSlots;
  /** Each with its rows that changed since they were last published. */
  readonly #tables: readonly {
    readonly name: (typeof tableNames)[number];
    readonly table: EmbeddingTable;
    readonly touched: Set<number>;
  }[];

  constructor(slots: ModelSlots, tables: PublishedTables) {
    this.#slots = slots;
    this.#tables = tableNames.flatMap((name) => {
      const table = tables[name];
      return table === undefined ? [] : [{ name, table, touched: new Set<number>() }];
    });
  }

  touch(rows: TouchedRows): void {
    for (const { name, touched } of this.#tables) {
      for (const row of rows[name]) if (row !== noRow) touched.add(row);
    }
  }

  /** Every row goes with the next publish: after a restore. */
  touchAll(): void {
    for (const { table, touched } of this.#tables) {
      for (let row = 0; row < table.usedRows; row++) touched.add(row);
    }
  }

  /** The slot that now holds the model; -1 where a pin leaves none. */
  fill(model: SlotFiller): number {
    const slots = this.#slots;
    const slot = slots.acquire();
    if (slot < 0 || slots.oldestPinnedVersion() < slots.current().version) return -1;
    model.fillSlot(slots.weights(slot));
    return slot;
  }

  /** Makes a slot from `fill` live, with the changed rows. `version` is larger than any before. */
  flip(slot: number, version: number): void {
    // Rows first: a reader that pins the new version must find them all.
    for (const { table, touched } of this.#tables) {
      table.publish(Uint32Array.from(touched), touched.size, version);
      touched.clear();
    }
    this.#slots.publish(slot, version);
  }
}
