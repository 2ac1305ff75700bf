import type { ItemToItem } from "./generation.ts";
import { type Histories, invert, itemUsers } from "./histories.ts";
import { TopRows } from "./top-rows.ts";

export interface ItemToItemOptions {
  /** Neighbours kept per item. */
  readonly perItem: number;
  /** Weight of a user with n items: n ^ -userPower. */
  readonly userPower: number;
  readonly fromPower: number;
  readonly toPower: number;
  /** The whole weight is raised to this. */
  readonly sharpen: number;
  /** At most so many users of one item are walked (its last by row): bounds the hot items. */
  readonly usersPerItemMax: number;
}

/** Chosen by recall@20 on held-out items: active users must count for less. */
export const itemToItemDefaults: ItemToItemOptions = {
  perItem: 100,
  userPower: 0.7,
  fromPower: 0.5,
  toPower: 0.3,
  sharpen: 1.3,
  usersPerItemMax: 20_000,
};

/**
 * Item-to-item by co-occurrence: w(i -> j) = [sum over users of both n_u^-.7 / (n_i^.5
 * n_j^.3)]^1.3, n_u items of the user, n_i users of the item. (Weighting as in adaptive cosine
 * neighbourhoods, Aiolli, RecSys 2013.) Built in slices: `step` until it says true. Time is the
 * sum of squared history lengths, bounded by the cap on histories; memory is the result and
 * three words an item.
 */
export class ItemToItemBuilder {
  readonly #histories: Histories;
  readonly #options: ItemToItemOptions;
  readonly #inverse: { offsets: Uint32Array; users: Int32Array };
  readonly #userWeight: Float32Array;
  readonly #toScale: Float32Array;
  readonly #counts: Uint32Array;
  readonly #sums: Float32Array;
  readonly #touched: Int32Array;
  readonly #top: TopRows;
  readonly #result: ItemToItem;
  #next = 0;

  constructor(histories: Histories, options: ItemToItemOptions, out: ItemToItem) {
    this.#histories = histories;
    this.#options = options;
    this.#inverse = invert(histories);
    this.#userWeight = userWeights(histories, options.userPower);
    this.#counts = itemUsers(histories);
    this.#toScale = Float32Array.from(this.#counts, (n) => n ** -options.toPower);
    this.#sums = new Float32Array(histories.itemRows);
    this.#touched = new Int32Array(histories.itemRows);
    this.#top = new TopRows(options.perItem);
    this.#result = out;
    out.neighbours.fill(-1);
  }

  /** Handles up to `pairsMax` co-occurrences; true once every item is done. */
  step(pairsMax: number): boolean {
    let pairs = 0;
    while (this.#next < this.#histories.itemRows && pairs < pairsMax) {
      pairs += 1 + this.#item(this.#next++);
    }
    return this.#next === this.#histories.itemRows;
  }

  #item(item: number): number {
    const { offsets, users } = this.#inverse;
    const from = Math.max(offsets[item], offsets[item + 1] - this.#options.usersPerItemMax);
    const walk = { users, from, to: offsets[item + 1], skip: item };
    const columns = { weight: this.#userWeight, sums: this.#sums, touched: this.#touched };
    const { count, pairs } = addCoOccurrences(this.#histories, walk, columns);
    const { perItem, fromPower, sharpen } = this.#options;
    this.#top.begin(perItem);
    for (let t = 0; t < count; t++) {
      const other = this.#touched[t];
      this.#top.offer(other, this.#sums[other] * this.#toScale[other]);
      this.#sums[other] = 0;
    }
    const at = item * perItem;
    const kept = this.#top.drain(this.#result.neighbours, this.#result.weights, at);
    const scale = this.#counts[item] ** -fromPower;
    for (let place = at; place < at + kept; place++) {
      this.#result.weights[place] = (this.#result.weights[place] * scale) ** sharpen;
    }
    return pairs;
  }
}

function userWeights(histories: Histories, power: number): Float32Array {
  const weights = new Float32Array(histories.users);
  for (let user = 0; user < histories.users; user++) {
    weights[user] = (histories.offsets[user + 1] - histories.offsets[user]) ** -power;
  }
  return weights;
}

/** Adds each user's weight to the items that stand beside `skip`; gives the items touched. */
function addCoOccurrences(
  { offsets, items }: Histories,
  walk: { users: Int32Array; from: number; to: number; skip: number },
  { weight, sums, touched }: { weight: Float32Array; sums: Float32Array; touched: Int32Array },
): { count: number; pairs: number } {
  let count = 0;
  let pairs = 0;
  for (let at = walk.from; at < walk.to; at++) {
    const user = walk.users[at];
    const add = weight[user];
    const end = offsets[user + 1];
    pairs += end - offsets[user];
    for (let i = offsets[user]; i < end; i++) {
      const other = items[i];
      if (other === walk.skip) continue;
      if (sums[other] === 0) touched[count++] = other;
      sums[other] += add;
    }
  }
  return { count, pairs };
}

/** Allocates shared columns for `rows` items. */
export function emptyItemToItem(rows: number, perItem: number): ItemToItem {
  return {
    neighbours: new Int32Array(new SharedArrayBuffer(4 * rows * perItem)).fill(-1),
    weights: new Float32Array(new SharedArrayBuffer(4 * rows * perItem)),
    perItem,
    rows,
  };
}
