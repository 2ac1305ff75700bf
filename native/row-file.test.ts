import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SequenceTable } from "./sequence-table.ts";
import { loadRows, saveRows } from "./test/saved-rows.ts";
import { seededRandom } from "./test/seeded-random.ts";

const folder = mkdtempSync(join(tmpdir(), "recmaster-row-file-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const [rows, length, words] = [60, 6, 4];
/** A tenth of the rows, so that nearly every update moves one out and one back. */
const rowsInMemory = 6;

function tableAt(name: string, recordsMax = 1_000): SequenceTable {
  const table = SequenceTable.create({ rows, length, words, rowsInMemory });
  table.openFile(join(folder, name), recordsMax);
  return table;
}

interface Row {
  readonly records: readonly (readonly number[])[];
  readonly offset: number;
}

/** What the table should hold, as lists. */
class Model {
  readonly rows: Row[] = Array.from({ length: rows }, () => ({ records: [], offset: -1 }));

  change(row: number, offset: number, records: (now: Row["records"]) => Row["records"]): void {
    const old = this.rows[row]!;
    if (offset >= 0 && offset <= old.offset) return;
    this.rows[row] = { records: records(old.records), offset: Math.max(offset, old.offset) };
  }
}

function recordOf(id: number, time: number): number[] {
  return [id, ...new Uint32Array(Float64Array.of(time).buffer), id ^ 0xffff];
}

/** Pushes, batches by time and replacements of random rows, some of them told before. */
class Stream {
  readonly #random: () => number;
  #next = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  #int(below: number): number {
    return Math.floor(this.#random() * below);
  }

  /** An offset that is new to the row, one that is not, or none. */
  #offset({ offset }: Row): number {
    return this.#int(4) === 0 ? -1 : Math.max(-1, offset + this.#int(5) - 1);
  }

  step(tables: readonly SequenceTable[], model: Model): void {
    const kind = this.#int(4);
    if (kind === 0) this.#replace(tables, model);
    else if (kind === 1) this.#push(tables, model);
    else this.#batch(tables, model);
  }

  #push(tables: readonly SequenceTable[], model: Model): void {
    const row = this.#int(rows);
    const offset = this.#offset(model.rows[row]!);
    const record = recordOf(this.#next++, this.#next);
    for (const table of tables) table.push(row, Uint32Array.from(record), offset);
    model.change(row, offset, (now) => [...now, record].slice(-length));
  }

  #replace(tables: readonly SequenceTable[], model: Model): void {
    const row = this.#int(rows);
    const offset = this.#offset(model.rows[row]!);
    const records = Array.from({ length: this.#int(length + 1) }, () =>
      recordOf(this.#next++, this.#next),
    );
    const flat = Uint32Array.from(records.flat());
    for (const table of tables) table.replace(row, flat, records.length, offset);
    model.change(row, offset, () => records);
  }

  #batch(tables: readonly SequenceTable[], model: Model): void {
    const count = 1 + this.#int(40);
    const of = Uint32Array.from({ length: count }, () => this.#int(rows));
    const times = Float64Array.from({ length: count }, () => this.#next + this.#int(12));
    const offsets = new Float64Array(count);
    const records = Array.from(times, (time) => recordOf(this.#next++, time));
    for (let i = 0; i < count; i++) {
      offsets[i] = this.#offset(model.rows[of[i]!]!);
      insert(model, { row: of[i]!, offset: offsets[i]!, record: records[i]!, time: times[i]! });
    }
    const flat = Uint32Array.from(records.flat());
    for (const table of tables) table.pushAll(of, flat, count, { timeAt: 1, offsets });
  }
}

function timeOf(record: readonly number[]): number {
  return new Float64Array(Uint32Array.of(record[1]!, record[2]!).buffer)[0]!;
}

function insert(
  model: Model,
  { row, offset, record, time }: { row: number; offset: number; record: number[]; time: number },
): void {
  const { records } = model.rows[row]!;
  const at = records.findLastIndex((one) => timeOf(one) <= time) + 1;
  // Older than all of a full row: it leaves no trace, not even its offset.
  if (at === 0 && records.length === length) return;
  model.change(row, offset, (now) => now.toSpliced(at, 0, record).slice(-length));
}

function readRow(table: SequenceTable, row: number, waits = true): Row {
  const out = new Uint32Array(length * words);
  const offset = new Float64Array(1);
  const count = table.read(row, out, offset, waits);
  const records = Array.from({ length: count }, (_, i) => [
    ...out.subarray(i * words, (i + 1) * words),
  ]);
  return { records, offset: offset[0]! };
}

function readAll(table: SequenceTable): Row[] {
  return Array.from({ length: rows }, (_, row) => readRow(table, row));
}

test("a table of ten times the rows that fit equals its model at every step", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const table = tableAt(`model-${seed}`);
    const model = new Model();
    const stream = new Stream(seed);
    for (let step = 0; step < 200; step++) {
      stream.step([table], model);
      if (step % 5 === 0) expect(readAll(table)).toEqual(model.rows);
    }
    const { inMemory, filed, movedOut, broughtBack, evicted } = table.usage;
    expect({ inMemory, evicted }).toEqual({ inMemory: rowsInMemory, evicted: 0 });
    expect(broughtBack).toBeGreaterThan(500);
    expect(movedOut - broughtBack).toBe(filed);
    expect(filed).toBeGreaterThan(40);
    // A position is used again once its row is back.
    const { size } = statSync(join(folder, `model-${seed}`));
    expect(size).toBeLessThanOrEqual((rows + 1) * table.memoryRowBytes);
    table.release();
  }
});

test("what is saved holds the rows in the file, and loads where there is less room", () => {
  const table = tableAt("saved");
  const roomy = SequenceTable.create({ rows, length, words });
  const model = new Model();
  const stream = new Stream(11);
  for (let life = 0; life < 6; life++) {
    for (let step = 0; step < 40; step++) stream.step([table], model);
    const resident = table.usage;
    const saved = saveRows(table);
    // A checkpoint moves nothing: what is used stays in memory.
    expect(table.usage).toEqual(resident);
    loadRows(roomy, saved);
    expect(readAll(roomy)).toEqual(model.rows);
    for (let step = 0; step < 10; step++) stream.step([table], new Model());
    table.clear();
    expect(readAll(table).every(({ records, offset }) => records.length + offset === -1)).toBe(
      true,
    );
    expect([table.usage.inMemory, table.usage.filed]).toEqual([0, 0]);
    loadRows(table, saveRows(roomy));
    expect(readAll(table)).toEqual(model.rows);
  }
  expect(table.usage.evicted).toBe(0);
  table.release();
  roomy.release();
});

test("rows move while they are saved: told again what came since, they are the same", () => {
  const table = tableAt("live");
  const restored = tableAt("again");
  const random = seededRandom(7);
  const after: Parameters<SequenceTable["pushAll"]>[] = [];
  let offset = 0;
  const batch = () => {
    const count = 30;
    const of = Uint32Array.from({ length: count }, () => Math.floor(random() * rows));
    const offsets = Float64Array.from(of, () => offset++);
    const records = Array.from(offsets, (id) => recordOf(id, id + Math.floor(random() * 40)));
    const given = [of, Uint32Array.from(records.flat()), count, { timeAt: 1, offsets }] as const;
    table.pushAll(...given);
    after.push([...given]);
  };
  for (let step = 0; step < 40; step++) batch();
  after.length = 0;
  loadRows(restored, saveRows(table, batch));
  for (const given of after) restored.pushAll(...given);
  expect(readAll(restored)).toEqual(readAll(table));
  expect([table.usage.evicted, restored.usage.evicted]).toEqual([0, 0]);
  table.release();
  restored.release();
});

test("of more rows than memory and file hold, those used longest ago are lost", () => {
  const table = tableAt("small", 20);
  const told = new Map<number, number>();
  const push = (row: number, id: number) => {
    table.push(row, Uint32Array.from(recordOf(id, id)), id);
    told.set(row, id);
  };
  for (let id = 0; id < 400; id++) push(id % 40, id);
  const kept = [...told.keys()].filter((row) => readRow(table, row).offset >= 0);
  const { inMemory, filed, evicted, movedOut } = table.usage;
  expect([inMemory, filed, kept.length]).toEqual([rowsInMemory, 20, rowsInMemory + 20]);
  expect(evicted).toBe(movedOut - filed);
  expect(Math.max(...[...told.keys()].filter((row) => !kept.includes(row)))).toBeLessThan(20);
  for (const row of kept) expect(readRow(table, row).records.at(-1)?.[0]).toBe(told.get(row)!);
  // One that is lost begins anew, with any offset.
  const lost = [...told.keys()].find((row) => !kept.includes(row))!;
  expect(table.push(lost, Uint32Array.from(recordOf(7, 7)), 0)).toBe(true);
  expect(readRow(table, lost)).toEqual({ records: [recordOf(7, 7)], offset: 0 });
  table.release();
});

test("rows that are read stay, as do rows that are written", () => {
  const table = tableAt("used");
  for (let row = 0; row < rows; row++) table.push(row, Uint32Array.from(recordOf(row, row)), row);
  const [read, written] = [57, 58];
  for (let round = 0; round < 40; round++) {
    readRow(table, read, false);
    table.push(written, Uint32Array.from(recordOf(round, round)), -1);
    table.push(round, Uint32Array.from(recordOf(round, round)), -1);
  }
  const before = table.usage.broughtBack;
  for (const row of [read, written]) table.push(row, Uint32Array.from(recordOf(0, 0)), -1);
  expect(table.usage.broughtBack).toBe(before);
  table.release();
});

test("hardly more rows come back than if the least recently used one always left", () => {
  const [users, room] = [4_000, 1_000];
  const table = SequenceTable.create({ rows: users, length: 1, words: 1, rowsInMemory: room });
  table.openFile(join(folder, "recent"), users);
  const random = seededRandom(12);
  const [inMemory, known] = [new Set<number>(), new Set<number>()];
  let back = 0;
  for (let i = 0; i < 40_000; i++) {
    // Zipf's law.
    const row = Math.floor(users ** random());
    table.push(row, Uint32Array.of(i), -1);
    if (!inMemory.delete(row) && known.has(row)) back++;
    inMemory.add(row);
    known.add(row);
    if (inMemory.size > room) inMemory.delete(inMemory.values().next().value!);
  }
  expect(back).toBeGreaterThan(3_000);
  expect(table.usage.broughtBack).toBeLessThan(1.02 * back);
  table.release();
});

test("a damaged record is found, and its row is as before its first record", () => {
  const table = tableAt("damaged");
  const model = new Model();
  const stream = new Stream(4);
  for (let step = 0; step < 60; step++) stream.step([table], model);
  const path = join(folder, "damaged");
  const bytes = readFileSync(path);
  for (let at = 50; at < bytes.length; at += table.memoryRowBytes) bytes[at] ^= 1;
  writeFileSync(path, bytes);
  const { filed, evicted } = table.usage;
  expect([filed > 40, evicted]).toEqual([true, 0]);
  const lost = readAll(table).filter(({ records, offset }) => records.length + offset === -1);
  expect(lost.length).toBe(
    filed + model.rows.filter((row) => row.records.length === 0 && row.offset === -1).length,
  );
  for (let row = 0; row < rows; row++) table.push(row, Uint32Array.from(recordOf(row, row)), -1);
  expect(table.usage.evicted).toBe(filed);
  table.release();
});

test("an older record of the row, or another's, is not taken for it", () => {
  const table = tableAt("stale");
  const path = join(folder, "stale");
  const push = (row: number, id: number) => table.push(row, Uint32Array.from(recordOf(id, id)), id);
  // Rows leave in turn, so each round writes the same rows to the same positions.
  for (let row = 0; row < 14; row++) push(row, row);
  const old = readFileSync(path);
  for (let round = 1; round < 4; round++)
    for (let row = 0; row < 14; row++) push(row, 100 * round + row);
  writeFileSync(path, old);
  const found = Array.from({ length: 14 }, (_, row) => readRow(table, row));
  expect(table.usage.filed).toBe(14 - rowsInMemory);
  expect(found.filter(({ offset }) => offset === -1).length).toBe(14 - rowsInMemory);
  for (const { offset, records } of found) {
    if (offset !== -1) expect([offset >= 300, records.length]).toEqual([true, 4]);
  }
  table.release();
});

test("a read that does not wait gives a whole row or none, and the next ones find it", async () => {
  const table = tableAt("cold");
  const model = new Model();
  const stream = new Stream(6);
  for (let step = 0; step < 60; step++) stream.step([table], model);
  const path = join(folder, "cold");
  // Writes the file back and drops it from the page cache, where its file system has one.
  await Bun.$`sync ${path}`;
  await Bun.$`dd if=${path} iflag=nocache count=0 status=none`;
  const missing = () =>
    model.rows.filter((expected, row) => {
      const is = readRow(table, row, false);
      if (is.offset === -1 && expected.offset !== -1) {
        expect(is.records).toEqual([]);
        return true;
      }
      expect(is.offset === -1 ? expected : is).toEqual(expected);
      return false;
    }).length;
  const before = missing();
  expect(table.usage.unready).toBeGreaterThanOrEqual(before);
  const deadline = performance.now() + 30_000;
  while (missing() > 0 && performance.now() < deadline) await Bun.sleep(5);
  expect(missing()).toBe(0);
  table.release();
});

test("wrong arguments throw and change nothing", () => {
  const path = join(folder, "wrong");
  expect(() => SequenceTable.create({ rows, length, words, rowsInMemory: 0 })).toThrow("range");
  const table = SequenceTable.create({ rows, length, words, rowsInMemory });
  expect(() => table.openFile(path, 0)).toThrow("range");
  expect(() => table.openFile(join(folder, "none", "there"), 10)).toThrow("refused");
  table.openFile(path, 100);
  expect(() => table.openFile(path, 100)).toThrow("range");
  table.release();
});
