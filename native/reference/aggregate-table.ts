import type {
  Aggregate,
  AggregateRows,
  AggregateUpdates,
  AggregateValues,
} from "../aggregate-table.ts";

/** A value and when it happened; of a decayed count, the time that the value is as of. */
interface Taken {
  readonly value: number;
  readonly timeMs: number;
}

/** What one row of one table keeps. */
export interface AggregateState {
  /** Whole milliseconds of the newest event; -1 none. */
  newestMs: number;
  offset: number;
  /** Per aggregate, of a decayed count. */
  readonly decayed: Taken[];
  /** Per aggregate: pane index -> the distinct values that it took; 0 where there are no panes. */
  readonly panes: Map<number, Set<number>>[];
}

const valuesMax = 32;
const registerBits = 7;
const registers = 1 << registerBits;

/** Finaliser of MurmurHash3, u32. */
function mixed(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** HyperLogLog of distinct values (Flajolet et al. 2007), as a whole number. */
export function estimateDistinct(values: Iterable<number>): number {
  const ranks = new Uint8Array(registers);
  for (const value of values) {
    const hash = mixed(value);
    const rest = hash >>> registerBits;
    const rank = rest === 0 ? 32 - registerBits + 1 : 32 - Math.clz32(rest & -rest);
    const at = hash & (registers - 1);
    ranks[at] = Math.max(ranks[at], rank);
  }
  const zeros = ranks.filter((rank) => rank === 0).length;
  const sum = ranks.reduce((total, rank) => total + 2 ** -rank, 0);
  const raw = ((0.7213 / (1 + 1.079 / registers)) * registers * registers) / sum;
  const small = raw <= 2.5 * registers && zeros > 0;
  return Math.floor((small ? registers * Math.log(registers / zeros) : raw) + 0.5);
}

/** Distinct values of a window, exact unless a pane has more than are kept as they are. */
export function countDistinct(panes: readonly ReadonlySet<number>[]): number {
  const all = new Set(panes.flatMap((values) => [...values]));
  const wide = panes.some((values) => values.size > valuesMax);
  return wide ? estimateDistinct(all) : all.size;
}

/** What the same row of several tables makes together, one value an aggregate. */
export function mergedAggregates(
  aggregates: readonly Aggregate[],
  states: readonly AggregateState[],
  asOfMs: number,
): number[] {
  return aggregates.map((aggregate, a) => {
    if (aggregate.kind === "decayed") {
      const known = states.flatMap(({ decayed }) => decayed[a] ?? []);
      return sumOf(known, aggregate.halfLifeMs, asOfMs);
    }
    const panes = states.flatMap((state) => panesOf(state.panes[a]!, aggregate.window, asOfMs));
    if (aggregate.kind === "distinct") return countDistinct(panes);
    return panes.flatMap((values) => [...values]).reduce((most, one) => Math.max(most, one), 0);
  });
}

/** What is left as of a time, or as of the newest where that is later. */
function sumOf(known: readonly Taken[], halfLifeMs: number, asOfMs: number): number {
  const atMs = known.reduce((latest, { timeMs }) => Math.max(latest, timeMs), asOfMs);
  return known.reduce((sum, one) => sum + one.value * 2 ** ((one.timeMs - atMs) / halfLifeMs), 0);
}

/** The plain twin of the native aggregate table: every distinct value is kept, by pane. */
export class ReferenceAggregateTable implements AggregateRows {
  readonly width: number;
  readonly aggregates: readonly Aggregate[];
  readonly #rows = new Map<number, AggregateState>();

  constructor(aggregates: readonly Aggregate[]) {
    this.aggregates = aggregates;
    this.width = aggregates.length;
  }

  apply(updates: AggregateUpdates, lateOut: Uint32Array): number {
    lateOut.fill(0, 0, this.width);
    let applied = 0;
    for (let i = 0; i < updates.count; i++) {
      const row = this.#row(updates.rows[i]);
      const offset = updates.offsets[i];
      if (offset >= 0 && offset <= row.offset) continue;
      if (offset >= 0) row.offset = offset;
      const [counter, source] = [updates.counters[i], updates.sources[i]];
      const taken = { value: updates.values[i], timeMs: Math.floor(updates.times[i]) };
      row.newestMs = Math.max(row.newestMs, taken.timeMs);
      for (const [a, aggregate] of this.aggregates.entries()) {
        this.#forget(row, a);
        if (aggregate.counter !== counter || aggregate.source !== source) continue;
        if (!this.#take(row, a, { ...taken, watermarkMs: updates.watermarkMs })) lateOut[a]++;
      }
      applied++;
    }
    return applied;
  }

  #take(
    row: AggregateState,
    a: number,
    { value, timeMs, watermarkMs }: Taken & { watermarkMs: number },
  ) {
    const aggregate = this.aggregates[a]!;
    if (aggregate.kind === "decayed") {
      const before = row.decayed[a];
      const both = [...(before === undefined ? [] : [before]), { value, timeMs }];
      const atMs = Math.max(...both.map((one) => one.timeMs));
      row.decayed[a] = { value: sumOf(both, aggregate.halfLifeMs, atMs), timeMs: atMs };
      return true;
    }
    const { window } = aggregate;
    const pane = window === null ? 0 : Math.floor(timeMs / window.paneMs);
    if (window !== null) {
      if ((pane + 1) * window.paneMs <= watermarkMs) return false;
      if (pane < Math.floor(row.newestMs / window.paneMs) - window.panes) return false;
    }
    const taken = row.panes[a]!.get(pane) ?? new Set<number>();
    row.panes[a]!.set(pane, taken.add(value));
    return true;
  }

  /** A row keeps the newest pane and `panes` before it. */
  #forget(row: AggregateState, a: number): void {
    const window = windowOf(this.aggregates[a]!);
    if (window === null) return;
    const oldest = Math.floor(row.newestMs / window.paneMs) - window.panes;
    for (const index of row.panes[a]!.keys()) if (index < oldest) row.panes[a]!.delete(index);
  }

  read(rows: Int32Array | Uint32Array, count: number, asOfMs: number, into: AggregateValues): void {
    const { out, offsets } = into;
    for (let i = 0; i < count; i++) {
      const row = this.#rows.get(rows[i]);
      if (offsets !== null) offsets[i] = row?.offset ?? -1;
      const states = row === undefined ? [] : [row];
      out.set(mergedAggregates(this.aggregates, states, asOfMs), i * this.width);
    }
  }

  /** What a row keeps, which changes with it; null where it has taken in nothing. */
  state(index: number): AggregateState | null {
    return this.#rows.get(index) ?? null;
  }

  clear(): void {
    this.#rows.clear();
  }

  #row(index: number): AggregateState {
    const known = this.#rows.get(index);
    if (known !== undefined) return known;
    const panes = this.aggregates.map(() => new Map<number, Set<number>>());
    const row: AggregateState = { newestMs: -1, offset: -1, decayed: [], panes };
    this.#rows.set(index, row);
    return row;
  }
}

function windowOf(aggregate: Aggregate) {
  return aggregate.kind === "decayed" ? null : aggregate.window;
}

/** What the panes in (p - panes, p] took, p the pane of `asOfMs`. */
function panesOf(
  taken: ReadonlyMap<number, Set<number>>,
  window: { readonly paneMs: number; readonly panes: number } | null,
  asOfMs: number,
): Set<number>[] {
  if (window === null) return [...taken.values()];
  const newest = Math.floor(asOfMs / window.paneMs);
  return [...taken]
    .filter(([pane]) => pane <= newest && pane > newest - window.panes)
    .map(([, values]) => values);
}
