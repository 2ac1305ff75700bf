import { assert } from "../../models/core/assert.ts";
import type { Id128 } from "../../models/core/bytes.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { DistinctCategories } from "../../models/features/distinct-categories.ts";
import type { FeatureEncoder } from "../../models/features/encoder.ts";
import { sequenceWords } from "../../models/features/sequence-record.ts";
import { limits } from "../../models/limits.ts";
import type { GenerationLease } from "../../models/recall/generation.ts";
import { type ByScope, byScope } from "../by-scope.ts";
import { type ItemColumns, itemColumns } from "../stores/item-attributes.ts";
import type { RecentInteraction } from "./messages.ts";
import { Candidates } from "./pipeline/candidates.ts";
import { Deadline } from "./pipeline/deadline.ts";
import type { PipelineContext } from "./pipeline/stages.ts";
import { Trace } from "./pipeline/trace.ts";
import { ReadAggregates } from "./read-aggregates.ts";
import type { RecallQuery } from "./sources/query.ts";

/** Every kind of request in one shape; what a kind has no use for is empty. */
export interface FeedRequest {
  readonly kind: "recommend" | "rank" | "similar" | "popular";
  readonly requestId: Id128;
  readonly user: string | null;
  readonly recent: readonly RecentInteraction[];
  readonly n: number;
  readonly context: Readonly<Record<string, string | number | boolean>>;
  readonly exclude: readonly string[];
  readonly categories: readonly string[];
  readonly weights: Readonly<Record<string, number>> | null;
  /** The items to rank, or the item to find similar ones for. */
  readonly given: readonly string[];
  readonly details: boolean;
  readonly explain: boolean;
}

export type ItemDocument = Readonly<Record<string, unknown>>;

/** Preferred categories that recall is told of. */
export const preferredCategoriesMax = 8;

/** What is known of the user, read once a request. */
export class UserState implements Omit<RecallQuery, "userRow" | "generation" | "nowMs"> {
  /** -1: anonymous or unknown. */
  row = -1;
  /** Row offset that the user's counters had applied, -1 where none. */
  offset = -1;
  /** The same of the recent sequence. */
  readonly recentOffset = new Float64Array(1);
  /** How many of the recent interactions came with the request: the last ones. */
  sessionCount = 0;
  readonly counts: Uint32Array;
  /** Counters of the one row for all, and the offset that each partition's part had applied. */
  readonly globalCounts: Uint32Array;
  globalOffsets = new Float64Array(1);
  /** The recent sequence as the table holds it, oldest first. */
  readonly recent: Uint32Array;
  /** The same in columns, for recall. */
  readonly recentItems = new Int32Array(limits.recentInteractionsPerUser);
  readonly recentTypes = new Uint8Array(limits.recentInteractionsPerUser);
  readonly recentTimesMs = new Float64Array(limits.recentInteractionsPerUser);
  readonly recentAttributes = itemColumns(limits.recentInteractionsPerUser);
  recentCount = 0;
  /** Preferred category rows, best first, -1 ends. */
  readonly categories = new Int32Array(preferredCategoriesMax + 1);

  constructor(cells: number) {
    this.counts = new Uint32Array(cells);
    this.globalCounts = new Uint32Array(cells);
    this.recent = new Uint32Array(sequenceWords * limits.recentInteractionsPerUser);
  }

  reset(): void {
    this.row = -1;
    this.offset = -1;
    this.recentOffset[0] = -1;
    this.sessionCount = 0;
    this.counts.fill(0);
    this.recentCount = 0;
    this.categories.fill(-1);
  }
}

/** What the ranker is told and what it says, one entry or row a candidate that is ranked. */
export class Ranked {
  readonly capacity: number;
  readonly itemCounts: Uint32Array;
  /** [partition][candidate], the stride is the number of candidates. */
  itemOffsets: Float64Array;
  readonly distinct: DistinctCategories;
  categoryCounts = new Uint32Array(0);
  /** [partition][distinct category], the stride is their number. */
  categoryOffsets = new Float64Array(0);
  pairOffsets = new Float64Array(0);
  pairCounts = new Uint32Array(0);
  readonly userDense: Float32Array;
  readonly itemDense: Float32Array;
  readonly userVector: Float32Array;
  readonly itemVectors: Float32Array;
  /** [head][candidate], the stride is the number of candidates. */
  readonly heads: Float32Array;
  readonly values: Float32Array;
  /** A score column for a route that this kind of request does not have. */
  readonly noScores: Float32Array;
  /** The features are in; without them no model may score. */
  encoded = false;
  /** The heads are in. */
  scored = false;
  /** The version whose heads they are. */
  version = 0;

  constructor(definition: RecommenderDefinition, encoder: FeatureEncoder) {
    const capacity = Math.max(definition.rankedMax, limits.rankItemsMax);
    const { userWidth, itemWidth } = encoder.catalog;
    this.capacity = capacity;
    this.itemCounts = new Uint32Array(capacity * encoder.cells);
    this.itemOffsets = new Float64Array(capacity);
    this.distinct = new DistinctCategories({ itemsMax: capacity });
    this.userDense = new Float32Array(userWidth);
    this.itemDense = new Float32Array(capacity * itemWidth);
    this.userVector = new Float32Array(definition.ranking.userEmbedding);
    this.itemVectors = new Float32Array(capacity * definition.ranking.itemEmbedding);
    this.heads = new Float32Array(definition.heads.length * capacity);
    this.values = new Float32Array(capacity);
    this.noScores = new Float32Array(capacity);
  }

  /** Room for an offset of each candidate's part in each partition. */
  reserveOffsets(partials: number): void {
    const length = this.capacity * partials;
    if (this.itemOffsets.length < length) this.itemOffsets = new Float64Array(length);
  }

  /** Room for `distinct` categories; grows to what the catalogue needs, then stays. */
  reserveCategories(distinct: number, cells: number, partials: number): void {
    if (this.pairOffsets.length >= distinct) return;
    const rows = 2 ** Math.ceil(Math.log2(distinct));
    this.categoryCounts = new Uint32Array(rows * cells);
    this.pairCounts = new Uint32Array(rows * cells);
    this.categoryOffsets = new Float64Array(rows * partials);
    this.pairOffsets = new Float64Array(rows);
  }
}

const idle: FeedRequest = {
  kind: "recommend",
  requestId: [0, 0, 0, 0],
  user: null,
  recent: [],
  n: 0,
  context: {},
  exclude: [],
  categories: [],
  weights: null,
  given: [],
  details: false,
  explain: false,
};

/** One request's working memory: pooled, made once, about a megabyte. */
export class FeedContext implements PipelineContext {
  readonly candidates: Candidates;
  readonly deadline = new Deadline();
  readonly degraded: string[] = [];
  trace: Trace | null = null;
  pending = 0;
  request: FeedRequest = idle;
  nowMs = 0;
  readonly user: UserState;
  /** Rows of the categories that the slate is restricted to. */
  readonly onlyCategories: number[] = [];
  readonly attributes: ItemColumns;
  /** Documents that were applied before any attributes were read, begun after all were. */
  documentsFrom = 0;
  documentsTo = 0;
  readonly ranked: Ranked;
  /** What the counters of a scope cannot say, in the order of their rows. */
  readonly aggregates: ByScope<ReadAggregates> = byScope(() => new ReadAggregates());
  /** The reader number under which this context pins a model version. */
  readonly reader: number;
  /** Pinned slot and its version; -1 and 0 where no model is published. */
  slot = -1;
  modelVersion = 0;
  lease: GenerationLease | null = null;
  /** Documents of the front, by row, where `details` were asked for. */
  readonly documents = new Map<number, ItemDocument | null>();

  constructor(options: {
    definition: RecommenderDefinition;
    encoder: FeatureEncoder;
    quotas: readonly number[];
    reader: number;
  }) {
    const { definition, encoder, quotas, reader } = options;
    const capacity = limits.candidatesMax;
    this.reader = reader;
    this.candidates = new Candidates({ capacity, quotas, slateMax: limits.rankItemsMax });
    this.user = new UserState(encoder.cells);
    this.attributes = itemColumns(capacity);
    this.ranked = new Ranked(definition, encoder);
    const { candidates, attributes } = this;
    candidates.attach(attributes.categories, limits.itemCategoriesMax);
    candidates.attach(attributes.publishedAtMs, 1);
    candidates.attach(attributes.expiresAtMs, 1);
    candidates.attach(attributes.durationSeconds, 1);
    candidates.attach(attributes.hidden, 1);
    candidates.attach(attributes.deleted, 1);
    candidates.attach(attributes.known, 1);
    candidates.attach(attributes.authorHash, 1);
  }

  begin(request: FeedRequest, nowMs: number, deadlineAtMs: number): void {
    assert(this.pending === 0, "a context with pending work was given away");
    this.request = request;
    this.nowMs = nowMs;
    this.deadline.reset(nowMs, deadlineAtMs);
    this.degraded.length = 0;
    this.onlyCategories.length = 0;
    this.trace = request.explain ? new Trace() : null;
    this.candidates.reset();
    this.user.reset();
    this.ranked.encoded = false;
    this.ranked.scored = false;
    this.ranked.version = 0;
    this.slot = -1;
    this.modelVersion = 0;
    this.lease = null;
    this.documents.clear();
  }

  /** Names a part that is missing from the answer, once. */
  degrade(part: string): void {
    if (!this.degraded.includes(part)) this.degraded.push(part);
  }
}
