import { assert } from "../../models/core/assert.ts";
import { text, utf8 } from "../../models/core/bytes.ts";
import { RecError } from "../../models/core/errors.ts";
import { type ScopeName, scopeNames } from "../../models/definition/define.ts";
import { type CheckpointSection, packedBytes, sectionOf } from "../stores/checkpoint-store.ts";
import { type SavedSource, savedOf, savedSource } from "../stores/log-source.ts";
import type { RowSet } from "./row-set.ts";
import type { AggregateTable, CounterTable, PackedRows, PairRows, SavedRows } from "./tables.ts";
import type { UpdateBuffer } from "./update-buffer.ts";
import type { WindowsCore } from "./windows.ts";

/** The part of a checkpoint that is not rows. */
interface Meta {
  readonly version: number;
  readonly sequence: number;
  readonly commits: number;
  readonly sources: readonly SavedSource[];
  readonly rows: Readonly<Record<string, number>>;
  readonly counts: WindowsCore["counts"];
}

const version = 5;

type SavedTable = Omit<SavedRows, "clear">;

/** Rows of a table as one section; the copy is what lets the role go on while it is written. */
function rowsSection(name: string, table: SavedTable, count: number): CheckpointSection {
  const bytes = new Uint8Array(count * table.rowBytes);
  if (count > 0) table.save(0, count, bytes);
  return { name, bytes };
}

/** A table of which other partitions' users have rows too. */
interface TouchedRows {
  readonly table: PackedRows;
  readonly touched: RowSet;
}

const packedAtOnce = 1_024;

/**
 * Rows that differ in length: gathered in pieces, as most are far from the longest. A second
 * section says which rows they are: first row, count and bytes of each run.
 */
function packedSections(name: string, { table, touched }: TouchedRows): CheckpointSection[] {
  const scratch = new Uint8Array(packedAtOnce * table.rowBytes);
  const pieces: Uint8Array[] = [];
  const found = touched.runs(packedAtOnce);
  const runs = new Uint32Array((found.length / 2) * 3);
  for (let i = 0; 2 * i < found.length; i++) {
    const [first, count] = [found[2 * i], found[2 * i + 1]];
    const used = table.save(first, count, scratch);
    pieces.push(scratch.slice(0, used));
    runs.set([first, count, used], 3 * i);
  }
  return [
    { name, bytes: Buffer.concat(pieces) },
    { name: `${name}.runs`, bytes: new Uint8Array(runs.buffer) },
  ];
}

function loadPacked(
  name: string,
  { table, touched }: TouchedRows,
  sections: ReadonlyMap<string, Uint8Array>,
): void {
  const bytes = sectionOf(sections, name);
  const runs = new Uint32Array(sectionOf(sections, `${name}.runs`).slice().buffer);
  let at = 0;
  for (let i = 0; i < runs.length; i += 3) {
    const [first, count, length] = runs.subarray(i, i + 3);
    table.load(first, bytes.subarray(at, at + length));
    touched.addRun(first, count);
    at += length;
  }
}

/**
 * The whole state of the role between two batches: counters, recent and seen items, pair rows,
 * known ids, and the offset and watermark of each input. Restored and continued from those offsets,
 * it gives what a run without a stop gives.
 */
export function saveWindows(core: WindowsCore): CheckpointSection[] {
  core.flush();
  const ids = core.ids.save();
  const meta: Meta = {
    version,
    sequence: core.sequence,
    commits: core.commits,
    sources: core.sources.map(savedSource),
    rows: Object.fromEntries(scopeNames.map((name) => [name, core.scopes[name].rowsUsed])),
    counts: core.counts,
  };
  return [
    { name: "meta", bytes: utf8(JSON.stringify(meta)) },
    { name: "ids.young", bytes: ids.young },
    { name: "ids.old", bytes: ids.old },
    { name: "pairs", bytes: savePairs(core.pairs) },
    ...(core.recent === null ? [] : packedSections("recent", core.recent)),
    ...(core.seen === null ? [] : packedSections("seen", core.seen)),
    ...scopeNames.flatMap((name) => {
      const { table, rowsUsed } = core.scopes[name];
      const full = fullRowsOf(table);
      return [
        rowsSection(name, table, rowsUsed),
        rowsSection(`${name}.full`, full, table.fullRowsUsed),
      ];
    }),
    ...aggregateBuffers(core).map(([name, { table, rowsUsed }]) => {
      return { name: `${name}.aggregates`, bytes: packedBytes(table, rowsUsed) };
    }),
  ];
}

function aggregateBuffers({ aggregates }: WindowsCore) {
  return scopeNames.flatMap((name): [ScopeName, UpdateBuffer<AggregateTable>][] => {
    const buffer = aggregates?.buffers[name] ?? null;
    return buffer === null ? [] : [[name, buffer]];
  });
}

/** The full rows of a table, as rows of their own. */
function fullRowsOf(table: CounterTable): SavedTable {
  return {
    rowBytes: table.fullRowBytes,
    save: (first, count, out) => table.saveFull(first, count, out),
    load: (first, count, data) => table.loadFull(first, count, data),
  };
}

function loadRows(table: SavedTable, bytes: Uint8Array, name: string): number {
  if (bytes.length % table.rowBytes !== 0) {
    throw new RecError(
      "REC_CHECKPOINT_SHAPE",
      `the rows of ${name} are not of ${table.rowBytes} bytes: the definition has changed`,
      { fix: "remove the windows checkpoint; the role then replays the log" },
    );
  }
  const count = bytes.length / table.rowBytes;
  if (count > 0) table.load(0, count, bytes);
  return count;
}

/** User and category row of each pair row, two words a pair. */
function savePairs(pairs: PairRows): Uint8Array {
  const keys = new Uint32Array(2 * pairs.size);
  pairs.pairs(0, keys.length / 2, keys);
  return new Uint8Array(keys.buffer);
}

/** Gives the pairs of a checkpoint the rows that they had, or finds that they have them. */
function restorePairs(pairs: PairRows, keys: Uint32Array): void {
  const count = keys.length / 2;
  const users = new Uint32Array(count);
  const categories = new Uint32Array(count);
  for (let row = 0; row < count; row++) {
    users[row] = keys[2 * row];
    categories[row] = keys[2 * row + 1];
  }
  const rows = new Uint32Array(count);
  pairs.internPairs(users, categories, count, rows);
  for (let row = 0; row < count; row++) assert(rows[row] === row, "pair rows never change");
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
 * another version.
 */
export function restoreWindows(
  core: WindowsCore,
  sections: ReadonlyMap<string, Uint8Array>,
): boolean {
  const meta: Meta = JSON.parse(text(sectionOf(sections, "meta")));
  if (meta.version !== version) return false;
  core.sequence = meta.sequence;
  core.commits = meta.commits;
  Object.assign(core.counts, meta.counts);
  for (const source of core.sources) {
    const saved = savedOf(meta.sources, source);
    if (saved === undefined) continue;
    source.offset = saved.offset;
    source.watermark.restore(saved.largestMs);
  }
  core.ids.restore({
    young: sectionOf(sections, "ids.young"),
    old: sectionOf(sections, "ids.old"),
  });
  restorePairs(core.pairs, new Uint32Array(sectionOf(sections, "pairs").slice().buffer));
  if (core.recent !== null) loadPacked("recent", core.recent, sections);
  if (core.seen !== null) loadPacked("seen", core.seen, sections);
  for (const name of scopeNames) {
    const buffer = core.scopes[name];
    const full = fullRowsOf(buffer.table);
    loadRows(full, sectionOf(sections, `${name}.full`), `${name}.full`);
    buffer.rowsUsed = loadRows(buffer.table, sectionOf(sections, name), name);
  }
  for (const [name, buffer] of aggregateBuffers(core)) {
    buffer.rowsUsed = buffer.table.load(0, sectionOf(sections, `${name}.aggregates`));
  }
  return true;
}
