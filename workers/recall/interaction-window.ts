import { assert } from "../../models/core/assert.ts";
import type { Histories } from "../../models/recall/histories.ts";

/** The saved form: pairs oldest first. */
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

  save(): SavedInteractions {
    const unroll = (ring: Int32Array) => {
      const out = new Int32Array(this.size);
      const from = this.#total > this.capacity ? this.#next : 0;
      out.set(ring.subarray(from, this.size));
      out.set(ring.subarray(0, from), this.size - from);
      return out;
    };
    return { users: unroll(this.#users), items: unroll(this.#items) };
  }

  restore({ users, items }: SavedInteractions): void {
    assert(this.#total === 0, "restored before anything came in");
    for (let i = 0; i < users.length; i++) this.add(users[i], items[i]);
  }

  /** Each user's last `perUserMax` distinct items. `itemRows` at least: rows that may come. */
  histories(perUserMax: number, itemRows: number): Histories {
    const { users, items } = this.save();
    const rows = Math.max(itemRows, this.#lastItem + 1);
    return lastItemsOf({ users, items }, { users: this.#lastUser + 1, itemRows: rows, perUserMax });
  }
}

function lastItemsOf(
  { users, items }: SavedInteractions,
  shape: { users: number; itemRows: number; perUserMax: number },
): Histories {
  const { starts, grouped } = groupByUser(users, items, shape.users);
  const offsets = new Uint32Array(shape.users + 1);
  const kept = new Int32Array(items.length);
  const seenBy = new Int32Array(shape.itemRows).fill(-1);
  let written = 0;
  for (let user = 0; user < shape.users; user++) {
    // From the newest back, so that the cap and the first sight keep the newest.
    const from = written;
    for (let at = starts[user + 1] - 1; at >= starts[user]; at--) {
      if (written - from === shape.perUserMax) break;
      const item = grouped[at];
      if (seenBy[item] === user) continue;
      seenBy[item] = user;
      kept[written++] = item;
    }
    reverse(kept, from, written);
    offsets[user + 1] = written;
  }
  return { users: shape.users, itemRows: shape.itemRows, offsets, items: kept.slice(0, written) };
}

/** A stable counting sort: each user's items side by side, oldest first. */
function groupByUser(
  users: Int32Array,
  items: Int32Array,
  userCount: number,
): { starts: Uint32Array; grouped: Int32Array } {
  const starts = new Uint32Array(userCount + 1);
  for (let i = 0; i < users.length; i++) starts[users[i] + 1]++;
  for (let user = 0; user < userCount; user++) starts[user + 1] += starts[user];
  const next = starts.slice();
  const grouped = new Int32Array(items.length);
  for (let i = 0; i < users.length; i++) grouped[next[users[i]]++] = items[i];
  return { starts, grouped };
}

function reverse(values: Int32Array, from: number, to: number): void {
  for (let low = from, high = to - 1; low < high; low++, high--) {
    const value = values[low];
    values[low] = values[high];
    values[high] = value;
  }
}
