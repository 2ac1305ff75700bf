/** A table of rows that can be saved. */
interface SavedTable {
  readonly rows: number;
  readonly rowBytes: number;
  save(firstRow: number, count: number, out: Uint8Array): number;
  load(firstRow: number, data: Uint8Array): number;
  clear(): void;
}

/** Rows are gathered seven at a time, as a checkpoint does. */
const rowsAtOnce = 7;

/** What a checkpoint keeps of the table; the role goes on `between` two pieces. */
export function saveRows(table: SavedTable, between = () => {}): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let first = 0; first < table.rows; first += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, table.rows - first);
    const out = new Uint8Array(count * table.rowBytes);
    pieces.push(out.slice(0, table.save(first, count, out)));
    between();
  }
  return pieces;
}

/** What was in the table before is gone. */
export function loadRows(table: SavedTable, pieces: readonly Uint8Array[]): void {
  table.clear();
  for (const [i, piece] of pieces.entries()) table.load(i * rowsAtOnce, piece);
}
