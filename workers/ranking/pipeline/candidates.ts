import { assert } from "../../../models/core/assert.ts";
import { RowMarks } from "./row-marks.ts";

/** Columns that one source fills from 0, best first. */
export interface SourceColumns {
  readonly rows: Int32Array;
  readonly scores: Float32Array;
}

export type Column = Int32Array | Uint32Array | Uint8Array | Float32Array | Float64Array;

interface AttachedColumn {
  readonly data: Column;
  readonly width: number;
}

/** Rank fusion (Cormack et al., 2009): routes' scores do not compare, their ranks do. */
const fusionOffset = 60;

/**
 * The candidates of one request as columns: entry i of every column is candidate i. Made once for
 * a pooled context and used again: a request allocates no object per candidate.
 * Bookkeeping: retrieved = count + removed; the selected are among the `count` that are left.
 */
export class Candidates {
  readonly capacity: number;
  readonly rows: Int32Array;
  /** Bit s is set where source s found the candidate. */
  readonly sources: Uint32Array;
  /** By source: its score, 0 where it did not find the candidate. */
  readonly scores: readonly Float32Array[];
  /** Reciprocal ranks summed over the sources: an order before any model has looked. */
  readonly preRank: Float32Array;
  /** Reason code of this filter stage, 0 while kept. */
  readonly reasons: Uint8Array;
  /** Candidate indexes in slate order; `selectedCount` are valid. */
  readonly selected: Int32Array;
  /** Of each place of the slate: NaN where it was not randomised. */
  readonly propensities: Float32Array;
  count = 0;
  retrieved = 0;
  removed = 0;
  /** Candidates that did not fit. */
  overflow = 0;
  selectedCount = 0;
  readonly #columns: SourceColumns[];
  readonly #marks: RowMarks;
  readonly #kept: Int32Array;
  readonly #attached: AttachedColumn[] = [];

  constructor(options: { capacity: number; quotas: readonly number[]; slateMax: number }) {
    const { capacity, quotas, slateMax } = options;
    assert(quotas.length <= 32, "at most 32 sources: the mask has 32 bits");
    this.capacity = capacity;
    this.rows = new Int32Array(capacity);
    this.sources = new Uint32Array(capacity);
    this.preRank = new Float32Array(capacity);
    this.reasons = new Uint8Array(capacity);
    this.selected = new Int32Array(slateMax);
    this.propensities = new Float32Array(slateMax);
    this.scores = quotas.map(() => new Float32Array(capacity));
    this.#columns = quotas.map((quota) => ({
      rows: new Int32Array(quota),
      scores: new Float32Array(quota),
    }));
    this.#marks = new RowMarks(capacity);
    this.#kept = new Int32Array(capacity);
    for (const data of [this.rows, this.sources, this.preRank, ...this.scores])
      this.attach(data, 1);
  }

  /** Has `compact` keep a column of the product's own in step; `width` values a candidate. */
  attach(data: Column, width: number): void {
    assert(data.length >= this.capacity * width, "an attached column is too short");
    this.#attached.push({ data, width });
  }

  /** Where source `source` writes what it finds. */
  columnsOf(source: number): SourceColumns {
    const columns = this.#columns[source];
    assert(columns !== undefined, `no source ${source}`);
    return columns;
  }

  reset(): void {
    this.count = 0;
    this.retrieved = 0;
    this.removed = 0;
    this.overflow = 0;
    this.selectedCount = 0;
    this.#marks.clear();
  }

  /** Takes in the first `found` of a source's columns; a row that is already in gains a bit. */
  merge(source: number, found: number): void {
    const { rows, scores } = this.columnsOf(source);
    assert(found <= rows.length, `source ${source} went over its quota`);
    const own = this.scores[source];
    for (let i = 0; i < found; i++) {
      const before = this.#marks.mark(rows[i], this.count);
      const at = before >= 0 ? before : this.#add(rows[i]);
      if (at < 0) continue;
      // A source that gives a row twice is heard once.
      if ((this.sources[at] & (1 << source)) !== 0) continue;
      this.sources[at] |= 1 << source;
      own[at] = scores[i];
      this.preRank[at] += 1 / (fusionOffset + i);
    }
  }

  #add(row: number): number {
    if (this.count === this.capacity || row < 0) {
      this.overflow++;
      return -1;
    }
    const at = this.count++;
    this.retrieved++;
    this.rows[at] = row;
    this.sources[at] = 0;
    this.preRank[at] = 0;
    for (const scores of this.scores) scores[at] = 0;
    return at;
  }

  clearReasons(): void {
    this.reasons.fill(0, 0, this.count);
  }

  /** Drops what has a reason, in place and in order. Gives how many were dropped. */
  compact(): number {
    const before = this.count;
    let kept = 0;
    for (let i = 0; i < before; i++) if (this.reasons[i] === 0) this.#kept[kept++] = i;
    const dropped = before - kept;
    if (dropped === 0) return 0;
    for (const { data, width } of this.#attached) gather(data, this.#kept, kept, width);
    this.count = kept;
    this.removed += dropped;
    return dropped;
  }

  /** Appends candidate `index` to the slate. */
  select(index: number, propensity: number): void {
    this.propensities[this.selectedCount] = propensity;
    this.selected[this.selectedCount++] = index;
  }
}

/** One loop a type, so that each stays monomorphic. */
function gather(data: Column, from: Int32Array, count: number, width: number): void {
  if (data instanceof Float32Array) gatherFloat32(data, from, count, width);
  else if (data instanceof Int32Array) gatherInt32(data, from, count, width);
  else if (data instanceof Uint32Array) gatherUint32(data, from, count, width);
  else if (data instanceof Float64Array) gatherFloat64(data, from, count, width);
  else gatherUint8(data, from, count, width);
}

function gatherFloat32(data: Float32Array, from: Int32Array, count: number, width: number): void {
  if (width === 1) {
    for (let i = 0; i < count; i++) data[i] = data[from[i]];
    return;
  }
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < width; j++) data[i * width + j] = data[from[i] * width + j];
  }
}

function gatherInt32(data: Int32Array, from: Int32Array, count: number, width: number): void {
  if (width === 1) {
    for (let i = 0; i < count; i++) data[i] = data[from[i]];
    return;
  }
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < width; j++) data[i * width + j] = data[from[i] * width + j];
  }
}

function gatherUint32(data: Uint32Array, from: Int32Array, count: number, width: number): void {
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < width; j++) data[i * width + j] = data[from[i] * width + j];
  }
}

function gatherFloat64(data: Float64Array, from: Int32Array, count: number, width: number): void {
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < width; j++) data[i * width + j] = data[from[i] * width + j];
  }
}

function gatherUint8(data: Uint8Array, from: Int32Array, count: number, width: number): void {
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < width; j++) data[i * width + j] = data[from[i] * width + j];
  }
}
