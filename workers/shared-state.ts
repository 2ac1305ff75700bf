import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { RecommenderDefinition, ScopeName } from "../models/definition/define.ts";
import { aggregatesOf } from "../models/features/aggregates.ts";
import { hashedRows, type IdRows, ownRows } from "../models/layers/id-rows.ts";
import { IdVectors } from "../models/layers/id-vectors.ts";
import { RowIndex } from "../models/layers/row-index.ts";
import { limits } from "../models/limits.ts";
import { idTableOf } from "../models/ranking/definition-shape.ts";
import {
  AggregateTable,
  EmbeddingTable,
  IdTable,
  ModelSlots,
  PaneTable,
  RowTable,
  SequenceTable,
  SharedMetrics,
} from "../native/index.ts";
import { type ByScope, byScope } from "./by-scope.ts";
import { metricNames } from "./metrics.ts";
import { RowFiles } from "./row-files.ts";
import { AppliedDocuments, appliedDocumentsBytes } from "./stores/applied-documents.ts";
import {
  ItemAttributeTable,
  type ItemColumns,
  itemAttributeBytes,
} from "./stores/item-attributes.ts";
import {
  type AggregateReaders,
  aggregateReaders,
  PairPanes,
  SummedPanes,
  type WindowPartial,
} from "./window-partials.ts";

/** How much is reserved: address space, not memory. */
export type SharedCapacities = {
  readonly [Name in
    | "usersMax"
    | "itemsMax"
    | "categoriesMax"
    | "userCategoryPairsMax"
    | "paneFullRowsMax"
    | "paneFiledRowsMax"
    | "rowsInMemoryMax"
    | "filedRowsMax"
    | "idBytesMax"
    | "recentInteractionsPerUser"
    | "seenItemsPerUser"
    | "listItemsMax"
    | "modelSlots"
    | "readersMax"]: number;
};

export interface SharedStateOptions {
  /** Where the embedding files stand; null for anonymous memory. */
  readonly dataDir: string | null;
  /** Floats of one model slot: the ranker's `slotFloats`. */
  readonly modelFloats: number;
  readonly limits?: Partial<SharedCapacities>;
  /**
   * Where rows go that leave memory. Null: full rows of counters are given up, sequences and
   * aggregates all stay. Default: dataDir.
   */
  readonly rowFilesIn?: string | null;
  /** Partitions of users, each with counters of its own. Default 1. */
  readonly partitions?: number;
}

/** Words of a record: item row, interaction type, event time as the two halves of a float64. */
const recentWords = 4;
/** Item row, score as float32 bits. */
const trendingWords = 2;
/** An item's decayed counts as one partition has them: five float64. */
const activityBytes = 40;

/** What one partition of users has alone. */
interface PartialHandles {
  readonly user: number;
  readonly item: number;
  readonly category: number;
  readonly userCategory: number;
  readonly global: number;
  /** Null where no feature of the scope asks for any. */
  readonly aggregates: ByScope<number | null>;
  readonly pairs: number;
  /** Absent where there is one partition. */
  readonly activity?: number;
}

/** Plain numbers: what another thread needs to attach. */
export interface SharedHandles {
  readonly users: number;
  readonly items: number;
  readonly categories: number;
  readonly partials: readonly PartialHandles[];
  readonly recent: number;
  readonly seen: number;
  readonly itemAttributes: number;
  readonly appliedDocuments: number;
  readonly trending: number;
  readonly fresh: number;
  readonly userEmbeddings: number;
  readonly itemEmbeddings: number;
  /** How rows of these are found: a handle is that of an index. */
  readonly userIds: "own" | "hashed" | number;
  readonly itemIds: "own" | "hashed" | number;
  readonly slots: number;
  readonly metrics: number;
}

/**
 * Everything that the threads share, as one thread sees it. The main thread assigns rows and
 * writes item attributes and `fresh`; the windows role writes `partials`, `recent` and `trending`;
 * rank workers write `seen`; the trainer writes embeddings and slots.
 */
export class SharedState {
  readonly handles: SharedHandles;
  readonly users: IdTable;
  readonly items: IdTable;
  readonly categories: IdTable;
  /** By partition. Counters: the definition's interactions; windows: the definition's windows. */
  readonly partials: readonly WindowPartial[];
  /** By partition, what its items did lately; none where there is one partition. */
  readonly activity: readonly RowTable[];
  /** The same counters as readers see them. */
  readonly windows: {
    readonly user: SummedPanes;
    readonly item: SummedPanes;
    readonly category: SummedPanes;
    readonly userCategory: PairPanes;
    readonly global: SummedPanes;
  };
  /** What sums of panes cannot say, in the same rows (models/features/aggregates.ts). */
  readonly aggregates: AggregateReaders;
  /** User row; records of four words, newest last. */
  readonly recent: SequenceTable;
  /** User row; records of one word, the row of an item that was served. */
  readonly seen: SequenceTable;
  readonly itemAttributes: ItemAttributeTable;
  /** How far topic `items` has been applied to the attributes. */
  readonly appliedDocuments: AppliedDocuments;
  /** Row 0 global, 1 + category row; records (item row, score bits), best first. */
  readonly trending: SequenceTable;
  /** The same rows; records of one item row, newest last. */
  readonly fresh: SequenceTable;
  readonly userEmbeddings: EmbeddingTable;
  readonly itemEmbeddings: EmbeddingTable;
  /** Which rows of these are an id's. */
  readonly ids: { readonly users: IdRows; readonly items: IdRows };
  /** What says so where rows are handed out. */
  readonly indexes: { readonly userIndex?: EmbeddingTable; readonly itemIndex?: EmbeddingTable };
  /** The same rows as vectors of ids. */
  readonly userVectors: IdVectors;
  readonly itemVectors: IdVectors;
  readonly slots: ModelSlots;
  readonly metrics: SharedMetrics;

  constructor(handles: SharedHandles) {
    this.handles = handles;
    this.users = IdTable.attach(handles.users);
    this.items = IdTable.attach(handles.items);
    this.categories = IdTable.attach(handles.categories);
    this.partials = handles.partials.map(attachPartial);
    this.activity = handles.partials.flatMap(({ activity }) =>
      activity === undefined ? [] : [RowTable.attach(activity)],
    );
    this.windows = windowsOf(this.partials);
    this.aggregates = aggregateReaders(this.partials);
    this.recent = SequenceTable.attach(handles.recent);
    this.seen = SequenceTable.attach(handles.seen);
    this.itemAttributes = new ItemAttributeTable(RowTable.attach(handles.itemAttributes));
    this.appliedDocuments = new AppliedDocuments(RowTable.attach(handles.appliedDocuments));
    this.trending = SequenceTable.attach(handles.trending);
    this.fresh = SequenceTable.attach(handles.fresh);
    this.userEmbeddings = EmbeddingTable.attach(handles.userEmbeddings);
    this.itemEmbeddings = EmbeddingTable.attach(handles.itemEmbeddings);
    this.ids = {
      users: idRowsOf(handles.userIds, this.userEmbeddings.rows),
      items: idRowsOf(handles.itemIds, this.itemEmbeddings.rows),
    };
    const { users, items } = this.ids;
    this.indexes = {
      ...(users instanceof RowIndex ? { userIndex: users.table } : {}),
      ...(items instanceof RowIndex ? { itemIndex: items.table } : {}),
    };
    this.userVectors = new IdVectors(this.userEmbeddings, this.ids.users);
    this.itemVectors = new IdVectors(this.itemEmbeddings, this.ids.items);
    this.slots = ModelSlots.attach(handles.slots);
    this.metrics = SharedMetrics.attach(handles.metrics, metricNames);
  }

  readAttributes(rows: Int32Array, count: number, out: ItemColumns): void {
    this.itemAttributes.read(rows, count, out);
  }

  /** Frees everything. Only when no other thread is attached any more. */
  release(): void {
    for (const table of this.#all()) table.release();
  }

  #all(): { release(): void }[] {
    return [
      this.users,
      this.items,
      this.categories,
      ...this.partials.flatMap(({ aggregates, ...tables }): { release(): void }[] => [
        ...Object.values(tables),
        ...Object.values(aggregates).filter((table) => table !== null),
      ]),
      ...this.activity,
      this.recent,
      this.seen,
      this.itemAttributes.table,
      this.appliedDocuments.table,
      this.trending,
      this.fresh,
      this.userEmbeddings,
      this.itemEmbeddings,
      ...Object.values(this.indexes),
      this.slots,
      this.metrics,
    ];
  }
}

function attachPartial(handles: PartialHandles): WindowPartial {
  return {
    user: PaneTable.attach(handles.user),
    item: PaneTable.attach(handles.item),
    category: PaneTable.attach(handles.category),
    userCategory: PaneTable.attach(handles.userCategory),
    global: PaneTable.attach(handles.global),
    aggregates: byScope((scope) => {
      const handle = handles.aggregates[scope];
      return handle === null ? null : AggregateTable.attach(handle);
    }),
    pairs: IdTable.attach(handles.pairs),
  };
}

function idRowsOf(handle: SharedHandles["userIds"], rows: number): IdRows {
  if (handle === "own") return ownRows;
  return handle === "hashed" ? hashedRows(rows) : new RowIndex(EmbeddingTable.attach(handle), rows);
}

function windowsOf(partials: readonly WindowPartial[]): SharedState["windows"] {
  const summed = (scope: "user" | "item" | "category" | "global") =>
    new SummedPanes(partials.map((partial) => partial[scope]));
  return {
    ...{ user: summed("user"), item: summed("item"), category: summed("category") },
    ...{ userCategory: new PairPanes(partials), global: summed("global") },
  };
}

export function createSharedState(
  definition: RecommenderDefinition,
  options: SharedStateOptions,
): SharedState {
  const capacities: SharedCapacities = { ...limits, ...options.limits };
  const { dataDir, rowFilesIn = dataDir, partitions = 1 } = options;
  const files = rowFilesIn === null ? null : new RowFiles(rowFilesIn);
  return new SharedState({
    ...createIds(capacities),
    partials: createPartials(definition, capacities, { partitions, files }),
    ...createSequences(capacities, files),
    itemAttributes: RowTable.create({
      rows: capacities.itemsMax,
      rowBytes: itemAttributeBytes,
    }).handle,
    appliedDocuments: RowTable.create({ rows: 1, rowBytes: appliedDocumentsBytes }).handle,
    ...createEmbeddings(definition, capacities, dataDir),
    slots: ModelSlots.create({
      slots: capacities.modelSlots,
      floats: options.modelFloats,
      readers: capacities.readersMax,
    }).handle,
    metrics: SharedMetrics.create(metricNames).handle,
  });
}

/** The same state in another thread. */
export function attachSharedState(handles: SharedHandles): SharedState {
  return new SharedState(handles);
}

function createIds(capacities: SharedCapacities) {
  const ids = (capacity: number) =>
    IdTable.create({ capacity, bytesMax: capacity * capacities.idBytesMax }).handle;
  return {
    users: ids(capacities.usersMax),
    items: ids(capacities.itemsMax),
    categories: ids(capacities.categoriesMax),
  };
}

/** What bounds the tables of a partition. */
interface PartialRoom {
  readonly partitions: number;
  readonly files: RowFiles | null;
}

/** A user's rows are in one partition, so those share their room; an item's are in all. */
function createPartials(
  definition: RecommenderDefinition,
  capacities: SharedCapacities,
  { partitions, files }: PartialRoom,
): PartialHandles[] {
  const { windows, interactions } = definition;
  const counters = interactions.length;
  const { usersMax, itemsMax, categoriesMax, userCategoryPairsMax: pairsMax } = capacities;
  const rows: ByScope<number> = {
    ...{ user: usersMax, item: itemsMax, category: categoriesMax, userCategory: pairsMax },
    global: 1,
  };
  const share = (scope: ScopeName, most: number) =>
    scope === "user" || scope === "userCategory" ? Math.ceil(most / partitions) : most;
  const roomOf = (scope: ScopeName, inMemory: number, filed: number) => ({
    ...{ rows: rows[scope], inMemory: share(scope, inMemory), filed: share(scope, filed) },
  });
  const panes = (scope: ScopeName, partition: number): number => {
    const room = roomOf(scope, capacities.paneFullRowsMax, capacities.paneFiledRowsMax);
    const shape = { rows: room.rows, counters, windows };
    const table = PaneTable.create({ ...shape, fullRows: room.inMemory });
    files?.open(`${scope}-${partition}`, table, room);
    return table.handle;
  };
  const aggregates = (scope: ScopeName, partition: number): number | null => {
    const asked = aggregatesOf(definition, scope);
    if (asked.length === 0) return null;
    const room = roomOf(scope, capacities.rowsInMemoryMax, capacities.filedRowsMax);
    const inMemory = files === null ? room.rows : room.inMemory;
    const table = AggregateTable.create(room.rows, asked, inMemory);
    files?.open(`aggregates-${scope}-${partition}`, table, room);
    return table.handle;
  };
  return Array.from({ length: partitions }, (_, partition) => ({
    ...byScope((scope) => panes(scope, partition)),
    aggregates: byScope((scope) => aggregates(scope, partition)),
    pairs: IdTable.create({ capacity: pairsMax, bytesMax: 0 }).handle,
    ...(partitions === 1
      ? {}
      : { activity: RowTable.create({ rows: itemsMax, rowBytes: activityBytes }).handle }),
  }));
}

function createSequences(capacities: SharedCapacities, files: RowFiles | null) {
  const { usersMax: rows, categoriesMax, listItemsMax } = capacities;
  const { rowsInMemoryMax: inMemory, filedRowsMax: filed } = capacities;
  const ofUsers = (name: string, length: number, words: number) => {
    const rowsInMemory = files === null ? rows : inMemory;
    const table = SequenceTable.create({ rows, length, words, rowsInMemory });
    files?.open(name, table, { rows, inMemory, filed });
    return table.handle;
  };
  const lists = (words: number) =>
    SequenceTable.create({ rows: 1 + categoriesMax, length: listItemsMax, words }).handle;
  return {
    recent: ofUsers("recent", capacities.recentInteractionsPerUser, recentWords),
    seen: ofUsers("seen", capacities.seenItemsPerUser, 1),
    trending: lists(trendingWords),
    fresh: lists(1),
  };
}

function createEmbeddings(
  definition: RecommenderDefinition,
  capacities: SharedCapacities,
  dataDir: string | null,
) {
  const { userEmbedding, itemEmbedding } = definition.ranking;
  const folder = dataDir === null ? null : join(dataDir, "embeddings");
  if (folder !== null) mkdirSync(folder, { recursive: true });
  const table = (name: string, rows: number, dim: number) => {
    const path = folder === null ? null : join(folder, name);
    return EmbeddingTable.create({ path, rows, dim }).handle;
  };
  const users = idTableOf(definition, "userIds");
  const items = idTableOf(definition, "itemIds");
  const { usersMax, itemsMax } = capacities;
  return {
    userEmbeddings: table("users.f32", users.rows ?? usersMax, userEmbedding),
    itemEmbeddings: table("items.f32", items.rows ?? itemsMax, itemEmbedding),
    userIds: users.kind === "recycled" ? table("users.index", usersMax, 1) : users.kind,
    itemIds: items.kind === "recycled" ? table("items.index", itemsMax, 1) : items.kind,
  };
}
