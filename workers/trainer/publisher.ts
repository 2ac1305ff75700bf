import { noRow } from "../../models/core/bytes.ts";
import type { EmbeddingTable, ModelSlots } from "../../native/index.ts";

export interface PublisherOptions {
  readonly slots: ModelSlots;
  readonly users: EmbeddingTable;
  readonly items: EmbeddingTable;
}

/** What is published: its parameters and the form that serving multiplies with. */
export interface SlotFiller {
  fillSlot(slot: Float32Array): void;
}

/** Rows of the two tables that changed since they were last published. */
interface Touched {
  users: Set<number>;
  items: Set<number>;
}

/**
 * Makes trained weights live in two steps: fills a free slot, which can be judged there, then
 * writes the changed embedding rows under the new version and flips the one pointer. While someone
 * still pins a version older than the current one, a row's older value is theirs, so the publish is
 * left out and its rows go with the next.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  #touched: Touched = { users: new Set(), items: new Set() };

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  touch(rows: { users: Uint32Array; items: Uint32Array }): void {
    for (const row of rows.users) if (row !== noRow) this.#touched.users.add(row);
    for (const row of rows.items) if (row !== noRow) this.#touched.items.add(row);
  }

  /** Every row goes with the next publish: after a restore. */
  touchAll(): void {
    const { users, items } = this.#options;
    for (let row = 0; row < users.usedRows; row++) this.#touched.users.add(row);
    for (let row = 0; row < items.usedRows; row++) this.#touched.items.add(row);
  }

  /** The slot that now holds the model; -1 where a pin leaves none. */
  fill(model: SlotFiller): number {
    const { slots } = this.#options;
    const slot = slots.acquire();
    if (slot < 0 || slots.oldestPinnedVersion() < slots.current().version) return -1;
    model.fillSlot(slots.weights(slot));
    return slot;
  }

  /** Makes a slot from `fill` live, with the changed rows. `version` is larger than any before. */
  flip(slot: number, version: number): void {
    const { slots, users, items } = this.#options;
    // Rows first: a reader that pins the new version must find them all.
    const { users: userRows, items: itemRows } = this.#touched;
    users.publish(Uint32Array.from(userRows), userRows.size, version);
    items.publish(Uint32Array.from(itemRows), itemRows.size, version);
    slots.publish(slot, version);
    this.#touched = { users: new Set(), items: new Set() };
  }
}
