import { noRow } from "../../models/core/bytes.ts";
import type { ServedReads, ServedRecord } from "../../models/training/served.ts";
import { type RecentOne, WindowsReplay } from "./replay.ts";

export const readScopes = ["user", "item", "category", "userCategory"] as const;
type ReadScope = (typeof readScopes)[number];

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
  readonly counts: Readonly<Record<ReadScope, Uint32Array>>;
  recent: readonly RecentOne[] = [];
  /** Reads that have not been made yet. */
  left = 0;
  /** A row's last change is not where the record says. */
  offsetDiffers = "";

  constructor(record: FullRecord, partition: number, width: number) {
    const { items, reads } = record;
    this.record = record;
    this.partition = partition;
    this.counts = {
      user: new Uint32Array(width),
      item: new Uint32Array(items.length * width),
      category: new Uint32Array(reads.categories.length * width),
      userCategory: new Uint32Array(reads.categories.length * width),
    };
  }
}

/** One row to read at one offset. */
interface PlannedRead {
  readonly offset: number;
  readonly slate: SlateReads;
  /** Null: the recent sequence. */
  readonly scope: ReadScope | null;
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
    const { userRow, items, itemOffsets, userOffset, reads } = slate.record;
    const plan = (scope: ReadScope | null, row: number, at: { offset: number; place: number }) => {
      // -1: the row had taken in nothing, so its values are zeros.
      if (at.offset < 0) return;
      slate.left++;
      this.#reads.push({ slate, scope, row, ...at });
    };
    const isOwner = slate.partition === this.#partition;
    if (isOwner && userRow !== noRow) {
      plan("user", userRow, { offset: userOffset, place: 0 });
      plan(null, userRow, { offset: reads.recentOffset, place: 0 });
    }
    for (const [place, row] of items.entries()) {
      const offset = itemOffsets[this.#partition * items.length + place]!;
      plan("item", row, { offset, place });
    }
    const { categories, categoryOffsets, pairOffsets } = reads;
    for (const [place, row] of categories.entries()) {
      const offset = categoryOffsets[this.#partition * categories.length + place]!;
      plan("category", row, { offset, place });
      // The pair's row is only known once the replay comes to it.
      if (isOwner) plan("userCategory", row, { offset: pairOffsets[place]!, place });
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
    const { slate } = read;
    if (read.scope === null) this.#readRecent(read);
    else this.#readCounts(read, read.scope);
    slate.left--;
  }

  #readRecent({ slate, row, offset }: PlannedRead): void {
    slate.recent = [...(this.#replay.recent.get(row) ?? [])];
    const last = this.#replay.recentOffsets.get(row) ?? -1;
    if (last !== offset) slate.offsetDiffers = `recent of user row ${row}: ${last}, not ${offset}`;
  }

  #readCounts({ slate, row, place, offset }: PlannedRead, scope: ReadScope): void {
    const { userRow, asOfMs } = slate.record;
    const pair = () => this.#replay.pairs.get(WindowsReplay.pairKey(userRow, row)) ?? noRow;
    this.#row[0] = scope === "userCategory" ? pair() : row;
    const out = this.#cells;
    this.#replay.tables[scope].read(this.#row, 1, asOfMs, { out, offsets: this.#offset });
    const sums = slate.counts[scope];
    for (let i = 0; i < out.length; i++) sums[place * this.#width + i]! += out[i]!;
    if (this.#offset[0] === offset) return;
    slate.offsetDiffers = `${scope} row ${row} changed at ${this.#offset[0]}, not at ${offset}`;
  }
}
