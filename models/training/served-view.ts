/** Where a served record's fields stand, for readers that need some of them and no copies. */
const headerBytes = 64;

export const servedAt = {
  heads: 1,
  items: 2,
  userDense: 4,
  itemDense: 6,
  userRow: 8,
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

/** Item row at place `index` of a slate of `count`. */
export function servedItemRow(view: DataView, at: number, count: number, index: number): number {
  return view.getUint32(at + headerBytes + 8 * count + 4 * index, true);
}

/** Byte ranges in a record of the parts that a sample takes over. */
export interface ServedLayout {
  readonly count: number;
  readonly userDense: number;
  readonly itemDense: number;
  /** Byte positions from the start of the record. */
  readonly categoriesFrom: number;
  readonly userDenseFrom: number;
  readonly itemDenseFrom: number;
}

export function servedLayout(view: DataView, at: number): ServedLayout {
  const count = servedCount(view, at);
  const heads = view.getUint8(at + servedAt.heads);
  const userDense = view.getUint16(at + servedAt.userDense, true);
  const userDenseFrom = headerBytes + 8 * count + 4 * count * (5 + heads);
  return {
    count,
    userDense,
    itemDense: view.getUint16(at + servedAt.itemDense, true),
    categoriesFrom: headerBytes + 12 * count,
    userDenseFrom,
    itemDenseFrom: userDenseFrom + 4 * userDense,
  };
}
