/**
 * Who took to what, as compressed rows: the items of user u are
 * `items[offsets[u] .. offsets[u + 1]]`, oldest first, none twice.
 */
export interface Histories {
  readonly users: number;
  /** Item rows are below this. */
  readonly itemRows: number;
  /** users + 1 positions in `items`. */
  readonly offsets: Uint32Array;
  readonly items: Int32Array;
}

/** How many users took to each item: one count per item row. */
export function itemUsers(histories: Histories): Uint32Array {
  const counts = new Uint32Array(histories.itemRows);
  for (let at = 0; at < histories.items.length; at++) counts[histories.items[at]]++;
  return counts;
}

/** The same pairs from the items' side: users of item i are `users[offsets[i] ..]`, ascending. */
export function invert(histories: Histories): { offsets: Uint32Array; users: Int32Array } {
  const offsets = new Uint32Array(histories.itemRows + 1);
  for (const item of histories.items) offsets[item + 1]++;
  for (let i = 0; i < histories.itemRows; i++) offsets[i + 1] += offsets[i];
  const next = offsets.slice(0, histories.itemRows);
  const users = new Int32Array(histories.items.length);
  for (let user = 0; user < histories.users; user++) {
    for (let at = histories.offsets[user]; at < histories.offsets[user + 1]; at++) {
      users[next[histories.items[at]]++] = user;
    }
  }
  return { offsets, users };
}

/** Compressed rows from lists; for tests and imports. */
export function historiesOf(lists: readonly (readonly number[])[], itemRows: number): Histories {
  const offsets = new Uint32Array(lists.length + 1);
  for (let u = 0; u < lists.length; u++) offsets[u + 1] = offsets[u] + lists[u].length;
  return { users: lists.length, itemRows, offsets, items: Int32Array.from(lists.flat()) };
}
