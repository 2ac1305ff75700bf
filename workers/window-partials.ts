import type { IdTable, PaneTable, PaneValues } from "../native/index.ts";

/** Counters by row as ranking reads them. */
type Rows = Int32Array | Uint32Array;

/** Counters that one partition of users adds up; only the partition's owner writes them. */
export interface WindowPartial {
  readonly user: PaneTable;
  readonly item: PaneTable;
  readonly category: PaneTable;
  readonly userCategory: PaneTable;
  /** Rows of `userCategory`: pairs (user row, category row). */
  readonly pairs: IdTable;
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
    { out, offsets }: PaneValues,
  ): void {
    const { rows, count, asOfMs, from } = of;
    const cells = count * this.width;
    if (this.#scratch.length < cells) this.#scratch = new Uint32Array(2 * cells);
    const scratch = this.#scratch;
    const own = offsets === null ? null : offsets.subarray(from, from + count);
    table.read(rows, count, asOfMs, { out: scratch, offsets: own });
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

/** Counters of user x category: all pairs of a user stand in one partition. */
export class PairPanes {
  readonly #partials: readonly WindowPartial[];
  #rows = new Int32Array(0);

  constructor(partials: readonly WindowPartial[]) {
    this.#partials = partials;
  }

  /** As PaneTable.read for the pairs of a user; `into.offsets` has one a pair, -1 none. */
  read({ userRow, categories, count }: UserPairs, asOfMs: number, into: PaneValues): void {
    if (this.#rows.length < count) this.#rows = new Int32Array(2 * count);
    const rows = this.#rows;
    const last = this.#partials.at(-1);
    for (const partial of this.#partials) {
      if (userRow < 0) rows.fill(-1, 0, count);
      else partial.pairs.findPairs(userRow, categories, count, rows);
      const isElsewhere = partial !== last && rows.subarray(0, count).every((row) => row < 0);
      if (isElsewhere) continue;
      partial.userCategory.read(rows, count, asOfMs, into);
      return;
    }
  }
}
