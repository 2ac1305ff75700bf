import { assert } from "../core/assert.ts";
import type { RecommenderDefinition, ScopeName } from "../definition/define.ts";
import { limits } from "../limits.ts";
import {
  type FeatureCatalog,
  featureCatalog,
  itemExtraCount,
  rowCells,
  scopePlan,
  userExtraCount,
} from "./catalog.ts";
import { CategoryRates } from "./category-rates.ts";
import { RecentProfile } from "./recent-profile.ts";
import {
  type CompiledScope,
  compileScope,
  encodeScope,
  LogTables,
  type RawRows,
} from "./window-values.ts";

/** Attributes of items as columns, one entry an item; `categories` has `itemCategoriesMax` each. */
export interface AttributeColumns {
  /** count x itemCategoriesMax rows of the category table, -1 where there is none. */
  readonly categories: Int32Array;
  /** Epoch milliseconds; 0 where unknown. */
  readonly publishedAtMs: Float64Array;
  /** Seconds; 0 where unknown. */
  readonly durationSeconds: Float32Array;
  /** 0 where unknown. */
  readonly authorHash: Uint32Array;
}

export interface UserInputs {
  /** Epoch milliseconds that every value is read as of. */
  readonly asOfMs: number;
  /** The user's raw counter row, [window][counter]; zeros for an unknown user. */
  readonly counts: Uint32Array;
  /** The user's aggregates (features/aggregates.ts), as many as the definition asks for. */
  readonly aggregates: Float64Array;
  /** The one row of the global scope. */
  readonly globalCounts: Uint32Array;
  readonly globalAggregates: Float64Array;
  /** Recent interactions, oldest first, four words each: item row, type, float64 event time. */
  readonly recent: Uint32Array;
  readonly recentCount: number;
  /** Attributes of the items of `recent`, in the same order. */
  readonly recentItems: AttributeColumns;
}

export interface CandidateInputs {
  readonly count: number;
  /** count x raw counter row; zeros where the item has none. */
  readonly itemCounts: Uint32Array;
  readonly itemAggregates: Float64Array;
  readonly items: AttributeColumns;
  /**
   * The distinct categories of all candidates: their rows, counters, and counters with this user.
   * Shared by the candidates, so each is read and encoded once.
   */
  readonly distinct: number;
  readonly distinctRows: Int32Array;
  readonly categoryCounts: Uint32Array;
  readonly categoryAggregates: Float64Array;
  readonly pairCounts: Uint32Array;
  readonly pairAggregates: Float64Array;
  /** count x itemCategoriesMax indexes into the distinct categories, -1 where there is none. */
  readonly slots: Int32Array;
  /** Scores of the routes that found the candidate; 0 where that route did not. */
  readonly itemToItem: Float32Array;
  readonly vector: Float32Array;
}

type RawValues = Pick<RawRows, "counts" | "aggregates">;

const perItem = limits.itemCategoriesMax;
const hourMs = 3_600_000;

function finite(value: number): number {
  return Number.isFinite(value) ? value : 0;
}

/**
 * The only place where stored values become model inputs. Reads raw counts, attributes, the recent
 * sequence and route scores; writes userDense (userWidth) and itemDense (count x itemWidth), not
 * yet normalised. Deterministic. Features of an item's categories are means over its categories.
 * Not for two threads at once: it holds scratch columns of its own.
 */
export class FeatureEncoder {
  readonly catalog: FeatureCatalog;
  /** u32 cells of one raw counter row. */
  readonly cells: number;
  readonly #user: CompiledScope;
  readonly #global: CompiledScope;
  readonly #item: CompiledScope;
  readonly #category: CompiledScope;
  readonly #pair: CompiledScope;
  readonly #itemRates: CategoryRates;
  readonly #pairRates: CategoryRates;
  readonly #profile: RecentProfile;
  /** Encoded values of each distinct category: its own features, then those with the user. */
  #shared = new Float32Array(0);
  /** The same for a candidate without categories: the values at zero counts. */
  readonly #sharedMissing: Float32Array;

  constructor(definition: RecommenderDefinition) {
    const tables = new LogTables();
    const compile = (scope: ScopeName) => compileScope(scopePlan(definition, scope), tables);
    this.catalog = featureCatalog(definition);
    this.cells = rowCells(definition);
    this.#user = compile("user");
    this.#global = compile("global");
    this.#item = compile("item");
    this.#category = compile("category");
    this.#pair = compile("userCategory");
    this.#itemRates = new CategoryRates(this.#item);
    this.#pairRates = new CategoryRates(this.#pair);
    this.#profile = new RecentProfile(definition);
    this.#sharedMissing = new Float32Array(this.#category.size + this.#pair.size);
    const none = new Uint32Array(this.cells);
    const noAggregates = (scope: CompiledScope) => new Float64Array(scope.aggregates);
    const categories = { counts: none, aggregates: noAggregates(this.#category) };
    const pairs = { counts: none, aggregates: noAggregates(this.#pair) };
    this.#encodeShared(categories, pairs, 1, this.#sharedMissing);
  }

  /** Writes `userWidth` values. Also takes in the recent sequence: call it before `encodeItems`. */
  encodeUser(inputs: UserInputs, out: Float32Array): void {
    assert(out.length >= this.catalog.userWidth, "userDense is too short");
    encodeScope(this.#user, this.#rowsOf(inputs, 1), { out, at: 0, stride: 0 });
    const { globalCounts: counts, globalAggregates: aggregates } = inputs;
    const all = this.#rowsOf({ counts, aggregates }, 1);
    encodeScope(this.#global, all, { out, at: this.#user.size, stride: 0 });
    this.#profile.take(inputs);
    const at = this.#user.size + this.#global.size;
    const angle = ((inputs.asOfMs / hourMs) % 24) * (Math.PI / 12);
    out[at] = Math.sin(angle);
    out[at + 1] = Math.cos(angle);
    out[at + 2] = this.#profile.clickShareOf10;
    out[at + 3] = this.#profile.clickShareOf50;
    out[at + 4] = this.#profile.logGapSeconds;
    assert(at + userExtraCount === this.catalog.userWidth, "user layout");
  }

  /** Writes count x `itemWidth` values for the user of the last `encodeUser`. */
  encodeItems(inputs: CandidateInputs, asOfMs: number, out: Float32Array): void {
    const stride = this.catalog.itemWidth;
    assert(out.length >= inputs.count * stride, "itemDense is too short");
    const { itemCounts: counts, itemAggregates: aggregates } = inputs;
    const items = this.#rowsOf({ counts, aggregates }, inputs.count);
    encodeScope(this.#item, items, { out, at: 0, stride });
    const sharedSize = this.#sharedMissing.length;
    if (this.#shared.length < inputs.distinct * sharedSize) {
      this.#shared = new Float32Array(inputs.distinct * sharedSize);
    }
    const categories = { counts: inputs.categoryCounts, aggregates: inputs.categoryAggregates };
    const pairs = { counts: inputs.pairCounts, aggregates: inputs.pairAggregates };
    this.#encodeShared(categories, pairs, inputs.distinct, this.#shared);
    meanOverCategories(
      { slots: inputs.slots, count: inputs.count, shared: this.#shared },
      this.#sharedMissing,
      { out, at: this.#item.size, stride },
    );
    this.#itemRates.take(this.#rowsOf(categories, inputs.distinct));
    this.#itemRates.writeItems(items, inputs.slots, perItem, { out, at: 0, stride });
    this.#profile.countCategories(inputs.distinctRows, inputs.distinct);
    this.#writeExtras(inputs, asOfMs, out);
  }

  #encodeShared(categories: RawValues, pairs: RawValues, rows: number, out: Float32Array): void {
    const stride = this.#category.size + this.#pair.size;
    const ofCategories = this.#rowsOf(categories, rows);
    const ofPairs = this.#rowsOf(pairs, rows);
    encodeScope(this.#category, ofCategories, { out, at: 0, stride });
    const target = { out, at: this.#category.size, stride };
    encodeScope(this.#pair, ofPairs, target);
    this.#pairRates.take(ofCategories);
    this.#pairRates.writePairs(ofPairs, target);
  }

  #rowsOf({ counts, aggregates }: RawValues, rows: number): RawRows {
    return { counts, aggregates, rows, cells: this.cells };
  }

  #writeExtras(inputs: CandidateInputs, asOfMs: number, out: Float32Array): void {
    const stride = this.catalog.itemWidth;
    const { publishedAtMs, durationSeconds, authorHash } = inputs.items;
    let at = stride - itemExtraCount;
    for (let i = 0; i < inputs.count; i++) {
      const published = publishedAtMs[i];
      out[at] = published > 0 ? Math.log1p(Math.max(0, asOfMs - published) / hourMs) : 0;
      out[at + 1] = published > 0 ? 1 : 0;
      const duration = durationSeconds[i];
      out[at + 2] = duration > 0 ? Math.log1p(duration) : 0;
      out[at + 3] = duration > 0 ? 1 : 0;
      this.#profile.writeCategoryShares(inputs.slots, i * perItem, out, at + 4);
      out[at + 6] = this.#profile.authorShare(authorHash[i]);
      out[at + 7] = finite(inputs.itemToItem[i]);
      out[at + 8] = finite(inputs.vector[i]);
      at += stride;
    }
  }
}

/** Mean of the shared values over each candidate's categories, or the values of none. */
function meanOverCategories(
  from: { slots: Int32Array; count: number; shared: Float32Array },
  missing: Float32Array,
  target: { out: Float32Array; at: number; stride: number },
): void {
  const { slots, count, shared } = from;
  const size = missing.length;
  const { out, stride } = target;
  let at = target.at;
  for (let i = 0; i < count; i++, at += stride) {
    const first = slots[i * perItem];
    if (first < 0) {
      for (let j = 0; j < size; j++) out[at + j] = missing[j];
      continue;
    }
    const start = first * size;
    for (let j = 0; j < size; j++) out[at + j] = shared[start + j];
    addOthers(from, i, size, { out, at });
  }
}

/** Adds a candidate's second and later categories and divides; most items have one. */
function addOthers(
  from: { slots: Int32Array; shared: Float32Array },
  item: number,
  size: number,
  target: { out: Float32Array; at: number },
): void {
  const { out, at } = target;
  let categories = 1;
  while (categories < perItem && from.slots[item * perItem + categories] >= 0) {
    const start = from.slots[item * perItem + categories] * size;
    for (let j = 0; j < size; j++) out[at + j] += from.shared[start + j];
    categories++;
  }
  if (categories === 1) return;
  for (let j = 0; j < size; j++) out[at + j] /= categories;
}
