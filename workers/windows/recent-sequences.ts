import {
  sequenceAt,
  sequenceWords,
  writeSequenceRecord,
} from "../../models/features/sequence-record.ts";
import { RowSet } from "./row-set.ts";
import type { RecordTable } from "./tables.ts";

/**
 * Keeps each user's recent interactions in event-time order (equal times in order of arrival).
 * They are gathered, so that a native call carries thousands.
 */
export class RecentSequences {
  /** Rows that were ever touched here: the table holds other partitions' users as well. */
  readonly touched = new RowSet();
  readonly table: RecordTable;
  readonly #rows: Uint32Array;
  readonly #records: Uint32Array;
  readonly #offsets: Float64Array;
  #count = 0;

  constructor(table: RecordTable, capacity: number) {
    this.table = table;
    this.#rows = new Uint32Array(capacity);
    this.#records = new Uint32Array(capacity * sequenceWords);
    this.#offsets = new Float64Array(capacity);
  }

  /** `offset` grows with every call; a row that has it already stays as it is. */
  add(
    userRow: number,
    record: { itemRow: number; type: number; timeMs: number },
    offset: number,
  ): void {
    if (this.#count === this.#rows.length) this.flush();
    this.touched.add(userRow);
    this.#rows[this.#count] = userRow;
    this.#offsets[this.#count] = offset;
    writeSequenceRecord(record, this.#records, this.#count++);
  }

  flush(): void {
    if (this.#count === 0) return;
    const order = { timeAt: sequenceAt.timeLow, offsets: this.#offsets };
    this.table.pushAll(this.#rows, this.#records, this.#count, order);
    this.#count = 0;
  }
}
