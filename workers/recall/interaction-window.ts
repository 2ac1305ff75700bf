import { assert } from "../../models/core/assert.ts";
import { bytesOf } from "../../models/core/bytes.ts";
import type { Histories } from "../../models/recall/histories.ts";
import type { SlicedBytes } from "../stores/checkpoint-store.ts";

/** Pairs oldest first. */
export interface SavedInteractions {
  readonly users: Int32Array;
  readonly items: Int32Array;
}

/**
 * The last positive interactions of all users in the order of the log: a ring of (user, item)
 * pairs, so memory is bounded whatever comes in.
 */
export class InteractionWindow {
  readonly capacity: number;
  #users = new Int32Array(1_024);
  #items = new Int32Array(1_024);
  /** Items by user, for `histories`. */
  #grouped = new Int32Array(0);
  #next = 0;
  #total = 0;
  #lastUser = -1;
  #lastItem = -1;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** Pairs that are held. */
  get size(): number {
    return Math.min(this.#total, this.capacity);
  }

  /** Pairs that ever came in; tells whether there is something new. */
  get total(): number {
    return this.#total;
  }

  add(userRow: number, itemRow: number): void {
    if (this.#next === this.#users.length && this.#next < this.capacity) this.#grow();
    if (this.#next === this.capacity) this.#next = 0;
    this.#users[this.#next] = userRow;
    this.#items[this.#next++] = itemRow;
    this.#total++;
    if (userRow > this.#lastUser) this.#lastUser = userRow;
    if (itemRow > this.#lastItem) this.#lastItem = itemRow;
  }

  #grow(): void {
    const length = Math.min(this.capacity, 2 * this.#users.length);
    const longer = (old: Int32Array) => {
      const next = new Int32Array(length);
      next.set(old);
      return next;
    };
    this.#users = longer(this.#users);
    this.#items = longer(this.#items);
  }

  /** The ranges of the ring that hold pairs, oldest first. */
  #ranges(): (readonly [number, number])[] {
    const isFull = this.#total > this.capacity;
    return isFull
      ? [
          [this.#next, this.capacity],
          [0, this.#next],
        ]
      : [[0, this.size]];
  }

  /** What `restore` takes, as bytes in place: good until the next pair comes in. */
  save(): Readonly<Record<keyof SavedInteractions, SlicedBytes>> {
    const inPlace = (ring: Int32Array): SlicedBytes => ({
      byteLength: 4 * this.size,
      slices: () => this.#ranges().map(([from, to]) => bytesOf(ring.subarray(from, to))),
    });
    return { users: inPlace(this.#users), items: inPlace(this.#items) };
  }

  restore({ users, items }: SavedInteractions): void {
    assert(this.#total === 0, "restored before anything came in");
    for (let i = 0; i < users.length; i++) this.add(users[i], items[i]);
  }

  /**
   * Each user's last `perUserMax` distinct items. `itemRows` at least: rows that may come. The
   * items are good until the next call: their buffer, the largest of a rebuild, is used again.
   */
  histories(perUserMax: number, itemRows: number): Histories {
    const users = this.#lastUser + 1;
    const rows = Math.max(itemRows, this.#lastItem + 1);
    const starts = this.#groupByUser(users);
    const grouped = this.#grouped;
    const offsets = new Uint32Array(users + 1);
    const seenBy = new Int32Array(rows).fill(-1);
    let written = 0;
    for (let user = 0; user < users; user++) {
      // From the newest back, so that the cap and the first sight keep the newest. What is kept is
      // written behind what is still to be read, then moved to the end of the users before.
      let kept = starts[user + 1];
      for (let at = kept - 1; at >= starts[user]; at--) {
        if (starts[user + 1] - kept === perUserMax) break;
        const item = grouped[at];
        if (seenBy[item] === user) continue;
        seenBy[item] = user;
        grouped[--kept] = item;
      }
      const length = starts[user + 1] - kept;
      grouped.copyWithin(written, kept, kept + length);
      written += length;
      offsets[user + 1] = written;
    }
    return { users, itemRows: rows, offsets, items: grouped.subarray(0, written) };
  }

  /** A stable counting sort into `#grouped`: each user's items side by side, oldest first. */
  #groupByUser(userCount: number): Uint32Array {
    const starts = new Uint32Array(userCount + 1);
    const count = this.size;
    for (let i = 0; i < count; i++) starts[this.#users[i] + 1]++;
    for (let user = 0; user < userCount; user++) starts[user + 1] += starts[user];
    const next = starts.slice();
    if (this.#grouped.length < count) this.#grouped = new Int32Array(this.#users.length);
    for (const [from, to] of this.#ranges()) {
      for (let i = from; i < to; i++) this.#grouped[next[this.#users[i]]++] = this.#items[i];
    }
    return starts;
  }
}
