/** Where a served record's fields stand, for readers that need some of them and no copies. */
const headerBytes = 64;

export const servedAt = {
  items: 2,
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
