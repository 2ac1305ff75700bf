import { noRow } from "../core/bytes.ts";

/** Where a served record's fields stand, for readers that need some of them and no copies. */
const headerBytes = 64;

export const servedAt = {
  heads: 1,
  items: 2,
  userDense: 4,
  itemDense: 6,
  userRow: 8,
  moreCategories: 20,
  timeMs: 24,
  requestId: 48,
} as const;

export function servedCount(view: DataView, at: number): number {
  return view.getUint16(at + servedAt.items, true);
}

export function servedUserRow(view: DataView, at: number): number {
  return view.getUint32(at + servedAt.userRow, true);
}

export function servedTimeMs(view: DataView, at: number): number {
  return view.getFloat64(at + servedAt.timeMs, true);
}

/** Where the user's features of a slate of `count` begin, and how many a user and an item have. */
export function servedDense(
  view: DataView,
  at: number,
  count: number,
): { readonly userAt: number; readonly user: number; readonly item: number } {
  const heads = view.getUint8(at + servedAt.heads);
  const userAt = at + headerBytes + (28 + 4 * heads) * count;
  const user = view.getUint16(at + servedAt.userDense, true);
  return { userAt, user, item: view.getUint16(at + servedAt.itemDense, true) };
}

/** First category of the item at place `index` of a slate of `count`, `noRow` where it has none. */
export function servedCategory(view: DataView, at: number, count: number, index: number): number {
  return view.getUint32(at + headerBytes + 12 * count + 4 * index, true);
}

/** Item row at place `index` of a slate of `count`. */
export function servedItemRow(view: DataView, at: number, count: number, index: number): number {
  return view.getUint32(at + headerBytes + 8 * count + 4 * index, true);
}

/**
 * Categories of the item at place `index` of a slate of `count` when it was shown, into `out`, as
 * many as fit; returns how many.
 */
export function servedCategories(
  view: DataView,
  at: number,
  place: { count: number; index: number },
  out: Int32Array,
): number {
  const { count, index } = place;
  const first = servedCategory(view, at, count, index);
  let found = 0;
  if (first !== noRow) out[found++] = first;
  const more = view.getUint32(at + servedAt.moreCategories, true);
  if (more === 0) return found;
  const perItem =
    view.getUint8(at + servedAt.heads) + view.getUint16(at + servedAt.itemDense, true);
  const words = (5 + perItem) * count + view.getUint16(at + servedAt.userDense, true);
  const from = at + headerBytes + 8 * count + 4 * (words + more * index);
  for (let i = 0; i < more && found < out.length; i++) {
    const row = view.getUint32(from + 4 * i, true);
    if (row !== noRow) out[found++] = row;
  }
  return found;
}
