import { noRow } from "../../models/core/bytes.ts";
import { eventAt, readEventCategories } from "../../models/core/event.ts";
import {
  featuresOf,
  type RecommenderDefinition,
  type ScopeName,
} from "../../models/definition/define.ts";
import { aggregateSource, aggregatesOf, wantedSources } from "../../models/features/aggregates.ts";
import { impressionIndex, secondsScale } from "../../models/features/catalog.ts";
import { updateOffset } from "../../models/features/window.ts";
import { limits } from "../../models/limits.ts";
import {
  servedCategories,
  servedCount,
  servedItemRow,
  servedTimeMs,
  servedUserRow,
} from "../../models/training/served-view.ts";
import { ReferenceAggregateTable, ReferencePaneTable } from "../../native/index.ts";
import { type ByScope, byScope } from "../../workers/by-scope.ts";

/** An interaction in a user's recent sequence. */
export interface RecentOne {
  readonly itemRow: number;
  readonly type: number;
  readonly timeMs: number;
}

/** Event time of one partition. */
export interface ReplaySource {
  largestMs: number;
}

/** What one record adds to counters, and under which watermark. */
interface Fact {
  readonly counter: number;
  readonly delta: number;
  readonly timeMs: number;
  readonly watermarkMs: number;
}

const maxU32 = 0xffff_ffff;

/**
 * The windows by their words, for a check: a record at a time into the plain twin of the pane
 * table, with none of the role's own code. Each event id must be given once.
 */
export class WindowsReplay {
  readonly tables: ByScope<ReferencePaneTable>;
  readonly aggregates: ByScope<ReferenceAggregateTable>;
  /** Row of a (user, category) pair in `tables.userCategory`, by `pairKey`. */
  readonly pairs = new Map<number, number>();
  readonly recent = new Map<number, RecentOne[]>();
  /** Offset at which a user's recent sequence last changed. */
  readonly recentOffsets = new Map<number, number>();
  readonly #definition: RecommenderDefinition;
  readonly #impression: number;
  readonly #countsServed: boolean;
  /** By scope and counter, the sources of values that its aggregates take. */
  readonly #wanted: ByScope<Uint8Array>;
  readonly #countsPairs: boolean;
  readonly #countsGlobal: boolean;
  readonly #recentLength: number;
  readonly #categories = new Int32Array(limits.itemCategoriesMax);
  readonly #update = {
    rows: new Uint32Array(1),
    counters: new Uint8Array(1),
    deltas: new Uint32Array(1),
    sources: new Uint8Array(1),
    values: new Uint32Array(1),
    times: new Float64Array(1),
    offsets: new Float64Array(1),
    count: 1,
    watermarkMs: 0,
  };
  /** Room for what either kind of table tells of late updates. */
  readonly #late = new Uint32Array(64);
  readonly #beforeUpdate: (offset: number) => void;
  /** Of the next update of the record that is being taken in. */
  #offset = -1;

  /** `beforeUpdate` is told the row offset of each update before any row shows it. */
  constructor(
    definition: RecommenderDefinition,
    recentLength: number,
    beforeUpdate: (offset: number) => void = () => {},
  ) {
    this.#beforeUpdate = beforeUpdate;
    const { windows, interactions } = definition;
    this.#definition = definition;
    this.#impression = impressionIndex(definition);
    this.#countsServed = definition.negatives === "served" && this.#impression >= 0;
    this.#recentLength = recentLength;
    this.#countsPairs = featuresOf(definition, "userCategory").length > 0;
    this.#countsGlobal = featuresOf(definition, "global").length > 0;
    this.tables = byScope(() =>
      ReferencePaneTable.create({ rows: maxU32, counters: interactions.length, windows }),
    );
    this.aggregates = byScope(
      (scope) => new ReferenceAggregateTable(aggregatesOf(definition, scope)),
    );
    this.#wanted = byScope((scope) => wantedSources(definition, scope));
  }

  static pairKey(userRow: number, categoryRow: number): number {
    return userRow * limits.categoriesMax + categoryRow;
  }

  /** Slates make impressions: topic `served` counts too. */
  get readsServed(): boolean {
    return this.#countsServed;
  }

  /** The sequence number of the record that is given next, where commits say it. */
  begin(sequence: number): void {
    this.#offset = updateOffset(sequence, 0);
  }

  event(source: ReplaySource, view: DataView, at: number): void {
    const claimedMs = view.getFloat64(at + eventAt.timeMs, true);
    const receivedMs = view.getFloat64(at + eventAt.receivedMs, true);
    const early = claimedMs <= receivedMs + limits.futureLeadMs;
    const { timeMs, watermarkMs } = observe(source, early ? claimedMs : receivedMs);
    const counter = view.getUint8(at + eventAt.type);
    if (counter >= this.#definition.interactions.length) return;
    const isImpression = counter === this.#impression;
    if (isImpression && this.#countsServed && !isHistory(view, at)) return;
    const value = view.getFloat32(at + eventAt.value, true);
    const delta = isImpression ? 1 : this.#deltaOf(counter, value);
    if (delta === 0) return;
    const userRow = view.getUint32(at + eventAt.userRow, true);
    const itemRow = view.getUint32(at + eventAt.itemRow, true);
    const categories = readEventCategories(view, at, this.#categories);
    const fact = { counter, delta, timeMs, watermarkMs };
    this.#addOwners(userRow, fact);
    this.#addItem({ userRow, itemRow, categories }, fact);
    if (!isImpression && userRow !== noRow) {
      this.#addRecent(userRow, { itemRow, type: counter, timeMs });
    }
  }

  /** A slate: one impression of each of its items. */
  served(source: ReplaySource, view: DataView, at: number): void {
    const { timeMs, watermarkMs } = observe(source, servedTimeMs(view, at));
    const userRow = servedUserRow(view, at);
    const count = servedCount(view, at);
    const fact = { counter: this.#impression, delta: 1, timeMs, watermarkMs };
    if (count > 0) this.#addOwners(userRow, { ...fact, delta: count });
    for (let index = 0; index < count; index++) {
      const itemRow = servedItemRow(view, at, count, index);
      const categories = servedCategories(view, at, { count, index }, this.#categories);
      this.#addItem({ userRow, itemRow, categories }, fact);
    }
  }

  #deltaOf(type: number, value: number): number {
    if (this.#definition.interactions[type]!.value !== "seconds") return 1;
    return value > 0 ? Math.min(Math.round(value * secondsScale), maxU32) : 0;
  }

  /** Updates are numbered as the role numbers them: counters of the owners, then aggregates. */
  #addOwners(userRow: number, fact: Fact): void {
    const known = userRow !== noRow;
    if (known) this.#add("user", userRow, fact);
    if (this.#countsGlobal) this.#add("global", 0, fact);
    if (known) this.#aggregate("user", userRow, { source: "amount", value: fact.delta }, fact);
    this.#aggregate("global", 0, { source: "amount", value: fact.delta }, fact);
    if (known) this.#aggregate("global", 0, { source: "user", value: userRow }, fact);
  }

  #addItem(of: { userRow: number; itemRow: number; categories: number }, fact: Fact): void {
    this.#add("item", of.itemRow, fact);
    const categories = this.#categories.slice(0, of.categories);
    this.#aggregateItem({ ...of, categories }, fact);
    for (const category of categories) {
      this.#add("category", category, fact);
      if (of.userRow === noRow || !this.#countsPairs) continue;
      this.#add("userCategory", this.#pairRow(of.userRow, category), fact);
    }
  }

  /** Who met what: the item and its categories for the owners, the user for the item. */
  #aggregateItem(
    { userRow, itemRow, categories }: { userRow: number; itemRow: number; categories: Int32Array },
    fact: Fact,
  ): void {
    const known = userRow !== noRow;
    const item = { source: "item", value: itemRow } as const;
    const user = { source: "user", value: userRow } as const;
    const amount = { source: "amount", value: fact.delta } as const;
    for (const scope of known ? (["user", "global"] as const) : (["global"] as const)) {
      const row = scope === "user" ? userRow : 0;
      this.#aggregate(scope, row, item, fact);
      for (const value of categories) {
        this.#aggregate(scope, row, { source: "category", value }, fact);
      }
    }
    this.#aggregate("item", itemRow, amount, fact);
    if (known) this.#aggregate("item", itemRow, user, fact);
    for (const category of categories) {
      this.#aggregate("category", category, amount, fact);
      if (known) this.#aggregate("category", category, user, fact);
      this.#aggregate("category", category, item, fact);
      if (!known || !this.#countsPairs) continue;
      const pair = this.#pairRow(userRow, category);
      this.#aggregate("userCategory", pair, amount, fact);
      this.#aggregate("userCategory", pair, item, fact);
    }
  }

  #pairRow(userRow: number, category: number): number {
    const key = WindowsReplay.pairKey(userRow, category);
    const known = this.pairs.get(key);
    if (known !== undefined) return known;
    this.pairs.set(key, this.pairs.size);
    return this.pairs.size - 1;
  }

  #add(scope: ScopeName, row: number, fact: Fact): void {
    this.#update.deltas[0] = fact.delta;
    this.tables[scope].apply(this.#updateOf(row, fact), this.#late);
  }

  #aggregate(
    scope: ScopeName,
    row: number,
    { source, value }: { source: keyof typeof aggregateSource; value: number },
    fact: Fact,
  ): void {
    const code = aggregateSource[source];
    if (((this.#wanted[scope][fact.counter]! >> code) & 1) === 0) return;
    this.#update.sources[0] = code;
    this.#update.values[0] = value;
    this.aggregates[scope].apply(this.#updateOf(row, fact), this.#late);
  }

  #updateOf(row: number, fact: Fact) {
    const update = this.#update;
    update.rows[0] = row;
    update.counters[0] = fact.counter;
    update.times[0] = fact.timeMs;
    update.watermarkMs = fact.watermarkMs;
    update.offsets[0] = this.#nextOffset();
    return update;
  }

  /** -1, which always applies, where no numbers are given. */
  #nextOffset(): number {
    if (this.#offset < 0) return -1;
    this.#beforeUpdate(this.#offset);
    return this.#offset++;
  }

  /** In event-time order, equal times in order of arrival; the oldest leaves. */
  #addRecent(userRow: number, one: RecentOne): void {
    const offset = this.#nextOffset();
    const list = this.recent.get(userRow) ?? [];
    let place = list.length;
    while (place > 0 && list[place - 1]!.timeMs > one.timeMs) place--;
    if (place === 0 && list.length === this.#recentLength) return;
    list.splice(place, 0, one);
    if (list.length > this.#recentLength) list.shift();
    this.recent.set(userRow, list);
    this.recentOffsets.set(userRow, offset);
  }
}

function observe(
  source: ReplaySource,
  usedMs: number,
): { readonly timeMs: number; readonly watermarkMs: number } {
  source.largestMs = Math.max(source.largestMs, usedMs);
  const watermarkMs = Math.max(0, source.largestMs - limits.maxDisorderMs);
  return { timeMs: Math.max(0, usedMs), watermarkMs };
}

/** Imported: no slate was served for it here. */
function isHistory(view: DataView, at: number): boolean {
  const words = [0, 4, 8, 12].map((i) => view.getUint32(at + eventAt.requestId + i, true));
  const receivedMs = view.getFloat64(at + eventAt.receivedMs, true);
  return (
    words.every((word) => word === 0) && view.getFloat64(at + eventAt.timeMs, true) === receivedMs
  );
}
