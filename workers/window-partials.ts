import {
  type AggregateTable,
  type AggregateValues,
  type IdTable,
  MergedAggregates,
  type PaneTable,
  type PaneValues,
} from "../native/index.ts";
import { type ByScope, byScope } from "./by-scope.ts";

/** Counters by row as ranking reads them. */
type Rows = Int32Array | Uint32Array;

/** Counters that one partition of users adds up; only the partition's owner writes them. */
export interface WindowPartial {
  readonly user: PaneTable;
  readonly item: PaneTable;
  readonly category: PaneTable;
  readonly userCategory: PaneTable;
  /** One row for all. */
  readonly global: PaneTable;
  /** What sums of panes cannot say, in the same rows; null where no feature asks for any. */
  readonly aggregates: ByScope<AggregateTable | null>;
  /** Rows of `userCategory`: pairs (user row, category row). */
  readonly pairs: IdTable;
}

/** Counters of the scopes of many rows, which may have more of them than memory has room for. */
export function rowTables({ user, item, category, userCategory }: WindowPartial): PaneTable[] {
  return [user, item, category, userCategory];
}

/** Aggregates of all scopes that have any; as above. */
export function aggregateTables({ aggregates }: WindowPartial): AggregateTable[] {
  return Object.values(aggregates).filter((table) => table !== null);
}

/**
 * Counters of one scope over all partitions: each partition keeps its own part of every row, and a
 * read adds them up. So a partition can be cleared and replayed alone, and what is delivered again
 * counts once, as its own row offset says.
 */
export class SummedPanes {
  /** Values of one row in `read`. */
  readonly width: number;
  readonly #tables: readonly PaneTable[];
  #scratch = new Uint32Array(0);

  constructor(tables: readonly PaneTable[]) {
    this.#tables = tables;
    this.width = tables[0]?.width ?? 0;
  }

  /** Parts that a row is the sum of. */
  get partials(): number {
    return this.#tables.length;
  }

  /** As PaneTable.read; `into.offsets` is [partition][row]. */
  read(rows: Rows, count: number, asOfMs: number, into: PaneValues): void {
    for (const [partition, table] of this.#tables.entries()) {
      if (partition === 0) table.read(rows, count, asOfMs, into);
      else this.#add(table, { rows, count, asOfMs, from: partition * count }, into);
    }
  }

  #add(
    table: PaneTable,
    of: { rows: Rows; count: number; asOfMs: number; from: number },
    { out, offsets, waits = false }: PaneValues,
  ): void {
    const { rows, count, asOfMs, from } = of;
    const cells = count * this.width;
    if (this.#scratch.length < cells) this.#scratch = new Uint32Array(2 * cells);
    const scratch = this.#scratch;
    const own = offsets === null ? null : offsets.subarray(from, from + count);
    table.read(rows, count, asOfMs, { out: scratch, offsets: own, waits });
    for (let i = 0; i < cells; i++) out[i] += scratch[i];
  }
}

/** Pairs of a user with categories. */
export interface UserPairs {
  /** -1: nobody's, all zeros. */
  readonly userRow: number;
  readonly categories: Int32Array;
  readonly count: number;
}

/** Rows of the pairs of a user: all stand in one partition. */
class PairRows {
  readonly #partials: readonly WindowPartial[];
  rows = new Int32Array(0);

  constructor(partials: readonly WindowPartial[]) {
    this.#partials = partials;
  }

  /** Finds them into `rows`, -1 none; gives their partition, any where there are none. */
  find({ userRow, categories, count }: UserPairs): WindowPartial | undefined {
    if (this.rows.length < count) this.rows = new Int32Array(2 * count);
    const rows = this.rows;
    const last = this.#partials.at(-1);
    for (const partial of this.#partials) {
      if (userRow < 0) rows.fill(-1, 0, count);
      else partial.pairs.findPairs(userRow, categories, count, rows);
      const isElsewhere = partial !== last && rows.subarray(0, count).every((row) => row < 0);
      if (!isElsewhere) return partial;
    }
    return last;
  }
}

/** Counters of user x category. */
export class PairPanes {
  readonly #pairs: PairRows;

  constructor(partials: readonly WindowPartial[]) {
    this.#pairs = new PairRows(partials);
  }

  /** As PaneTable.read for the pairs of a user; `into.offsets` has one a pair, -1 none. */
  read(of: UserPairs, asOfMs: number, into: PaneValues): void {
    this.#pairs.find(of)?.userCategory.read(this.#pairs.rows, of.count, asOfMs, into);
  }
}

/** Aggregates of user x category. */
export class PairAggregates {
  readonly width: number;
  readonly #pairs: PairRows;

  constructor(partials: readonly WindowPartial[], width: number) {
    this.#pairs = new PairRows(partials);
    this.width = width;
  }

  /** As AggregateTable.read; `into.offsets` has one a pair, -1 none. */
  read(of: UserPairs, asOfMs: number, into: AggregateValues): void {
    const table = this.#pairs.find(of)?.aggregates.userCategory;
    table?.read(this.#pairs.rows, of.count, asOfMs, into);
  }
}

/** Aggregates by scope as readers see them: what all partitions know; null where nothing asks. */
export type AggregateReaders = { readonly [S in RowScope]: MergedAggregates | null } & {
  readonly userCategory: PairAggregates | null;
};

type RowScope = "user" | "item" | "category" | "global";

export function aggregateReaders(partials: readonly WindowPartial[]): AggregateReaders {
  const merged = byScope((scope) => {
    const tables = partials.flatMap(({ aggregates }) => aggregates[scope] ?? []);
    return tables.length === 0 ? null : new MergedAggregates(tables);
  });
  const width = merged.userCategory?.width ?? 0;
  return { ...merged, userCategory: width === 0 ? null : new PairAggregates(partials, width) };
}
