import { assert } from "../../models/core/assert.ts";
import { noRow, viewOf } from "../../models/core/bytes.ts";
import { eventAt, readEventCategories } from "../../models/core/event.ts";
import { RecentIds } from "../../models/core/recent-ids.ts";
import type { Watermark } from "../../models/core/watermark.ts";
import { featuresOf, type RecommenderDefinition } from "../../models/definition/define.ts";
import { updatesPerItem } from "../../models/features/aggregates.ts";
import { impressionIndex, interactionIndex, secondsScale } from "../../models/features/catalog.ts";
import {
  commonPaneMs,
  isLate,
  updateOffset,
  updatesPerRecord,
} from "../../models/features/window.ts";
import { limits } from "../../models/limits.ts";
import {
  servedCategories,
  servedCount,
  servedItemRow,
  servedTimeMs,
  servedUserRow,
} from "../../models/training/served-view.ts";
import type { LogBatch } from "../stores/event-log.ts";
import { type InputPartitions, type LogSource, makeSources } from "../stores/log-source.ts";
import { Aggregates } from "./aggregates.ts";
import { emptyCounts, type WindowCounts } from "./counts.ts";
import type { LateRecord } from "./late-records.ts";
import { RecentSequences } from "./recent-sequences.ts";
import { SeenItems, type SeenTable } from "./seen-items.ts";
import type { CounterTable, PairRows, WindowTables } from "./tables.ts";
import { PairUpdateBuffer, UpdateBuffer } from "./update-buffer.ts";

export interface WindowsOptions {
  readonly definition: RecommenderDefinition;
  readonly tables: WindowTables;
  readonly partitions: InputPartitions;
  readonly activity?: ItemActivity;
  /** Where it is noted what users have met; null: nowhere. */
  readonly seen?: SeenTable;
  readonly dedupIdsMax?: number;
  readonly maxDisorderMs?: number;
  readonly futureLeadMs?: number;
}

export interface WindowScopes {
  readonly user: UpdateBuffer<CounterTable>;
  readonly item: UpdateBuffer<CounterTable>;
  readonly category: UpdateBuffer<CounterTable>;
  readonly userCategory: PairUpdateBuffer<CounterTable>;
  readonly global: UpdateBuffer<CounterTable>;
}

/** Told of what makes an item trend. Times are event times. */
export interface ItemActivity {
  shown(itemRow: number, timeMs: number): void;
  clicked(itemRow: number, timeMs: number): void;
}

const bufferRows = 8_192;
/** Ids that are looked at together, so that their cache misses overlap and do not add up. */
const idsAhead = 64;

/**
 * Turns events into counters per user, item, category and user x category, and into each user's
 * recent sequence. Pure: batches in, table updates out; time is event time.
 *
 * An item's categories are those that its record holds, from when it was accepted or shown: what a
 * record counts for does not depend on when it is read, so a replay gives the same counters.
 *
 * Applied once: each source has one next offset, and records before it are skipped; an event id
 * that is still known is skipped too. The tables' own row offsets hold the sequence number of the
 * record over all sources (`sequenceOf`; with one source read from offset 0 it is the log offset).
 * It only grows, so that a table never skips; it says which prefix of the input a row has taken in.
 *
 * Impressions, the denominator of every rate: where the definition's negatives are `served`, one
 * for each item of a served slate, and then a client's impression counts only where it is imported
 * history (no request id, received when it happened), for which no slate was served here. Where
 * they are `impression`, the client's word counts and slates do not.
 */
export class WindowsCore {
  readonly sources: readonly LogSource[];
  readonly counts: WindowCounts;
  readonly recent: RecentSequences | null;
  readonly seen: SeenItems | null;
  readonly ids: RecentIds;
  readonly scopes: WindowScopes;
  /** Null where no feature asks for any. */
  readonly aggregates: Aggregates | null;
  /** Records taken in, over all sources. */
  sequence = 0;
  /** Told of what is late for some window; null: nobody is. */
  late: { add(late: LateRecord): void } | null = null;
  /** Offset of the next commit of the role (commit.ts). */
  commits = 0;
  /** The first event that was taken in since this was null: when it happened and was accepted. */
  oldest: { readonly timeMs: number; readonly acceptedMs: number } | null = null;
  readonly pairs: PairRows;
  readonly #definition: RecommenderDefinition;
  readonly #activity: ItemActivity | null;
  readonly #futureLeadMs: number;
  readonly #impression: number;
  readonly #click: number;
  readonly #countsServed: boolean;
  readonly #paneMs: number;
  /** Categories of the item that is being counted, and how many they are. */
  readonly #categories = new Int32Array(limits.itemCategoriesMax);
  #categoryCount = 0;
  #watermarkMs = 0;
  /** Where the record in hand stands. */
  #source: LogSource | null = null;
  #offset = 0;
  /** What the updates of the record in hand add. */
  readonly #adding = { counter: 0, delta: 0, timeMs: 0, updateOffset: 0 };
  readonly #countsPairs: boolean;
  readonly #countsGlobal: boolean;

  constructor(options: WindowsOptions) {
    const { definition, tables, partitions } = options;
    this.#definition = definition;
    this.pairs = tables.pairs;
    this.#activity = options.activity ?? null;
    this.#futureLeadMs = options.futureLeadMs ?? limits.futureLeadMs;
    this.#impression = impressionIndex(definition);
    this.#click = interactionIndex(definition, definition.heads[0]?.interaction ?? "click");
    this.#countsServed = definition.negatives === "served" && this.#impression >= 0;
    this.#paneMs = commonPaneMs(definition.windows);
    this.ids = new RecentIds(options.dedupIdsMax ?? limits.dedupIdsMax);
    this.recent = tables.recent === null ? null : new RecentSequences(tables.recent, bufferRows);
    this.#countsPairs = featuresOf(definition, "userCategory").length > 0;
    this.#countsGlobal = featuresOf(definition, "global").length > 0;
    const { pairs, aggregates } = tables;
    const asked = { definition, tables: aggregates, pairs, capacity: bufferRows };
    const any = Object.values(aggregates).some((table) => table !== null);
    this.aggregates = any ? new Aggregates(asked) : null;
    const most = limits.slateItemsMax * updatesPerItem(definition, this.#impression);
    assert(most < updatesPerRecord, "the features ask for more updates than a slate has numbers");
    this.seen = options.seen === undefined ? null : new SeenItems(options.seen);
    this.scopes = scopeBuffers(tables, definition.windows.length);
    const marks = {
      maxDisorderMs: options.maxDisorderMs ?? limits.maxDisorderMs,
      futureLeadMs: this.#futureLeadMs,
    };
    this.sources = [
      ...makeSources("events", partitions, marks),
      ...(this.#countsServed ? makeSources("served", partitions, marks) : []),
    ];
    this.counts = emptyCounts(definition.windows.length);
  }

  /** Applies a batch of a source; records before the source's next offset are skipped. */
  apply(source: LogSource, batch: LogBatch): void {
    // A batch may start later than asked for: the log dropped what was too old.
    const first = Math.max(0, source.offset - batch.firstOffset);
    const view = viewOf(batch.data);
    this.#watermarkMs = source.watermark.valueMs;
    this.#source = source;
    if (this.aggregates !== null) this.aggregates.watermarkMs = this.#watermarkMs;
    for (let i = first; i < batch.count; i++) {
      this.#adding.updateOffset = updateOffset(this.sequence, 0);
      this.#offset = batch.firstOffset + i;
      if (source.topic === "events") {
        if ((i - first) % idsAhead === 0) this.#touchIds(view, batch, i);
        this.#event(view, batch.bounds[i], source.watermark);
      } else this.#served(view, batch.bounds[i], source.watermark);
      this.sequence++;
    }
    source.offset = Math.max(source.offset, batch.firstOffset + batch.count);
    this.flush();
  }

  /** Everything taken in so far is in the tables. */
  flush(): void {
    this.#flushCounters();
    this.recent?.flush();
    this.seen?.flush();
  }

  #flushCounters(): void {
    this.scopes.user.flush(this.#watermarkMs);
    this.scopes.item.flush(this.#watermarkMs);
    this.scopes.category.flush(this.#watermarkMs);
    this.scopes.userCategory.flush(this.#watermarkMs);
    this.scopes.global.flush(this.#watermarkMs);
    this.aggregates?.flush(this.#watermarkMs);
    this.counts.pairsRefused += this.scopes.userCategory.refused;
    this.scopes.userCategory.refused = 0;
  }

  #touchIds(view: DataView, { bounds, count }: LogBatch, from: number): void {
    const to = Math.min(count, from + idsAhead);
    for (let i = from; i < to; i++) {
      const at = bounds[i] + eventAt.id;
      const [a, b] = [view.getUint32(at, true), view.getUint32(at + 4, true)];
      this.ids.touch(a, b, view.getUint32(at + 8, true));
    }
  }

  #event(view: DataView, at: number, watermark: Watermark): void {
    this.counts.events++;
    if (!this.#isNew(view, at + eventAt.id)) {
      this.counts.duplicates++;
      return;
    }
    const receivedMs = view.getFloat64(at + eventAt.receivedMs, true);
    const claimedMs = view.getFloat64(at + eventAt.timeMs, true);
    this.oldest ??= { timeMs: claimedMs, acceptedMs: receivedMs };
    if (claimedMs > receivedMs + this.#futureLeadMs) this.counts.future++;
    const timeMs = this.#takeTime(watermark, claimedMs, receivedMs);
    const type = view.getUint8(at + eventAt.type);
    if (type >= this.#definition.interactions.length) this.counts.unknown++;
    else if (type === this.#impression) this.#impressionEvent(view, at, timeMs);
    else this.#interaction(view, at, type, timeMs);
  }

  #isNew(view: DataView, at: number): boolean {
    return this.ids.add(
      view.getUint32(at, true),
      view.getUint32(at + 4, true),
      view.getUint32(at + 8, true),
      view.getUint32(at + 12, true),
    );
  }

  /** Moves the watermark; what was gathered under other closed panes is applied first. */
  #takeTime(watermark: Watermark, claimedMs: number, receivedMs: number): number {
    // A time before 1970 would make the table refuse the whole batch.
    const timeMs = Math.max(0, watermark.observe(claimedMs, receivedMs));
    const valueMs = watermark.valueMs;
    if (Math.floor(valueMs / this.#paneMs) !== Math.floor(this.#watermarkMs / this.#paneMs)) {
      this.#flushCounters();
    }
    this.#watermarkMs = valueMs;
    if (this.aggregates !== null) this.aggregates.watermarkMs = valueMs;
    if (timeMs < valueMs) this.#countLate(timeMs);
    return timeMs;
  }

  #countLate(timeMs: number): void {
    const { windows } = this.#definition;
    let missed = 0;
    for (let w = 0; w < windows.length; w++) {
      if (!isLate(timeMs, windows[w].paneMs, this.#watermarkMs)) continue;
      this.counts.lateByWindow[w]++;
      missed |= 1 << w;
    }
    if (missed === 0) return;
    this.counts.late++;
    if (this.late === null || this.#source === null) return;
    const { topic, partition } = this.#source;
    const [sequence, offset, watermarkMs] = [this.sequence, this.#offset, this.#watermarkMs];
    const at = { sequence, topic, partition, offset };
    this.late.add({ ...at, timeMs, watermarkMs, windows: missed });
  }

  #impressionEvent(view: DataView, at: number, timeMs: number): void {
    const userRow = view.getUint32(at + eventAt.userRow, true);
    const itemRow = view.getUint32(at + eventAt.itemRow, true);
    if (userRow !== noRow && hasRequest(view, at)) this.seen?.shown(userRow, itemRow);
    if (this.#countsServed && !isImported(view, at)) {
      this.counts.impressionsIgnored++;
      return;
    }
    this.#begin(this.#impression, 1, timeMs);
    this.#categoryCount = readEventCategories(view, at, this.#categories);
    this.#count(userRow, itemRow);
    if (userRow !== noRow && !hasRequest(view, at)) this.seen?.add(userRow, itemRow);
    this.#activity?.shown(itemRow, timeMs);
  }

  #interaction(view: DataView, at: number, type: number, timeMs: number): void {
    const delta = this.#deltaOf(type, view.getFloat32(at + eventAt.value, true));
    if (delta === 0) return;
    const userRow = view.getUint32(at + eventAt.userRow, true);
    const itemRow = view.getUint32(at + eventAt.itemRow, true);
    this.#begin(type, delta, timeMs);
    this.#categoryCount = readEventCategories(view, at, this.#categories);
    this.#count(userRow, itemRow);
    if (userRow !== noRow) {
      this.recent?.add(userRow, { itemRow, type, timeMs }, this.#adding.updateOffset);
      if (!hasRequest(view, at)) this.seen?.add(userRow, itemRow);
    }
    if (type === this.#click) this.#activity?.clicked(itemRow, timeMs);
  }

  /** Seconds are summed in 1/64 s, everything else is counted. */
  #deltaOf(type: number, value: number): number {
    if (this.#definition.interactions[type].value !== "seconds") return 1;
    return value > 0 ? Math.min(Math.round(value * secondsScale), 0xffff_ffff) : 0;
  }

  #served(view: DataView, at: number, watermark: Watermark): void {
    const sentMs = servedTimeMs(view, at);
    const timeMs = this.#takeTime(watermark, sentMs, sentMs);
    const userRow = servedUserRow(view, at);
    const count = servedCount(view, at);
    this.#begin(this.#impression, count, timeMs);
    if (count > 0) this.#countOwners(userRow);
    this.#adding.delta = 1;
    for (let i = 0; i < count; i++) {
      const itemRow = servedItemRow(view, at, count, i);
      const place = { count, index: i };
      this.#categoryCount = servedCategories(view, at, place, this.#categories);
      this.#countItem(userRow, itemRow);
      if (userRow !== noRow) this.seen?.served(userRow, itemRow);
      this.#activity?.shown(itemRow, timeMs);
    }
    this.counts.servedItems += count;
  }

  /** What the following updates add. */
  #begin(counter: number, delta: number, timeMs: number): void {
    this.#adding.counter = counter;
    this.#adding.delta = delta;
    this.#adding.timeMs = timeMs;
  }

  #count(userRow: number, itemRow: number): void {
    this.#countOwners(userRow);
    this.#countItem(userRow, itemRow);
  }

  #countOwners(userRow: number): void {
    if (userRow !== noRow) this.#add(this.scopes.user, userRow);
    if (this.#countsGlobal) this.#add(this.scopes.global, 0);
    this.aggregates?.addOwners(userRow, this.#adding);
  }

  #countItem(userRow: number, itemRow: number): void {
    this.#add(this.scopes.item, itemRow);
    if (this.aggregates !== null) this.#aggregateItem(this.aggregates, userRow, itemRow);
    for (let i = 0; i < this.#categoryCount; i++) {
      const category = this.#categories[i];
      this.#add(this.scopes.category, category);
      if (userRow === noRow || !this.#countsPairs) continue;
      const { userCategory } = this.scopes;
      if (userCategory.isFull) this.#flushCounters();
      userCategory.addPair(userRow, category, this.#adding);
    }
  }

  #aggregateItem(aggregates: Aggregates, userRow: number, itemRow: number): void {
    const [categories, categoryCount] = [this.#categories, this.#categoryCount];
    const fact = { userRow, itemRow, categories, categoryCount };
    aggregates.addItem(fact, this.#adding);
    for (let i = 0; i < categoryCount; i++) {
      aggregates.addCategory(fact, categories[i], this.#adding);
    }
  }

  #add(buffer: UpdateBuffer<CounterTable>, row: number): void {
    if (buffer.isFull) buffer.flush(this.#watermarkMs);
    buffer.add(row, this.#adding);
  }
}

/** It names the slate that it follows. */
function hasRequest(view: DataView, at: number): boolean {
  const id = at + eventAt.requestId;
  const low = view.getUint32(id, true) | view.getUint32(id + 4, true);
  const high = view.getUint32(id + 8, true) | view.getUint32(id + 12, true);
  return (low | high) !== 0;
}

/** History that was imported: nobody served a slate for it here. */
function isImported(view: DataView, at: number): boolean {
  return (
    !hasRequest(view, at) &&
    view.getFloat64(at + eventAt.timeMs, true) === view.getFloat64(at + eventAt.receivedMs, true)
  );
}

function scopeBuffers(tables: WindowTables, windows: number): WindowScopes {
  const options = { capacity: bufferRows, late: windows };
  return {
    user: new UpdateBuffer(tables.user, options),
    item: new UpdateBuffer(tables.item, options),
    category: new UpdateBuffer(tables.category, options),
    userCategory: new PairUpdateBuffer(tables.userCategory, tables.pairs, options),
    global: new UpdateBuffer(tables.global, options),
  };
}
