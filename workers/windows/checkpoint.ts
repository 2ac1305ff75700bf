import { text, utf8 } from "../../models/core/bytes.ts";
import { type ScopeName, scopeNames } from "../../models/definition/define.ts";
import { type ByScope, byScope } from "../by-scope.ts";
import {
  type CheckpointSection,
  readSection,
  type SavedCheckpoint,
  type SlicedBytes,
  type SlicedSection,
} from "../stores/checkpoint-store.ts";
import { type SavedSource, savedOf, savedSource } from "../stores/log-source.ts";
import { loadRowFrames, type PackedRows, rowFrames } from "../stores/row-frames.ts";
import type { RowSet } from "./row-set.ts";
import type {
  AggregateTable,
  CounterTable,
  PairRows,
  PrefaultRows,
  RowCounts,
  UpdateTable,
} from "./tables.ts";
import type { UpdateBuffer } from "./update-buffer.ts";
import type { WindowsCore } from "./windows.ts";

/** The part of a checkpoint that is not rows. */
interface Meta {
  readonly version: number;
  readonly sequence: number;
  readonly commits: number;
  readonly pairs: number;
  readonly rows: ByScope<RowCounts>;
  readonly sources: readonly SavedSource[];
  readonly counts: WindowsCore["counts"];
}

const version = 8;

/** A table, and which of its rows are this core's. */
interface OwnRows {
  readonly table: PackedRows;
  /** First row and length of each run, two words a run. */
  runs(): Uint32Array;
  /** Rows that were loaded. */
  taken(firstRow: number, count: number): void;
}

const runMax = 1 << 20;

/** Rows of a table in which other partitions' users have rows too. */
function touchedRows({ table, touched }: { table: PackedRows; touched: RowSet }): OwnRows {
  const taken = (first: number, count: number) => touched.addRun(first, count);
  return { table, runs: () => touched.runs(runMax), taken };
}

/** Rows of a table that is this core's alone. */
function allRows(buffer: UpdateBuffer<UpdateTable & PackedRows>): OwnRows {
  return {
    table: buffer.table,
    runs: () => Uint32Array.of(0, buffer.rowsUsed),
    taken(first, count) {
      buffer.rowsUsed = Math.max(buffer.rowsUsed, first + count);
    },
  };
}

/** What is kept of each table, by name of its section. */
function rowsOf(core: WindowsCore): [string, OwnRows][] {
  const { recent, seen, scopes } = core;
  return [
    ...(recent === null ? [] : [["recent", touchedRows(recent)] satisfies [string, OwnRows]]),
    ...(seen === null ? [] : [["seen", touchedRows(seen)] satisfies [string, OwnRows]]),
    ...scopeNames.map((name): [string, OwnRows] => [name, allRows(scopes[name])]),
    ...aggregateBuffers(core).map(([name, buffer]): [string, OwnRows] => [
      `${name}.aggregates`,
      allRows(buffer),
    ]),
  ];
}

/**
 * The whole state of the role between two batches: counters, recent and seen items, pair rows,
 * known ids, and the offset and watermark of each input. Restored and continued from those offsets,
 * it gives what a run without a stop gives.
 *
 * Small parts are copied at once; known ids are lent until the caller has written them (their
 * `release`). Rows are read while they are written, and the role goes on meanwhile: a row may be
 * ahead of the offsets. It says itself which number it has taken in last (its offset), so what is
 * taken in again up to there is skipped, and it comes out the same. (A user's seen items say no
 * number: those of the time of writing are noted twice, as ever.)
 */
export function saveWindows(core: WindowsCore): (CheckpointSection | SlicedSection)[] {
  core.flush();
  const ids = core.ids.save();
  const meta: Meta = {
    version,
    sequence: core.sequence,
    commits: core.commits,
    pairs: core.pairs.size,
    rows: byScope((scope) => rowCounts(core.scopes[scope])),
    sources: core.sources.map(savedSource),
    counts: core.counts,
  };
  return [
    { name: "meta", bytes: utf8(JSON.stringify(meta)) },
    { name: "ids.young", bytes: ids.young },
    { name: "ids.old", bytes: ids.old },
    { name: "pairs", bytes: pairsOf(core.pairs) },
    ...rowsOf(core).map(([name, { table, runs }]) => ({ name, bytes: rowFrames(table, runs()) })),
  ];
}

function rowCounts({ rowsUsed, table }: UpdateBuffer<CounterTable>): RowCounts {
  return { rows: rowsUsed, fullRows: table.fullRowsUsed };
}

const pairsAtOnce = 1 << 16;
const pairBytes = 8;

/** User and category row of each pair row, two words a pair. They never change. */
function pairsOf(pairs: PairRows): SlicedBytes {
  const { size } = pairs;
  const slices = function* () {
    const words = new Uint32Array(2 * Math.min(size, pairsAtOnce));
    for (let first = 0; first < size; first += pairsAtOnce) {
      const count = Math.min(pairsAtOnce, size - first);
      pairs.pairs(first, count, words);
      yield new Uint8Array(words.buffer, 0, count * pairBytes);
    }
  };
  return { byteLength: size * pairBytes, slices };
}

/** Gives the pairs of a checkpoint the rows that they had, or finds that they have them. */
function restorePairs(pairs: PairRows, saved: SavedCheckpoint, total: number): void {
  const words = new Uint32Array(2 * Math.min(total, pairsAtOnce));
  for (let first = 0; first < total; first += pairsAtOnce) {
    const count = Math.min(pairsAtOnce, total - first);
    const part = words.subarray(0, 2 * count);
    saved.readInto("pairs", new Uint8Array(words.buffer, 0, part.byteLength), first * pairBytes);
    pairs.loadPairs(first, part, total);
  }
}

function aggregateBuffers({ aggregates }: WindowsCore) {
  return scopeNames.flatMap((name): [ScopeName, UpdateBuffer<AggregateTable>][] => {
    const buffer = aggregates?.buffers[name] ?? null;
    return buffer === null ? [] : [[name, buffer]];
  });
}

/**
 * Forgets what the counters hold: a thread that died may have left more than its checkpoint. Recent
 * sequences stay: what a row has taken in is skipped when it comes again, and the table holds other
 * partitions' users as well.
 */
export function clearWindows(core: WindowsCore): void {
  for (const name of scopeNames) core.scopes[name].table.clear();
  for (const [, { table }] of aggregateBuffers(core)) table.clear();
}

/**
 * Restores into a new core whose tables are clear; false, with nothing changed, for a checkpoint of
 * another version. `prefault` helps while rows are loaded.
 */
export function restoreWindows(
  core: WindowsCore,
  saved: SavedCheckpoint,
  prefault?: PrefaultRows,
): boolean {
  const meta: Meta = JSON.parse(text(readSection(saved, "meta")));
  if (meta.version !== version) return false;
  const ahead = prefault?.(meta.rows);
  try {
    restoreTables(core, saved, meta);
  } finally {
    ahead?.stop();
  }
  core.sequence = meta.sequence;
  core.commits = meta.commits;
  Object.assign(core.counts, meta.counts);
  for (const source of core.sources) {
    const known = savedOf(meta.sources, source);
    if (known === undefined) continue;
    source.offset = known.offset;
    source.watermark.restore(known.largestMs);
  }
  return true;
}

function restoreTables(core: WindowsCore, saved: SavedCheckpoint, { pairs }: Meta): void {
  core.ids.restore({ young: readSection(saved, "ids.young"), old: readSection(saved, "ids.old") });
  restorePairs(core.pairs, saved, pairs);
  for (const [name, { table, taken }] of rowsOf(core)) loadRowFrames(table, { saved, name }, taken);
}
