import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PaneTable } from "./pane-table.ts";
import { ReferencePaneTable } from "./reference/pane-table.ts";
import { loadRows, saveRows } from "./test/saved-rows.ts";
import { seededRandom } from "./test/seeded-random.ts";

const folder = mkdtempSync(join(tmpdir(), "recmaster-pane-file-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const windows = [
  { paneMs: 10_000, panes: 6 },
  { paneMs: 60_000, panes: 10 },
];
const [rows, counters] = [60, 4];
const shape = { rows, counters, windows };
const all = Int32Array.from({ length: rows }, (_, row) => row);

/** At most three full rows in memory, so nearly every update moves one out and one back. */
function tableAt(path: string, recordsMax = 1_000): PaneTable {
  const table = PaneTable.create({ ...shape, fullRows: 3 });
  table.openFile(path, recordsMax);
  return table;
}

type Counters = Pick<PaneTable, "apply" | "read">;

/** Time moves two seconds a batch; every event has an offset of its own. */
class Stream {
  readonly #random: () => number;
  nowMs: number;
  #offset: number;

  /** `after`: goes on where that one stands, with other events. */
  constructor(seed: number, after?: Stream) {
    this.#random = seededRandom(seed);
    this.nowMs = after?.nowMs ?? 1_700_000_000_000;
    this.#offset = after === undefined ? 0 : after.#offset;
  }

  /** The same batch to all tables. */
  batch(tables: readonly Counters[], among = rows): void {
    const count = 40;
    const column = (of: () => number) => Array.from({ length: count }, of);
    const updates = {
      rows: Uint32Array.from(column(() => Math.floor(this.#random() * among))),
      counters: Uint8Array.from(column(() => Math.floor(this.#random() * counters))),
      deltas: Uint32Array.from(column(() => 1 + Math.floor(this.#random() * 3))),
      times: Float64Array.from(column(() => this.nowMs - this.#random() * 30_000)),
      offsets: Float64Array.from(column(() => this.#offset++)),
      count,
      watermarkMs: this.nowMs - 30_000,
    };
    for (const table of tables) table.apply(updates, new Uint32Array(windows.length));
    this.nowMs += 2_000;
  }
}

function readAll(table: Counters, asOfMs: number) {
  const out = new Uint32Array(rows * (windows.length + 1) * counters);
  const offsets = new Float64Array(rows);
  table.read(all, rows, asOfMs, { out, offsets, waits: true });
  return { out, offsets };
}

test("a table of twenty times the rows that fit equals its twin at every step", () => {
  for (let seed = 1; seed <= 6; seed++) {
    const table = tableAt(join(folder, `twin-${seed}`));
    const twin = ReferencePaneTable.create(shape);
    const stream = new Stream(seed);
    for (let step = 0; step < 150; step++) {
      // Now and then most rows rest until their windows have passed.
      stream.batch([table, twin], step % 60 < 40 ? rows : 5);
      if (step % 70 === 69) stream.nowMs += 800_000;
      expect(readAll(table, stream.nowMs - 30_000)).toEqual(readAll(twin, stream.nowMs - 30_000));
      expect(readAll(table, stream.nowMs)).toEqual(readAll(twin, stream.nowMs));
    }
    const { inMemory, filed, movedOut, broughtBack, expired, evicted } = table.usage;
    expect({ inMemory, evicted }).toEqual({ inMemory: 3, evicted: 0 });
    expect(movedOut).toBeGreaterThan(500);
    expect(broughtBack).toBeGreaterThan(500);
    expect(expired).toBeGreaterThan(20);
    expect(movedOut - broughtBack - expired).toBe(filed);
    table.release();
  }
});

test("what is saved holds the rows in the file, and loads where there is less room", () => {
  const table = tableAt(join(folder, "saved"));
  const twin = ReferencePaneTable.create(shape);
  const roomy = PaneTable.create(shape);
  const stream = new Stream(5);
  for (let life = 0; life < 8; life++) {
    for (let step = 0; step < 40; step++) stream.batch([table, twin]);
    const saved = saveRows(table);
    expect(table.usage.filed).toBeGreaterThan(20);
    loadRows(roomy, saved);
    // What came after the checkpoint is lost with the process, and so does not count.
    const lost = new Stream(100 + life, stream);
    for (let step = 0; step < 10; step++) lost.batch([table]);
    loadRows(table, saveRows(roomy));
    for (const one of [roomy, table]) {
      expect(readAll(one, stream.nowMs)).toEqual(readAll(twin, stream.nowMs));
    }
    expect(table.fullRowsUsed).toBe(3);
  }
  expect(table.usage.evicted).toBe(0);
  roomy.release();
  table.release();
});

test("rows move while they are saved: brought up to date from then on they are the same", () => {
  const table = tableAt(join(folder, "live"));
  const restored = tableAt(join(folder, "again"));
  const stream = new Stream(7);
  for (let step = 0; step < 40; step++) stream.batch([table]);
  const after: Parameters<PaneTable["apply"]>[] = [];
  const kept: Counters = { apply: (...given) => after.push(given), read: () => {} };
  const saved = saveRows(table, () => stream.batch([table, kept]));
  loadRows(restored, saved);
  for (const given of after) restored.apply(...given);
  expect(readAll(restored, stream.nowMs)).toEqual(readAll(table, stream.nowMs));
  expect([table.usage.evicted, restored.usage.evicted]).toEqual([0, 0]);
  // Their positions are used again: there is never more in the file than left memory at a time.
  expect(statSync(join(folder, "live")).size).toBeLessThan(rows * (table.fullRowBytes + 8));
  table.release();
  restored.release();
});

test("a file without room: rows give their windows up, and are counted", () => {
  const table = tableAt(join(folder, "small"), 10);
  const stream = new Stream(3);
  for (let step = 0; step < 60; step++) stream.batch([table]);
  const { filed, evicted } = table.usage;
  expect(filed).toBeLessThanOrEqual(10);
  expect(evicted).toBeGreaterThan(50);
  table.release();
});

test("a damaged record is found: its row has no windows, and keeps its total", () => {
  const path = join(folder, "damaged");
  const table = tableAt(path);
  const twin = ReferencePaneTable.create(shape);
  const stream = new Stream(4);
  for (let step = 0; step < 40; step++) stream.batch([table, twin]);
  const bytes = readFileSync(path);
  for (let at = 100; at < bytes.length; at += table.fullRowBytes + 8) bytes[at] ^= 1;
  writeFileSync(path, bytes);
  const { filed, evicted } = table.usage;
  expect([filed > 30, evicted]).toEqual([true, 0]);
  // Read as if they had counted nothing yet, all of them.
  const { offsets } = readAll(table, stream.nowMs);
  expect(offsets.filter((offset) => offset === -1).length).toBe(filed);
  for (let step = 0; step < 20; step++) stream.batch([table, twin]);
  expect(table.usage.evicted).toBeGreaterThan(20);
  const [is, should] = [readAll(table, stream.nowMs), readAll(twin, stream.nowMs)];
  let known = 0;
  for (const row of all) {
    if (is.offsets[row] === -1) continue;
    known++;
    const totals = ({ out }: typeof is) =>
      out.subarray((row + 1) * table.width - counters, (row + 1) * table.width);
    expect(totals(is)).toEqual(totals(should));
  }
  expect(known).toBeGreaterThan(20);
  table.release();
});

test("a read that does not wait gives a whole row or none, and the next ones find it", async () => {
  const path = join(folder, "cold");
  const table = tableAt(path);
  const twin = ReferencePaneTable.create(shape);
  const stream = new Stream(6);
  for (let step = 0; step < 40; step++) stream.batch([table, twin]);
  // Writes the file back and drops it from the page cache, where its file system has one.
  await Bun.$`sync ${path}`;
  await Bun.$`dd if=${path} iflag=nocache count=0 status=none`;
  const should = readAll(twin, stream.nowMs);
  const width = table.width;
  const out = new Uint32Array(rows * width);
  const offsets = new Float64Array(rows);
  const read = () => {
    table.read(all, rows, stream.nowMs, { out, offsets });
    return offsets.filter((offset, row) => {
      const is = [...out.subarray(row * width, (row + 1) * width)];
      if (offset === -1) expect(is.every((value) => value === 0)).toBe(true);
      else expect(is).toEqual([...should.out.subarray(row * width, (row + 1) * width)]);
      return offset === -1;
    }).length;
  };
  expect(read()).toBe(table.usage.unready);
  const deadline = performance.now() + 30_000;
  while (read() > 0 && performance.now() < deadline) await Bun.sleep(5);
  expect(offsets).toEqual(should.offsets);
  table.release();
});

test("wrong arguments throw and change nothing", () => {
  const path = join(folder, "wrong");
  const table = PaneTable.create({ ...shape, fullRows: 3 });
  expect(() => table.openFile(path, 0)).toThrow("range");
  expect(() => table.openFile(join(folder, "none", "there"), 10)).toThrow("refused");
  table.openFile(path, 100);
  expect(() => table.openFile(path, 100)).toThrow("range");
  table.release();
});
