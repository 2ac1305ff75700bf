import {
  readSequenceTime,
  sequenceWords,
  writeSequenceRecord,
} from "../../models/features/sequence-record.ts";
import type { RecordTable } from "./tables.ts";

/**
 * Keeps each user's recent interactions in event-time order (equal times in order of arrival).
 * In-order events are one push; the rare ones out of order rewrite the user's row.
 */
export class RecentSequences {
  /** Rows that were ever touched: 0 .. rowsUsed - 1. */
  rowsUsed = 0;
  readonly table: RecordTable;
  readonly #length: number;
  readonly #record = new Uint32Array(sequenceWords);
  readonly #row: Uint32Array;
  /** Event time of each user's newest interaction; asking the table each time would cost more. */
  #newestMs = new Float64Array(1_024);

  constructor(table: RecordTable, length: number) {
    this.table = table;
    this.#length = length;
    this.#row = new Uint32Array((length + 1) * sequenceWords);
  }

  /** `offset` grows with every call; a row that has it already stays as it is. */
  add(
    userRow: number,
    record: { itemRow: number; type: number; timeMs: number },
    offset: number,
  ): void {
    if (userRow >= this.#newestMs.length) this.#grow(userRow + 1);
    if (userRow >= this.rowsUsed) this.rowsUsed = userRow + 1;
    writeSequenceRecord(record, this.#record);
    if (record.timeMs >= this.#newestMs[userRow]) {
      this.#newestMs[userRow] = record.timeMs;
      this.table.push(userRow, this.#record, offset);
      return;
    }
    this.#insert(userRow, record.timeMs, offset);
  }

  #insert(userRow: number, timeMs: number, offset: number): void {
    const count = this.table.read(userRow, this.#row);
    let place = count;
    while (place > 0 && readSequenceTime(this.#row, place - 1) > timeMs) place--;
    if (place === 0 && count === this.#length) return;
    const at = place * sequenceWords;
    this.#row.copyWithin(at + sequenceWords, at, count * sequenceWords);
    this.#row.set(this.#record, at);
    const dropped = count === this.#length ? 1 : 0;
    const rest = this.#row.subarray(dropped * sequenceWords);
    this.table.replace(userRow, rest, count + 1 - dropped, offset);
  }

  #grow(rows: number): void {
    const next = new Float64Array(Math.max(rows, this.#newestMs.length * 2));
    next.set(this.#newestMs);
    this.#newestMs = next;
  }

  saveNewest(): Uint8Array {
    return new Uint8Array(this.#newestMs.slice(0, this.rowsUsed).buffer);
  }

  restoreNewest(bytes: Uint8Array): void {
    const times = new Float64Array(bytes.slice().buffer);
    this.rowsUsed = times.length;
    this.#grow(times.length);
    this.#newestMs.set(times);
  }
}
