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

/**
 * Values of one feature. logCount: log(1 + count). rateLogit: logit of the rate smoothed towards
 * its prior, log((hits + k p) / (misses + k (1 - p))); more hits than impressions count as no
 * miss. meanValue: log(1 + mean seconds per impression), two impressions of nothing added.
 */
function windowValue(scope: CompiledScope, i: number, counts: Uint32Array, base: number): number {
  const count = counts[base + scope.cells[i]];
  const kind = scope.kinds[i];
  if (kind === kindCode.logCount) return logShifted(scope.hitTables[i], count, 1);
  const shown = counts[base + scope.impressionCells[i]];
  if (kind === kindCode.rateLogit) {
    const hit = logShifted(scope.hitTables[i], count, scope.priorHits[i]);
    const misses = shown > count ? shown - count : 0;
    return hit - logShifted(scope.missTables[i], misses, scope.priorMisses[i]);
  }
  return count === 0 ? 0 : Math.log1p(count / secondsScale / (shown + meanPriorWeight));
}

/** Where rows of values go: value j of row i at out[at + i * stride + j]. */
export interface ValueTarget {
  readonly out: Float32Array;
  readonly at: number;
  readonly stride: number;
}

/** Encodes `rows` raw rows of `cells` u32 each: feature by feature, so that each loop is flat. */
export function encodeScope(
  scope: CompiledScope,
  counts: Uint32Array,
  shape: { rows: number; cells: number },
  target: ValueTarget,
): void {
  const { out, at, stride } = target;
  for (let j = 0; j < scope.size; j++) {
    let to = at + j;
    let base = 0;
    for (let i = 0; i < shape.rows; i++) {
      out[to] = windowValue(scope, j, counts, base);
      to += stride;
      base += shape.cells;
    }
  }
}
