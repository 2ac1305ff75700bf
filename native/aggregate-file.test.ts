import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AggregateTable, type AggregateUpdates, MergedAggregates } from "./aggregate-table.ts";
import { seededRandom } from "./test/seeded-random.ts";

const folder = mkdtempSync(join(tmpdir(), "recmaster-aggregate-file-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const rows = 60;
/** A tenth of the rows, so that nearly every update moves one out and one back. */
const rowsInMemory = 6;
const window = { paneMs: 10_000, panes: 4 };
const aggregates = [
  { kind: "decayed", counter: 0, source: 0, halfLifeMs: 50_000 },
  { kind: "max", counter: 1, source: 0, window },
  { kind: "distinct", counter: 0, source: 0, window },
] as const;
const all = Int32Array.from({ length: rows }, (_, row) => row);

function tableAt(name: string): AggregateTable {
  const table = AggregateTable.create(rows, aggregates, rowsInMemory);
  table.openFile(join(folder, name), 1_000);
  return table;
}

/** Time moves two seconds a batch; every event has an offset of its own. */
class Stream {
  readonly #random: () => number;
  nowMs = 1_700_000_000_000;
  #offset = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  batch(): AggregateUpdates {
    const count = 40;
    const column = (below: number) =>
      Array.from({ length: count }, () => Math.floor(this.#random() * below));
    this.nowMs += 2_000;
    return {
      ...{ rows: Uint32Array.from(column(rows)), counters: Uint8Array.from(column(2)) },
      ...{ sources: new Uint8Array(count), values: Uint32Array.from(column(500)) },
      times: Float64Array.from(column(30_000), (age) => this.nowMs - age),
      offsets: Float64Array.from(column(1), () => this.#offset++),
      ...{ count, watermarkMs: this.nowMs - 30_000 },
    };
  }
}

function readAll(from: Pick<AggregateTable, "read">, nowMs: number, tables = 1) {
  const out = new Float64Array(rows * aggregates.length);
  const offsets = new Float64Array(tables * rows);
  from.read(all, rows, nowMs, { out, offsets, waits: true });
  return { out, offsets };
}

function apply(table: AggregateTable, updates: AggregateUpdates): Uint32Array {
  const late = new Uint32Array(aggregates.length);
  table.apply(updates, late);
  return late;
}

test("a table of ten times the rows that fit equals one that has room for all", () => {
  const table = tableAt("steps");
  const roomy = AggregateTable.create(rows, aggregates);
  const stream = new Stream(8);
  for (let step = 0; step < 120; step++) {
    const updates = stream.batch();
    expect(apply(table, updates)).toEqual(apply(roomy, updates));
    expect(readAll(table, stream.nowMs)).toEqual(readAll(roomy, stream.nowMs));
    if (step % 40 !== 39) continue;
    const saved = new Uint8Array(rows * table.rowBytes);
    const used = table.save(0, rows, saved);
    table.clear();
    table.load(0, saved.subarray(0, used));
    expect(readAll(table, stream.nowMs)).toEqual(readAll(roomy, stream.nowMs));
  }
  const { inMemory, filed, evicted, broughtBack } = table.usage;
  expect([inMemory, filed, evicted]).toEqual([rowsInMemory, rows - rowsInMemory, 0]);
  expect(broughtBack).toBeGreaterThan(1_000);
  table.release();
  roomy.release();
});

test("parts of rows are added up wherever they stand", () => {
  const crowded = [tableAt("part-0"), tableAt("part-1")];
  const roomy = crowded.map(() => AggregateTable.create(rows, aggregates));
  const stream = new Stream(9);
  for (let step = 0; step < 60; step++) {
    const updates = stream.batch();
    for (const tables of [crowded, roomy]) apply(tables[step % 2]!, updates);
    const [is, should] = [crowded, roomy].map((tables) =>
      readAll(new MergedAggregates(tables), stream.nowMs, tables.length),
    );
    expect(is).toEqual(should!);
  }
  for (const table of [...crowded, ...roomy]) table.release();
});
