import type { AggregateValues } from "../../native/index.ts";
import type { UserPairs } from "../window-partials.ts";

/** The reading side of aggregates by row, which are merged from `partials` parts. */
interface RowReader {
  readonly width: number;
  readonly partials: number;
  read(rows: Int32Array, count: number, asOfMs: number, into: AggregateValues): void;
}

/** The same of a user with categories, one offset a pair. */
interface PairReader {
  readonly width: number;
  read(of: UserPairs, asOfMs: number, into: AggregateValues): void;
}

/**
 * Aggregates of one scope as a request read them: rows x width, and the offset that each row's part
 * in each partition had applied, [partition][row]; both empty where no feature asks.
 */
export class ReadAggregates {
  values = new Float64Array(0);
  offsets = new Float64Array(0);
  /** Rows that were read, and parts of each. */
  count = 0;
  partials = 1;

  readRows(
    table: RowReader | null,
    { rows, count }: { rows: Int32Array; count: number },
    asOfMs: number,
  ): void {
    if (table === null) return;
    this.#reserve(count, table.width, table.partials);
    table.read(rows, count, asOfMs, { out: this.values, offsets: this.offsets });
  }

  readPairs(table: PairReader | null, of: UserPairs, asOfMs: number): void {
    if (table === null) return;
    this.#reserve(of.count, table.width, 1);
    table.read(of, asOfMs, { out: this.values, offsets: this.offsets });
  }

  /** Grows to what requests need, then stays. */
  #reserve(count: number, width: number, partials: number): void {
    this.count = count;
    this.partials = partials;
    if (this.offsets.length >= count * partials) return;
    const room = 2 ** Math.ceil(Math.log2(count));
    this.offsets = new Float64Array(room * partials);
    this.values = new Float64Array(room * width);
  }
}
