import type { ScopeName } from "../../models/definition/define.ts";
import type { AggregateUpdates } from "../../native/index.ts";
import type { ByScope } from "../by-scope.ts";
import type { PackedRows } from "../stores/row-frames.ts";

/** What the windows role needs of shared memory; the native tables have these shapes. */

/** Columns of counter updates; the table must not keep them. */
export interface CounterUpdates {
  readonly rows: Uint32Array;
  readonly counters: Uint8Array;
  readonly deltas: Uint32Array;
  readonly times: Float64Array;
  readonly offsets: Float64Array;
  readonly count: number;
  readonly watermarkMs: number;
}

/** Columns that suit counters and aggregates alike. */
export type Columns = CounterUpdates & AggregateUpdates;

export interface UpdateTable {
  apply(updates: Columns, lateOut: Uint32Array): unknown;
}

export interface CounterTable extends PackedRows {
  /** Rows with more than fits into their slot, in memory. */
  readonly fullRowsUsed: number;
  apply(updates: CounterUpdates, lateOut: Uint32Array): void;
  /** Every row as if never written. */
  clear(): void;
}

/** What sums of panes cannot say (models/features/aggregates.ts). */
export interface AggregateTable extends PackedRows {
  readonly width: number;
  apply(updates: AggregateUpdates, lateOut: Uint32Array): unknown;
  clear(): void;
}

/** Records by the float64 at `timeAt`; those at or below a row's offset are skipped. */
export interface RecordOrder {
  readonly timeAt: number;
  readonly offsets: Float64Array;
}

export interface RecordTable extends PackedRows {
  /** Record i to row `rows[i]`. */
  pushAll(rows: Uint32Array, records: Uint32Array, count: number, order: RecordOrder): void;
}

/** Pairs of rows to dense rows that never change, even while the role restarts. */
export interface PairRows {
  readonly size: number;
  /** Rows of pairs into `out`, new ones as they come, `noRow` where there is no room; how many. */
  internPairs(
    userRows: Uint32Array,
    categoryRows: Uint32Array,
    count: number,
    out: Uint32Array,
  ): number;
  /** Gives saved pairs the rows from `firstRow` on, or finds that they have them, else throws. */
  loadPairs(firstRow: number, pairs: Uint32Array, total: number): void;
  /** Both rows of each of `count` pairs, one pair after the other. */
  pairs(firstRow: number, count: number, out: Uint32Array): void;
}

/** Rows of a table, and how many of them have more than fits into their slot. */
export interface RowCounts {
  readonly rows: number;
  readonly fullRows: number;
}

/** Makes memory present for rows that will be loaded, scope after scope, until it is stopped. */
export type PrefaultRows = (expected: ByScope<RowCounts>) => { stop(): void };

export type AggregateTables<Table> = { readonly [Scope in ScopeName]: Table | null };

export interface WindowTables {
  readonly user: CounterTable;
  readonly item: CounterTable;
  readonly category: CounterTable;
  readonly userCategory: CounterTable;
  /** One row for all. */
  readonly global: CounterTable;
  /** Of the scopes whose features ask for any. */
  readonly aggregates: AggregateTables<AggregateTable>;
  /** Rows of user x category; only the windows role interns them. */
  readonly pairs: PairRows;
  /** Recent interactions by user row; null: none are kept. */
  readonly recent: RecordTable | null;
}

/** Writes the category rows of an item into `out` and returns how many it has. */
export type CategoriesOf = (itemRow: number, out: Int32Array) => number;
