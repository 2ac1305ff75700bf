import { noRow } from "../../models/core/bytes.ts";
import { type ScopeName, scopeNames } from "../../models/definition/define.ts";
import { partialsOf, type ServedReads, type ServedRecord } from "../../models/training/served.ts";
import {
  type AggregateState,
  mergedAggregates,
  type ReferenceAggregateTable,
} from "../../native/index.ts";
import { type ByScope, byScope } from "../../workers/by-scope.ts";
import { type RecentOne, WindowsReplay } from "./replay.ts";

/** A served record that names the offset of everything that it was made from. */
export type FullRecord = ServedRecord & { readonly reads: ServedReads };

/**
 * Rows of a slate, as they stood at the offsets that the record names: the sums over the partitions
 * of users, each of which is replayed alone.
 */
export class SlateReads {
  readonly record: FullRecord;
  /** The partition that has the user. */
  readonly partition: number;
  readonly counts: ByScope<Uint32Array>;
  /** Of each row, the values of its aggregates, and what the partitions' rows kept of several. */
  readonly #values: ByScope<number[][]>;
  readonly #states: ByScope<AggregateState[][]>;
  recent: readonly RecentOne[] = [];
  /** Reads that have not been made yet. */
  left = 0;
  /** A row's last change is not where the record says. */
  offsetDiffers = "";

  constructor(record: FullRecord, partition: number, width: number) {
    this.record = record;
    this.partition = partition;
    this.counts = byScope((scope) => new Uint32Array(rowsOf(record, scope).length * width));
    this.#values = byScope(() => []);
    this.#states = byScope(() => []);
  }

  /** Adds what a partition's row keeps now; it goes on changing, so what several keep is copied. */
  addState(scope: ScopeName, place: number, table: ReferenceAggregateTable, row: number): void {
    const state = table.state(row);
    if (state === null) return;
    const states = [...(this.#states[scope][place] ?? []), state];
    const { asOfMs } = this.record;
    this.#values[scope][place] = mergedAggregates(table.aggregates, states, asOfMs);
    if (partialsOf(this.record) === 1) return;
    this.#states[scope][place] = [...states.slice(0, -1), structuredClone(state)];
  }

  /** Values of a row's aggregates over all partitions; none where it has taken in nothing. */
  aggregates(scope: ScopeName, place: number): readonly number[] {
    return this.#values[scope][place] ?? [];
  }
}

/** Rows of a scope that a slate was made from; of pairs their categories. */
function rowsOf({ userRow, items, reads }: FullRecord, scope: ScopeName): ArrayLike<number> {
  if (scope === "user") return [userRow];
  if (scope === "global") return [0];
  return scope === "item" ? items : reads.categories;
}

/** Offsets of those rows in the tables of counters; but for the owner's [partition][row]. */
function counterOffsets(record: FullRecord, scope: ScopeName): ArrayLike<number> {
  const { userOffset, itemOffsets, reads } = record;
  if (scope === "user") return [userOffset];
  if (scope === "global") return reads.globalOffsets;
  if (scope === "item") return itemOffsets;
  return scope === "category" ? reads.categoryOffsets : reads.pairOffsets;
}

/** One row to read at one offset. */
interface PlannedRead {
  readonly offset: number;
  readonly slate: SlateReads;
  readonly from: "recent" | "counters" | "aggregates";
  readonly scope: ScopeName;
  readonly row: number;
  readonly place: number;
}

/**
 * Reads of many slates of one partition's rows, made while a replay of that goes by: each one when
 * every update up to its offset has been applied and none after it.
 */
export class ReadPlan {
  readonly #replay: WindowsReplay;
  readonly #partition: number;
  readonly #width: number;
  readonly #reads: PlannedRead[] = [];
  readonly #cells: Uint32Array;
  readonly #row = new Uint32Array(1);
  readonly #offset = new Float64Array(1);
  #next = 0;

  constructor(replay: WindowsReplay, partition: number, width: number) {
    this.#replay = replay;
    this.#partition = partition;
    this.#width = width;
    this.#cells = new Uint32Array(width);
  }

  add(slate: SlateReads): void {
    const { record } = slate;
    const { userRow, reads } = record;
    const isOwner = slate.partition === this.#partition;
    const plan = (read: Omit<PlannedRead, "slate">) => {
      // -1: the row had taken in nothing, so its values are zeros.
      if (!(read.offset >= 0)) return;
      slate.left++;
      this.#reads.push({ slate, ...read });
    };
    if (isOwner && userRow !== noRow) {
      plan({ from: "recent", scope: "user", row: userRow, offset: reads.recentOffset, place: 0 });
    }
    for (const [at, scope] of scopeNames.entries()) {
      if (scope === "user" && userRow === noRow) continue;
      // A pair's row is only known once the replay comes to it.
      const ofOwner = scope === "userCategory";
      if (ofOwner && !isOwner) continue;
      const rows = rowsOf(record, scope);
      const first = ofOwner ? 0 : this.#partition * rows.length;
      const counters = counterOffsets(record, scope);
      const aggregates = reads.aggregateOffsets[at] ?? [];
      for (let place = 0; place < rows.length; place++) {
        const of = { scope, row: rows[place]!, place };
        const own = scope === "user" ? (isOwner ? 0 : -1) : first + place;
        plan({ from: "counters", ...of, offset: counters[own] ?? -1 });
        plan({ from: "aggregates", ...of, offset: aggregates[first + place] ?? -1 });
      }
    }
  }

  /** Every read has been made. */
  get done(): boolean {
    return this.#next === this.#reads.length;
  }

  /** Call once all slates are in. */
  sort(): void {
    this.#reads.sort((a, b) => a.offset - b.offset);
  }

  /** The update with this offset is the next: reads of what stands before it are made now. */
  advance(offset: number): void {
    while (this.#next < this.#reads.length && this.#reads[this.#next]!.offset < offset) {
      this.#read(this.#reads[this.#next++]!);
    }
  }

  #read(read: PlannedRead): void {
    if (read.from === "recent") this.#readRecent(read);
    else if (read.from === "counters") this.#readCounts(read);
    else this.#readAggregates(read);
    read.slate.left--;
  }

  #readRecent({ slate, row, offset }: PlannedRead): void {
    slate.recent = [...(this.#replay.recent.get(row) ?? [])];
    const last = this.#replay.recentOffsets.get(row) ?? -1;
    if (last !== offset) slate.offsetDiffers = `recent of user row ${row}: ${last}, not ${offset}`;
  }

  /** The replay's row; a pair's is known by now. */
  #rowOf({ slate, row, scope }: PlannedRead): number {
    if (scope !== "userCategory") return row;
    return this.#replay.pairs.get(WindowsReplay.pairKey(slate.record.userRow, row)) ?? noRow;
  }

  #readCounts(read: PlannedRead): void {
    const { slate, place, scope } = read;
    this.#row[0] = this.#rowOf(read);
    const [out, offsets] = [this.#cells, this.#offset];
    this.#replay.tables[scope].read(this.#row, 1, slate.record.asOfMs, { out, offsets });
    const sums = slate.counts[scope];
    for (let i = 0; i < out.length; i++) sums[place * this.#width + i]! += out[i]!;
    this.#compareOffset(read, offsets[0]!);
  }

  #readAggregates(read: PlannedRead): void {
    const { slate, scope, place } = read;
    const [table, row] = [this.#replay.aggregates[scope], this.#rowOf(read)];
    slate.addState(scope, place, table, row);
    this.#compareOffset(read, table.state(row)?.offset ?? -1);
  }

  #compareOffset({ slate, scope, from, row, offset }: PlannedRead, is: number): void {
    if (is === offset) return;
    slate.offsetDiffers = `${scope} ${from} row ${row} changed at ${is}, not at ${offset}`;
  }
}
