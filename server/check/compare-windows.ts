import type { RecommenderDefinition, ScopeName } from "../../models/definition/define.ts";
import {
  readSequenceTime,
  sequenceAt,
  sequenceWords,
} from "../../models/features/sequence-record.ts";
import type { AggregateRows, PaneCounters } from "../../native/index.ts";
import type { SharedState } from "../../workers/shared-state.ts";
import type { Compared, Differences } from "./differences.ts";
import { type RecentOne, WindowsReplay } from "./replay.ts";

type CounterRows = Pick<PaneCounters, "width" | "read">;

const chunkRows = 1_024;

export interface WindowsComparison {
  readonly definition: RecommenderDefinition;
  readonly state: SharedState;
  readonly replay: WindowsReplay;
  /** Times that both sides are read as of; none before the newest event. */
  readonly asOfMs: readonly number[];
  readonly differences: Differences;
}

/** The same row in both tables; -1 where the replay has none. */
interface RowPair {
  readonly row: number;
  readonly replayRow: number;
}

/** Compares every row's counters of all scopes, and every user's recent sequence. */
export function compareWindows(parts: WindowsComparison): Compared[] {
  const { state } = parts;
  const { windows } = state;
  const same = (count: number) =>
    Array.from({ length: count }, (_, row): RowPair => ({ row, replayRow: row }));
  const named = (what: string) => (row: number) => `${what} row ${row}`;
  const user = (row: number) => `user ${JSON.stringify(state.users.id(row))} (row ${row})`;
  const item = (row: number) => `item ${JSON.stringify(state.items.id(row))} (row ${row})`;
  return [
    compareScope(parts, {
      ...{ scope: "user", table: windows.user, pairs: same(state.users.size), name: user },
      aggregates: state.aggregates.user,
    }),
    compareScope(parts, {
      ...{ scope: "item", table: windows.item, pairs: same(state.items.size), name: item },
      aggregates: state.aggregates.item,
    }),
    compareScope(parts, {
      ...{ scope: "category", table: windows.category, name: named("category") },
      ...{ pairs: same(state.categories.size), aggregates: state.aggregates.category },
    }),
    comparePairs(parts),
    compareScope(parts, {
      ...{ scope: "global", table: windows.global, pairs: same(1), name: named("global") },
      aggregates: state.aggregates.global,
    }),
    compareRecent(parts, user),
  ];
}

/** Rows of a scope on both sides. */
interface ComparedScope {
  readonly scope: ScopeName;
  readonly table: CounterRows;
  readonly aggregates: Pick<AggregateRows, "read"> | null;
  readonly pairs: readonly RowPair[];
  readonly name: (row: number) => string;
}

function compareScope(parts: WindowsComparison, of: ComparedScope): Compared {
  const { replay, asOfMs, differences } = parts;
  const { scope, table, pairs, name } = of;
  const differing = new Set<number>();
  for (const timeMs of asOfMs) {
    for (let from = 0; from < pairs.length; from += chunkRows) {
      const chunk = pairs.slice(from, from + chunkRows);
      const found = valuesOf(table, chunk, timeMs, ({ row }) => row);
      const want = valuesOf(replay.tables[scope], chunk, timeMs, ({ replayRow }) => replayRow);
      const { width } = table;
      for (let i = 0; i < chunk.length; i++) {
        const at = differsAt(found, want, { from: i * width, width });
        if (at < 0 || differing.has(chunk[i]!.row)) continue;
        differing.add(chunk[i]!.row);
        const [is, should] = [found[i * width + at], want[i * width + at]];
        const counter = counterName(parts.definition, at);
        differences.add(`${name(chunk[i]!.row)}: ${counter} is ${is}, the log gives ${should}`);
      }
    }
    compareAggregates(parts, of, timeMs, differing);
  }
  return { what: `${scope} counters`, rows: pairs.length, differing: differing.size };
}

/**
 * The aggregates of the scope's rows. Decayed counts are sums of roundings; where partitions keep
 * values that the replay, which has one, only estimates, distinct counts may differ by that.
 */
function compareAggregates(
  { state, replay, differences }: WindowsComparison,
  { scope, aggregates: found, pairs, name }: ComparedScope,
  timeMs: number,
  differing: Set<number>,
): void {
  if (found === null) return;
  const { aggregates, width } = replay.aggregates[scope];
  const distinctShare = state.partials.length > 1 ? 0.3 : 0;
  const share = { decayed: 1e-9, max: 0, distinct: distinctShare } as const;
  const [is, should] = [new Float64Array(width), new Float64Array(width)];
  for (const { row, replayRow } of pairs) {
    found.read(Int32Array.of(row), 1, timeMs, { out: is, offsets: null, waits: true });
    const into = { out: should, offsets: null };
    replay.aggregates[scope].read(Int32Array.of(replayRow), 1, timeMs, into);
    for (const [a, { kind, counter }] of aggregates.entries()) {
      const allowed = share[kind] * should[a]!;
      if (Math.abs(is[a]! - should[a]!) <= allowed || differing.has(row)) continue;
      differing.add(row);
      const what = `${kind} of counter ${counter}`;
      differences.add(`${name(row)}: ${what} is ${is[a]}, the log gives ${should[a]}`);
    }
  }
}

function valuesOf(
  table: CounterRows,
  chunk: readonly RowPair[],
  asOfMs: number,
  rowOf: (pair: RowPair) => number,
): Uint32Array {
  const out = new Uint32Array(chunk.length * table.width);
  table.read(Int32Array.from(chunk, rowOf), chunk.length, asOfMs, {
    out,
    offsets: null,
    waits: true,
  });
  return out;
}

/** Index of the first value that differs, counted from `from`; -1 where none does. */
function differsAt(
  a: Uint32Array,
  b: Uint32Array,
  { from, width }: { from: number; width: number },
): number {
  for (let i = 0; i < width; i++) if (a[from + i] !== b[from + i]) return i;
  return -1;
}

function counterName({ windows, interactions }: RecommenderDefinition, index: number): string {
  const window = windows[Math.floor(index / interactions.length)]?.name ?? "total";
  return `${interactions[index % interactions.length]?.name} (${window})`;
}

/** Pair rows are numbered as they come, so they are matched by user and category. */
function comparePairs(parts: WindowsComparison): Compared {
  const { state, replay, differences } = parts;
  const sum = { what: "userCategory counters", rows: 0, differing: 0 };
  const matched = new Set<number>();
  for (const partial of state.partials) {
    const { rows, differing } = comparePartialPairs(parts, partial, matched);
    sum.rows += rows;
    sum.differing += differing;
  }
  const missing = replay.pairs.size - matched.size;
  if (missing > 0) differences.add(`${missing} pairs of user and category have no row`);
  return { ...sum, rows: sum.rows + missing, differing: sum.differing + missing };
}

/** Notes which of the replay's rows it met: a pair stands in one partition. */
function comparePartialPairs(
  parts: WindowsComparison,
  { pairs: ids, userCategory: table, aggregates }: SharedState["partials"][number],
  matched: Set<number>,
): Compared {
  const { replay, differences } = parts;
  const key = new Uint32Array(2);
  const name = (row: number) => {
    ids.pairs(row, 1, key);
    return `user row ${key[0]} x category row ${key[1]}`;
  };
  const pairs = Array.from({ length: ids.size }, (_, row): RowPair => {
    ids.pairs(row, 1, key);
    return { row, replayRow: replay.pairs.get(WindowsReplay.pairKey(key[0]!, key[1]!)) ?? -1 };
  });
  for (const { row, replayRow } of pairs) {
    if (matched.has(replayRow)) differences.add(`${name(row)} stands in two partitions`);
    if (replayRow >= 0) matched.add(replayRow);
  }
  return compareScope(parts, {
    ...{ scope: "userCategory", table, aggregates: aggregates.userCategory, pairs, name },
  });
}

function compareRecent(parts: WindowsComparison, name: (row: number) => string): Compared {
  const { state, replay, differences } = parts;
  const out = new Uint32Array(state.recent.length * sequenceWords);
  let differing = 0;
  for (let row = 0; row < state.users.size; row++) {
    const count = state.recent.read(row, out, null, true);
    const want = replay.recent.get(row) ?? [];
    if (count === want.length && want.every((one, i) => isAt(out, i, one))) continue;
    differing++;
    differences.add(`${name(row)}: the recent sequence of ${count} differs from the log's`);
  }
  return { what: "recent sequences", rows: state.users.size, differing };
}

function isAt(records: Uint32Array, index: number, one: RecentOne): boolean {
  const at = index * sequenceWords;
  return (
    records[at + sequenceAt.itemRow] === one.itemRow &&
    records[at + sequenceAt.type] === one.type &&
    readSequenceTime(records, index) === one.timeMs
  );
}
