import type { PackedRows } from "../stores/row-frames.ts";
import { RowSet } from "./row-set.ts";

/** The shared table of what users have been shown; any thread may write it. */
export interface SeenTable extends PackedRows {
  /** Records of a row at most. */
  readonly length: number;
  /** Copies a row's records, oldest first; returns how many. `waits`: for the disk as well. */
  read(row: number, out: Uint32Array, offsetOut: null, waits: boolean): number;
  /** Record i, one word, becomes the newest of row `rows[i]`. */
  pushAll(rows: Uint32Array, records: Uint32Array, count: number): void;
}

const capacity = 4_096;
/** A longer list is not a new user's: what he is shown was noted as it left. */
const newUserItems = 100;

/**
 * What users met elsewhere: imported history, interactions that follow no slate of this server, and
 * the first slate of a user, who had no row yet when it left. All other slates note their items
 * themselves as they leave (the ranking threads), so here they are noted only while the log is
 * replayed at a start, when nobody else has. Gathered until `flush`.
 */
export class SeenItems {
  readonly table: SeenTable;
  /** Rows of this partition's users. */
  readonly touched = new RowSet();
  /** The log is being replayed: slates are noted as well. */
  replaying = true;
  readonly #users = new Uint32Array(capacity);
  readonly #items = new Uint32Array(capacity);
  #count = 0;
  #lastUser = -1;
  #lastItem = -1;
  readonly #list: Uint32Array;
  #knownUser = -1;

  constructor(table: SeenTable) {
    this.table = table;
    this.#list = new Uint32Array(table.length);
  }

  /** One item several times in a row (shown, clicked, finished) is noted once. */
  add(userRow: number, itemRow: number): void {
    if (userRow === this.#lastUser && itemRow === this.#lastItem) return;
    if (this.#count === capacity) this.flush();
    this.touched.add(userRow);
    this.#lastUser = userRow;
    this.#lastItem = itemRow;
    this.#users[this.#count] = userRow;
    this.#items[this.#count++] = itemRow;
  }

  /** The client says that an item of a slate was shown. */
  shown(userRow: number, itemRow: number): void {
    if (userRow === this.#knownUser) return;
    this.flush();
    const count = this.table.read(userRow, this.#list, null, true);
    if (count >= Math.min(newUserItems, this.#list.length)) this.#knownUser = userRow;
    else if (!this.#list.subarray(0, count).includes(itemRow)) this.add(userRow, itemRow);
  }

  /** A slate's item for the user; it is in the table already but in a replay. */
  served(userRow: number, itemRow: number): void {
    this.touched.add(userRow);
    if (this.replaying) this.add(userRow, itemRow);
  }

  flush(): void {
    if (this.#count === 0) return;
    this.table.pushAll(this.#users, this.#items, this.#count);
    this.#count = 0;
  }
}
