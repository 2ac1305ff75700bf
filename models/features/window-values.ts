import { kindCode, meanPriorWeight, type ScopePlan, secondsScale } from "./catalog.ts";

/** Counts below this are looked up; a logarithm costs ten times a load. */
const tableSize = 4_096;

/**
 * Tables of log(i + shift): one per distinct prior, shared by all features that have it. The
 * tables hold what Math.log gives for the same number, so both sides of the size are one function.
 */
export class LogTables {
  readonly #byShift = new Map<number, Float64Array>();

  of(shift: number): Float64Array {
    let table = this.#byShift.get(shift);
    if (table === undefined) {
      table = Float64Array.from({ length: tableSize }, (_, i) => Math.log(i + shift));
      this.#byShift.set(shift, table);
    }
    return table;
  }
}

function logShifted(table: Float64Array, count: number, shift: number): number {
  return count < tableSize ? table[count] : Math.log(count + shift);
}

/** A scope's plan with the tables that its features use. */
export interface CompiledScope extends ScopePlan {
  readonly hitTables: readonly Float64Array[];
  readonly missTables: readonly Float64Array[];
}

export function compileScope(plan: ScopePlan, tables: LogTables): CompiledScope {
  const isRate = (i: number) => plan.kinds[i] === kindCode.rateLogit;
  const index = Array.from({ length: plan.size }, (_, i) => i);
  return {
    ...plan,
    hitTables: index.map((i) => tables.of(isRate(i) ? plan.priorHits[i] : 1)),
    missTables: index.map((i) => tables.of(isRate(i) ? plan.priorMisses[i] : 1)),
  };
}

/** Where rows of values go: value j of row i at out[at + i * stride + j]. */
export interface ValueTarget {
  readonly out: Float32Array;
  readonly at: number;
  readonly stride: number;
}

/** Raw rows: counters, `cells` u32 each, and aggregates, as many as the scope has. */
export interface RawRows {
  readonly counts: Uint32Array;
  readonly aggregates: Float64Array;
  readonly rows: number;
  readonly cells: number;
}

/** log(1 + count). */
function encodeLogCount(scope: CompiledScope, j: number, raw: RawRows, target: ValueTarget): void {
  const { out, stride } = target;
  const { counts, rows, cells } = raw;
  const table = scope.hitTables[j];
  let to = target.at + j;
  let at = scope.cells[j];
  for (let i = 0; i < rows; i++, to += stride, at += cells) {
    out[to] = logShifted(table, counts[at], 1);
  }
}

/**
 * Logit of the rate smoothed towards its prior, log((hits + k p) / (misses + k (1 - p))); more hits
 * than impressions count as no miss.
 */
function encodeRateLogit(scope: CompiledScope, j: number, raw: RawRows, target: ValueTarget): void {
  const { out, stride } = target;
  const { counts, rows, cells } = raw;
  const [hitTable, missTable] = [scope.hitTables[j], scope.missTables[j]];
  const [priorHits, priorMisses] = [scope.priorHits[j], scope.priorMisses[j]];
  let to = target.at + j;
  let at = scope.cells[j];
  let shownAt = scope.impressionCells[j];
  for (let i = 0; i < rows; i++, to += stride, at += cells, shownAt += cells) {
    const hits = counts[at];
    const shown = counts[shownAt];
    const misses = shown > hits ? shown - hits : 0;
    const hit = logShifted(hitTable, hits, priorHits);
    out[to] = hit - logShifted(missTable, misses, priorMisses);
  }
}

/** log(1 + mean seconds per impression), some impressions of nothing added. */
function encodeMeanValue(scope: CompiledScope, j: number, raw: RawRows, target: ValueTarget): void {
  const { out, stride } = target;
  const { counts, rows, cells } = raw;
  let to = target.at + j;
  let at = scope.cells[j];
  let shownAt = scope.impressionCells[j];
  for (let i = 0; i < rows; i++, to += stride, at += cells, shownAt += cells) {
    const sum = counts[at];
    const shown = counts[shownAt] + meanPriorWeight;
    out[to] = sum === 0 ? 0 : Math.log1p(sum / secondsScale / shown);
  }
}

/** log(1 + value) of an aggregate: a count, or seconds. */
function encodeAggregate(scope: CompiledScope, j: number, raw: RawRows, target: ValueTarget): void {
  const { out, stride } = target;
  const { aggregates, rows } = raw;
  const [width, scale] = [scope.aggregates, scope.scales[j]];
  let to = target.at + j;
  let at = scope.cells[j];
  for (let i = 0; i < rows; i++, to += stride, at += width) {
    out[to] = Math.log1p(aggregates[at] / scale);
  }
}

/** Encodes raw rows: feature by feature, so that each loop is flat. */
export function encodeScope(scope: CompiledScope, raw: RawRows, target: ValueTarget): void {
  for (let j = 0; j < scope.size; j++) {
    const kind = scope.kinds[j];
    if (kind === kindCode.logCount) encodeLogCount(scope, j, raw, target);
    else if (kind === kindCode.rateLogit) encodeRateLogit(scope, j, raw, target);
    else if (kind === kindCode.meanValue) encodeMeanValue(scope, j, raw, target);
    else encodeAggregate(scope, j, raw, target);
  }
}
