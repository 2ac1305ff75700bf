import { noRow } from "../../models/core/bytes.ts";
import { encodeEvent } from "../../models/core/event.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { FeatureEncoder } from "../../models/features/encoder.ts";
import { limits } from "../../models/limits.ts";
import { rankerShapeOf } from "../../models/ranking/definition-shape.ts";
import { createRanker } from "../../models/ranking/ranker.ts";
import { type LabelMask, labelMask } from "../../models/training/label-mask.ts";
import type { Sample } from "../../models/training/sample.ts";
import { FeedContext, type FeedRequest } from "../../workers/ranking/feed-context.ts";
import { featuresHydrator } from "../../workers/ranking/hydrators/features-hydrator.ts";
import { itemAttributesHydrator } from "../../workers/ranking/hydrators/item-attributes-hydrator.ts";
import { windowsHydrator } from "../../workers/ranking/hydrators/windows-hydrator.ts";
import { userHydrator } from "../../workers/ranking/query-hydrators/user-hydrator.ts";
import { createSharedState, type SharedState } from "../../workers/shared-state.ts";
import type { LogBatch } from "../../workers/stores/event-log.ts";
import { WindowsCore } from "../../workers/windows/windows.ts";
import { ItemMemory } from "../ingest/item-attributes.ts";
import type { HistoryDocument, HistoryEvent, HistoryRow, HistoryTie } from "./read-history.ts";

/** Samples of one tie: a mini-batch takes all of them or none. */
export interface SampleTie {
  readonly held: boolean;
  readonly samples: readonly Sample[];
  /** A number for the user of each sample, also where the sample names no row. */
  readonly users: readonly number[];
}

export interface PointInTimeOptions {
  readonly definition: RecommenderDefinition;
  /** Ids whose rows come first, in this order: those of a data folder. */
  readonly known?: { readonly users: readonly string[]; readonly items: readonly string[] };
  /** Users and items of the history at most. */
  readonly users: number;
  readonly items: number;
}

const dedupIdsMax = 1_024;

/**
 * Replays history in its own time through the counters and the pipeline stages that serve: what a
 * row's features say is what a request at that moment would have been told.
 *
 * Everything of one millisecond is a tie: first the features of all of its rows, then its events.
 * So a row knows only what is strictly earlier, its own outcome and those beside it on a page not.
 */
export class PointInTime {
  readonly state: SharedState;
  readonly #options: PointInTimeOptions;
  readonly #windows: WindowsCore;
  readonly #memory: ItemMemory;
  readonly #mask: LabelMask;
  readonly #pages: PageFeatures;
  readonly #categories = new Int32Array(limits.itemCategoriesMax);
  #events = 0;

  constructor(options: PointInTimeOptions) {
    const { definition, known } = options;
    this.#options = options;
    this.#mask = labelMask(definition);
    this.state = createSharedState(definition, {
      dataDir: null,
      modelFloats: createRanker(rankerShapeOf(definition)).slotFloats,
      limits: capacitiesOf(options),
    });
    const { users, items, categories, partials, recent } = this.state;
    for (const id of known?.users ?? []) users.intern(id);
    for (const id of known?.items ?? []) items.intern(id);
    this.#windows = new WindowsCore({
      ...{ definition, dedupIdsMax, recentLength: recent.length },
      tables: { ...partials[0]!, recent },
      partitions: { events: 1, served: 1 },
    });
    this.#memory = new ItemMemory({
      ...{ categories, categoriesMax: limits.categoriesMax },
      attributes: this.state.itemAttributes,
      fresh: { push: () => true },
    });
    this.#pages = new PageFeatures(definition, this.state);
  }

  document({ item, document }: HistoryDocument): void {
    this.#memory.put(this.state.items.intern(item), document);
  }

  /** Features of the tie's rows, then its events. */
  take(tie: HistoryTie): SampleTie[] {
    for (const { document } of tie.rows) if (document !== null) this.document(document);
    const samples = [false, true].flatMap((held) => {
      const rows = tie.rows.filter((row) => row.held === held);
      return rows.length === 0 ? [] : [this.#sampleTie(rows, { held, timeMs: tie.timeMs })];
    });
    if (tie.events.length > 0) this.#apply(tie.events);
    return samples;
  }

  #sampleTie(rows: readonly HistoryRow[], of: { held: boolean; timeMs: number }): SampleTie {
    const samples: Sample[] = [];
    const users: number[] = [];
    for (const { user, page } of pagesOf(rows)) {
      samples.push(...this.#page(user, page, of.timeMs));
      for (const _ of page) users.push(this.state.users.find(user));
    }
    return { held: of.held, samples, users };
  }

  #page(user: string, page: readonly HistoryRow[], timeMs: number): Sample[] {
    const items = page.map((row) => this.state.items.intern(row.item));
    const userRow = this.state.users.intern(user);
    this.#pages.read(user, items, timeMs);
    return page.map((row, i) =>
      this.#sample(row, { userRow, itemRow: items[i]!, ...this.#pages.of(i) }),
    );
  }

  #sample(
    row: HistoryRow,
    read: Pick<Sample, "userRow" | "itemRow" | "categoryRow" | "userDense" | "itemDense">,
  ): Sample {
    const { known } = this.#options;
    const labels = row.labels.slice();
    this.#mask(labels, read.itemDense);
    const within = (id: number, rows: number | undefined) =>
      id < (rows ?? Number.POSITIVE_INFINITY) ? id : noRow;
    return {
      ...read,
      userRow: within(read.userRow, known?.users.length),
      itemRow: within(read.itemRow, known?.items.length),
      ...{ kind: "primary", position: 0, weight: 1, requestId: [0, 0, 0, 0] },
      ...{ servedMs: row.timeMs, emittedMs: row.timeMs, labels },
    };
  }

  #apply(events: readonly HistoryEvent[]): void {
    const records = events.map((event) => this.#record(event));
    const bounds = new Uint32Array(records.length + 1);
    records.forEach((record, i) => {
      bounds[i + 1] = bounds[i]! + record.length;
    });
    const data = new Uint8Array(bounds[records.length]!);
    records.forEach((record, i) => {
      data.set(record, bounds[i]);
    });
    const firstOffset = this.#events - records.length;
    const batch: LogBatch = { firstOffset, count: records.length, data, bounds };
    this.#windows.apply(this.#windows.sources[0]!, batch);
  }

  #record(event: HistoryEvent): Uint8Array {
    const { type, user, item, timeMs, value } = event;
    const itemRow = this.state.items.intern(item);
    const count = this.state.itemAttributes.categoriesOf(itemRow, this.#categories);
    this.#events++;
    return encodeEvent({
      ...{ type, user, item, timeMs, value, itemRow, receivedMs: timeMs },
      userRow: this.state.users.intern(user),
      id: [this.#events >>> 0, Math.floor(this.#events / 2 ** 32), 0, 1],
      requestId: [0, 0, 0, 0],
      categories: this.#categories.slice(0, count),
    });
  }

  close(): void {
    this.state.release();
  }
}

/** Rows of one moment as requests would ask for them: by user, at most as many as one may name. */
export function pagesOf(
  rows: readonly HistoryRow[],
): { readonly user: string; readonly page: readonly HistoryRow[] }[] {
  return [...Map.groupBy(rows, (row) => row.user)].flatMap(([user, all]) => {
    const pages = Math.ceil(all.length / limits.rankItemsMax);
    return Array.from({ length: pages }, (_, i) => {
      const page = all.slice(i * limits.rankItemsMax, (i + 1) * limits.rankItemsMax);
      return { user, page };
    });
  });
}

function capacitiesOf({ users, items, known }: PointInTimeOptions) {
  const room = (count: number) => Math.max(1_024, count);
  return {
    usersMax: room(users + (known?.users.length ?? 0)),
    itemsMax: room(items + (known?.items.length ?? 0)),
    userCategoryPairsMax: limits.userCategoryPairsMax,
  };
}

const noRequest: FeedRequest = {
  ...{ kind: "rank", requestId: [0, 0, 0, 0], user: null, recent: [], n: 0, context: {} },
  ...{ exclude: [], categories: [], weights: null, given: [], details: false, explain: false },
};

/** Features of a page of one user, by the stages of the request pipeline. */
class PageFeatures {
  readonly #context: FeedContext;
  readonly #stages: { hydrate(context: FeedContext): unknown }[];
  readonly #encoder: FeatureEncoder;

  constructor(definition: RecommenderDefinition, state: SharedState) {
    this.#encoder = new FeatureEncoder(definition);
    const quotas: readonly number[] = [];
    this.#context = new FeedContext({ definition, encoder: this.#encoder, quotas, reader: 0 });
    this.#stages = [
      userHydrator(state),
      itemAttributesHydrator(state),
      windowsHydrator(state, definition),
      featuresHydrator(this.#encoder, { itemToItem: -1, vector: -1 }),
    ];
  }

  read(user: string, items: readonly number[], asOfMs: number): void {
    this.#context.begin({ ...noRequest, user }, asOfMs, Number.POSITIVE_INFINITY);
    this.#context.candidates.rows.set(items);
    this.#context.candidates.count = items.length;
    for (const stage of this.#stages) stage.hydrate(this.#context);
  }

  of(index: number) {
    const { ranked, attributes } = this.#context;
    const { itemWidth } = this.#encoder.catalog;
    const category = attributes.categories[index * limits.itemCategoriesMax]!;
    const at = index * itemWidth;
    return {
      categoryRow: category < 0 ? noRow : category,
      userDense: ranked.userDense.slice(),
      itemDense: ranked.itemDense.slice(at, at + itemWidth),
    };
  }
}
