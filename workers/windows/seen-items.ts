/** The shared table of what users have been shown; any thread may write it. */
export interface SeenTable {
  readonly rowBytes: number;
  push(row: number, record: Uint32Array, offset: number): void;
  save(firstRow: number, count: number, out: Uint8Array): void;
  load(firstRow: number, count: number, data: Uint8Array): void;
}

/**
 * What users met elsewhere: imported history and interactions that follow no slate of this server.
 * Slates note their items themselves as they leave (the ranking threads), so here they are noted
 * only while the log is replayed at a start, when nobody else has.
 */
export class SeenItems {
  readonly table: SeenTable;
  /** Rows that were ever touched: 0 .. rowsUsed - 1. */
  rowsUsed = 0;
  /** The log is being replayed: slates are noted as well. */
  replaying = true;
  readonly #record = new Uint32Array(1);
  #lastUser = -1;

  constructor(table: SeenTable) {
    this.table = table;
  }

  /** One item several times in a row (shown, clicked, finished) is noted once. */
  add(userRow: number, itemRow: number): void {
    if (userRow === this.#lastUser && itemRow === this.#record[0]) return;
    if (userRow >= this.rowsUsed) this.rowsUsed = userRow + 1;
    this.#lastUser = userRow;
    this.#record[0] = itemRow;
    this.table.push(userRow, this.#record, -1);
  }

  /** A slate's item for the user; it is in the table already but in a replay. */
  served(userRow: number, itemRow: number): void {
    if (userRow >= this.rowsUsed) this.rowsUsed = userRow + 1;
    if (this.replaying) this.add(userRow, itemRow);
  }
}
