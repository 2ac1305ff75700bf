import { limits } from "../../models/limits.ts";
import {
  type CheckpointSection,
  readSection,
  type SavedCheckpoint,
} from "../stores/checkpoint-store.ts";
import type { CategoriesOf } from "./tables.ts";
import type { ItemActivity } from "./windows.ts";

/** Where the lists go: row 0 is global, row 1 + c is category c; two words a record. */
export interface TrendingTable {
  replace(row: number, records: Uint32Array, count: number): void;
  /** Copies a row's records; gives how many. */
  read(row: number, out: Uint32Array): number;
}

/** Rows of an item's counts, `activityColumns` float64 each, that one partition writes. */
export interface ActivityTable {
  write(row: number, bytes: Uint8Array): void;
  /** Zeros where none was written. */
  read(rows: Int32Array, count: number, out: Uint8Array): void;
}

/** Clicks, shown, both of the whole life, and the time that the first two are decayed to. */
const activityColumns = 5;

export interface TrendingOptions {
  readonly table: TrendingTable;
  readonly categoriesOf: CategoriesOf;
  /** Items of a list; the table's rows must hold as many. */
  readonly listLength: number;
  readonly halfLifeMs?: number;
  /** Items taken into the lists by one refresh; the others wait for the next. */
  readonly touchedMax?: number;
  /** Category lists rewritten by one refresh. */
  readonly listsMax?: number;
  /** What each partition's items did; `own` is written here. Empty: this partition is alone. */
  readonly partials?: { readonly tables: readonly ActivityTable[]; readonly own: number };
}

/** Confidence of the lower bound: one-sided 90 %. */
const z = 1.28;

/** Weight of an item's whole life beside what it does now. */
const lifeWeight = 0.1;

/**
 * Lower bound of a rate from `hits` of `shown` (Wilson 1927): a few lucky clicks do not beat a
 * steady item. Works on decayed, fractional counts; 0 without hits.
 */
export function lowerBound(hits: number, shown: number): number {
  const n = Math.max(shown, hits);
  if (hits <= 0) return 0;
  const p = hits / n;
  const spread = z * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  return Math.max(0, (p + (z * z) / (2 * n) - spread) / (1 + (z * z) / n));
}

/**
 * What trends, overall and in each category: the lower bound of the click rate over clicks and
 * impressions that halve every `halfLifeMs` of event time, plus a tenth of the same bound over the
 * item's whole life: after a quiet night, or on imported history, what has always been liked leads,
 * until something is hot. Each list keeps at most twice `listLength` candidates and is sorted only
 * when one of its items was touched, so the work of a refresh is bounded whatever the number of
 * items.
 *
 * Where partitions share the lists, each counts its own users and shows its counts to the others. A
 * list is rewritten by whichever touched it, from its own candidates and those that stand in it, by
 * the sums over all partitions. Two that write one list at once may lose a candidate until it is
 * touched again.
 */
export class Trending implements ItemActivity {
  readonly #options: Required<TrendingOptions>;
  #clicks = new Float64Array(1_024);
  #shown = new Float64Array(1_024);
  /** The same, never decayed. */
  #lifeClicks = new Float64Array(1_024);
  #lifeShown = new Float64Array(1_024);
  /** Event time that an item's counts are decayed to. */
  #timeMs = new Float64Array(1_024);
  #isTouched = new Uint8Array(1_024);
  #touched: number[] = [];
  #itemsUsed = 0;
  #nowMs = 0;
  readonly #lists = new Map<number, Set<number>>();
  readonly #dirty = new Set<number>();
  readonly #categories = new Int32Array(limits.itemCategoriesMax);
  readonly #records: Uint32Array;
  readonly #score = new Float32Array(1);
  readonly #own: ActivityTable | null;
  readonly #others: readonly ActivityTable[];
  readonly #row = new Float64Array(activityColumns);

  constructor(options: TrendingOptions) {
    const { tables, own } = options.partials ?? { tables: [], own: 0 };
    this.#options = {
      ...{ halfLifeMs: 3_600_000, touchedMax: 4_096, listsMax: 256 },
      ...{ partials: { tables, own }, ...options },
    };
    this.#records = new Uint32Array(2 * options.listLength);
    this.#own = tables[own] ?? null;
    this.#others = tables.filter((_, partition) => partition !== own);
  }

  shown(itemRow: number, timeMs: number): void {
    this.#shown[itemRow] += this.#touch(itemRow, timeMs);
    this.#lifeShown[itemRow]++;
  }

  clicked(itemRow: number, timeMs: number): void {
    this.#clicks[itemRow] += this.#touch(itemRow, timeMs);
    this.#lifeClicks[itemRow]++;
  }

  /** Brings an item's counts to its newest event time; returns what an event then weighs. */
  #touch(itemRow: number, timeMs: number): number {
    if (itemRow >= this.#clicks.length) this.#grow(itemRow + 1);
    if (itemRow >= this.#itemsUsed) this.#itemsUsed = itemRow + 1;
    if (timeMs > this.#nowMs) this.#nowMs = timeMs;
    if (this.#isTouched[itemRow] === 0) {
      this.#isTouched[itemRow] = 1;
      this.#touched.push(itemRow);
    }
    const gapMs = timeMs - this.#timeMs[itemRow];
    if (gapMs <= 0) return this.#decay(-gapMs);
    const kept = this.#decay(gapMs);
    this.#clicks[itemRow] *= kept;
    this.#shown[itemRow] *= kept;
    this.#timeMs[itemRow] = timeMs;
    return 1;
  }

  #decay(gapMs: number): number {
    return 2 ** (-gapMs / this.#options.halfLifeMs);
  }

  /** Takes the touched items into their lists and writes the lists that changed. */
  refresh(): void {
    const taken = this.#touched.splice(0, this.#options.touchedMax);
    for (const itemRow of taken) {
      this.#isTouched[itemRow] = 0;
      this.#show(itemRow);
      this.#offer(0, itemRow);
      const categories = this.#options.categoriesOf(itemRow, this.#categories);
      for (let i = 0; i < categories; i++) this.#offer(1 + this.#categories[i], itemRow);
    }
    let written = 0;
    for (const list of this.#dirty) {
      if (written++ === this.#options.listsMax) break;
      this.#dirty.delete(list);
      this.#write(list);
    }
  }

  /** Others' lists count what is known of the item here. */
  #show(itemRow: number): void {
    if (this.#own === null) return;
    this.#row.set([
      ...[this.#clicks[itemRow], this.#shown[itemRow]],
      ...[this.#lifeClicks[itemRow], this.#lifeShown[itemRow], this.#timeMs[itemRow]],
    ]);
    this.#own.write(itemRow, new Uint8Array(this.#row.buffer));
  }

  #offer(list: number, itemRow: number): void {
    let items = this.#lists.get(list);
    if (items === undefined) {
      items = new Set();
      this.#lists.set(list, items);
    }
    items.add(itemRow);
    this.#dirty.add(list);
    if (items.size > 2 * this.#options.listLength) this.#write(list);
  }

  /** Keeps and publishes the best of a list, best first. */
  #write(list: number): void {
    const items = this.#lists.get(list) ?? new Set();
    if (this.#others.length > 0) this.#takeListed(list, items);
    const scored = this.#scored([...items]);
    scored.sort((a, b) => b.score - a.score || a.itemRow - b.itemRow);
    const best = scored.slice(0, this.#options.listLength);
    this.#lists.set(list, new Set(best.map(({ itemRow }) => itemRow)));
    const scoreBits = new Uint32Array(this.#score.buffer);
    best.forEach(({ itemRow, score }, i) => {
      this.#score[0] = score;
      this.#records[2 * i] = itemRow;
      this.#records[2 * i + 1] = scoreBits[0];
    });
    this.#options.table.replace(list, this.#records, best.length);
  }

  /** What another partition put into the list. */
  #takeListed(list: number, items: Set<number>): void {
    const count = this.#options.table.read(list, this.#records);
    for (let i = 0; i < count; i++) items.add(this.#records[2 * i]);
  }

  #scored(items: readonly number[]): { readonly itemRow: number; readonly score: number }[] {
    const columns = this.#others.map((table) => {
      const out = new Float64Array(items.length * activityColumns);
      table.read(Int32Array.from(items), items.length, new Uint8Array(out.buffer));
      return out;
    });
    return items.map((itemRow, i) => {
      const at = i * activityColumns;
      const parts = columns.map((column) => column.subarray(at, at + activityColumns));
      return { itemRow, score: this.#scoreWith(itemRow, parts) };
    });
  }

  /** Score of an item as of the newest event, by this partition's counts. */
  scoreOf(itemRow: number): number {
    return this.#scoreWith(itemRow, []);
  }

  #scoreWith(itemRow: number, others: readonly Float64Array[]): number {
    const known = itemRow < this.#itemsUsed;
    const kept = known ? this.#decay(Math.max(0, this.#nowMs - this.#timeMs[itemRow])) : 0;
    let clicks = known ? this.#clicks[itemRow] * kept : 0;
    let shown = known ? this.#shown[itemRow] * kept : 0;
    let lifeClicks = known ? this.#lifeClicks[itemRow] : 0;
    let lifeShown = known ? this.#lifeShown[itemRow] : 0;
    for (const [theirClicks, theirShown, theirLifeClicks, theirLifeShown, timeMs] of others) {
      const theirs = this.#decay(Math.max(0, this.#nowMs - timeMs));
      clicks += theirClicks * theirs;
      shown += theirShown * theirs;
      lifeClicks += theirLifeClicks;
      lifeShown += theirLifeShown;
    }
    return lowerBound(clicks, shown) + lifeWeight * lowerBound(lifeClicks, lifeShown);
  }

  #grow(rows: number): void {
    const length = Math.max(rows, 2 * this.#clicks.length);
    const longer = (old: Float64Array) => {
      const next = new Float64Array(length);
      next.set(old);
      return next;
    };
    this.#clicks = longer(this.#clicks);
    this.#shown = longer(this.#shown);
    this.#lifeClicks = longer(this.#lifeClicks);
    this.#lifeShown = longer(this.#lifeShown);
    this.#timeMs = longer(this.#timeMs);
    const touched = new Uint8Array(length);
    touched.set(this.#isTouched);
    this.#isTouched = touched;
  }

  save(): CheckpointSection[] {
    const column = (values: Float64Array) =>
      new Uint8Array(values.slice(0, this.#itemsUsed).buffer);
    return [
      { name: "trending.clicks", bytes: column(this.#clicks) },
      { name: "trending.shown", bytes: column(this.#shown) },
      { name: "trending.lifeClicks", bytes: column(this.#lifeClicks) },
      { name: "trending.lifeShown", bytes: column(this.#lifeShown) },
      { name: "trending.times", bytes: column(this.#timeMs) },
    ];
  }

  /** The lists come back with the next refreshes: every item with a click counts as touched. */
  restore(saved: SavedCheckpoint): void {
    const column = (name: string) => new Float64Array(readSection(saved, name).buffer);
    const clicks = column("trending.clicks");
    this.#itemsUsed = clicks.length;
    this.#grow(clicks.length);
    this.#clicks.set(clicks);
    this.#shown.set(column("trending.shown"));
    this.#lifeClicks.set(column("trending.lifeClicks"));
    this.#lifeShown.set(column("trending.lifeShown"));
    this.#timeMs.set(column("trending.times"));
    for (let row = 0; row < this.#itemsUsed; row++) {
      if (this.#timeMs[row] > this.#nowMs) this.#nowMs = this.#timeMs[row];
      this.#show(row);
      if (this.#clicks[row] === 0) continue;
      this.#isTouched[row] = 1;
      this.#touched.push(row);
    }
  }
}
