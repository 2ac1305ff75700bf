import { expect, test } from "bun:test";
import { RowTable } from "./row-table.ts";
import { SequenceTable } from "./sequence-table.ts";
import { seededRandom } from "./test/seeded-random.ts";

function contents(table: SequenceTable, row: number): number[] {
  const out = new Uint32Array(table.length * table.words);
  return [...out.subarray(0, table.read(row, out) * table.words)];
}

function offsetOf(table: SequenceTable, row: number): number {
  const offset = new Float64Array(1);
  table.read(row, new Uint32Array(table.length * table.words), offset);
  return offset[0];
}

test("keeps the newest records, as an array would", () => {
  const random = seededRandom(5);
  for (const [length, words] of [
    [1, 1],
    [3, 1],
    [5, 3],
    [8, 4],
  ] as const) {
    const table = SequenceTable.create({ rows: 4, length, words });
    const model: { records: number[][]; offset: number }[] = Array.from({ length: 4 }, () => ({
      records: [],
      offset: -1,
    }));
    for (let step = 0; step < 500; step++) {
      const row = Math.floor(random() * 4);
      const expected = model[row];
      if (random() < 0.1) {
        const count = Math.floor(random() * (length + 1));
        const records = Array.from({ length: count }, () =>
          Array.from({ length: words }, () => Math.floor(random() * 2 ** 32)),
        );
        const offset = random() < 0.2 ? -1 : expected.offset + Math.floor(random() * 4) - 1;
        const replaced = offset < 0 || offset > expected.offset;
        const given = Math.max(-1, offset);
        expect(table.replace(row, Uint32Array.from(records.flat()), count, given)).toBe(replaced);
        if (replaced) {
          expected.records = records;
          expected.offset = Math.max(expected.offset, given);
        }
      } else {
        const record = Array.from({ length: words }, () => Math.floor(random() * 2 ** 32));
        const offset = random() < 0.2 ? -1 : expected.offset + Math.floor(random() * 4) - 1;
        const pushed = offset < 0 || offset > expected.offset;
        const given = Math.max(-1, offset);
        expect(table.push(row, Uint32Array.from(record), given)).toBe(pushed);
        if (pushed) {
          expected.records = [...expected.records, record].slice(-length);
          expected.offset = Math.max(expected.offset, given);
        }
      }
      expect(contents(table, row)).toEqual(expected.records.flat());
      expect(offsetOf(table, row)).toBe(expected.offset);
    }
    table.release();
  }
});

test("a batch takes its place in the order of time, equal times as they come", () => {
  const random = seededRandom(11);
  const table = SequenceTable.create({ rows: 5, length: 6, words: 3 });
  const expected: { id: number; time: number }[][] = Array.from({ length: 5 }, () => []);
  for (let batch = 0; batch < 80; batch++) {
    const count = Math.floor(random() * 30);
    const rows = Uint32Array.from({ length: count }, () => Math.floor(random() * 5));
    const records = new Uint32Array(3 * count);
    for (let i = 0; i < count; i++) {
      const one = { id: batch * 100 + i, time: batch + Math.floor(random() * 8) / 2 };
      records[3 * i] = one.id;
      records.set(new Uint32Array(Float64Array.of(one.time).buffer), 3 * i + 1);
      const list = expected[rows[i]];
      list.splice(list.findLastIndex(({ time }) => time <= one.time) + 1, 0, one);
      if (list.length > 6) list.shift();
    }
    const offsets = new Float64Array(count).fill(-1);
    table.pushAll(rows, records, count, { timeAt: 1, offsets });
    expected.forEach((list, row) => {
      const ids = contents(table, row).filter((_, i) => i % 3 === 0);
      expect(ids).toEqual(list.map(({ id }) => id));
    });
  }
  table.clear();
  table.pushAll(Uint32Array.of(1, 1), Uint32Array.of(1, 2, 3, 4, 5, 6), 2);
  expect(contents(table, 1)).toEqual([1, 2, 3, 4, 5, 6]);
  const again = (offset: number) => {
    const order = { timeAt: 1, offsets: Float64Array.of(offset) };
    table.pushAll(Uint32Array.of(2), Uint32Array.of(7, 0, 0), 1, order);
  };
  for (const offset of [5, 5, 4, 6]) again(offset);
  expect(contents(table, 2)).toEqual([7, 0, 0, 7, 0, 0]);
  table.release();
});

test("saved rows continue identically, cleared rows are empty", () => {
  const table = SequenceTable.create({ rows: 3, length: 3, words: 1 });
  const other = SequenceTable.create({ rows: 3, length: 3, words: 1 });
  for (let i = 0; i < 5; i++) table.push(1, Uint32Array.of(i), i);
  const bytes = new Uint8Array(3 * table.rowBytes);
  const used = table.save(0, 3, bytes);
  expect(used).toBe(3 * 12 + 3 * 4);
  expect(other.load(0, bytes.subarray(0, used))).toBe(3);
  expect(other.push(1, Uint32Array.of(9), 4)).toBe(false);
  expect(other.push(1, Uint32Array.of(9), 5)).toBe(true);
  expect(contents(other, 1)).toEqual([3, 4, 9]);
  other.clear();
  expect(contents(other, 1)).toEqual([]);
  expect(other.push(1, Uint32Array.of(9), 0)).toBe(true);
  expect(contents(other, -1)).toEqual([]);
  table.release();
  other.release();
});

test("a row of bytes comes back whole; what was never written is zero", () => {
  const table = RowTable.create({ rows: 10, rowBytes: 13 });
  const bytes = Uint8Array.from({ length: 13 }, (_, i) => i + 1);
  table.write(9, bytes);
  const out = new Uint8Array(39).fill(255);
  table.read(Uint32Array.of(0xffff_ffff, 9, 0), 3, out);
  expect([...out]).toEqual([...new Array(13).fill(0), ...bytes, ...new Array(13).fill(0)]);
  const many = new Int32Array(100).fill(9);
  const all = new Uint8Array(1_300);
  table.read(many, 100, all);
  expect(all.every((byte, i) => byte === (i % 13) + 1)).toBe(true);
  table.release();
});

test("wrong arguments throw", () => {
  const table = SequenceTable.create({ rows: 2, length: 3, words: 2 });
  const record = new Uint32Array(2);
  const out = new Uint32Array(6);
  for (const row of [-1, 2, 0.5, Number.NaN, 2 ** 31]) {
    expect(() => table.push(row, record, 0)).toThrow();
    expect(() => table.replace(row, record, 1)).toThrow();
  }
  expect(() => table.push(0, record.subarray(1), 0)).toThrow("short");
  expect(() => table.push(0, record, -2)).toThrow("range");
  expect(() => table.replace(0, new Uint32Array(8), 4)).toThrow("range");
  expect(() => table.replace(0, record, 2)).toThrow("short");
  expect(() => table.read(0, out.subarray(1))).toThrow("short");
  expect(() => table.read(2, out)).toThrow("range");
  const order = (timeAt: number, offset: number) => ({
    ...{ timeAt, offsets: Float64Array.of(offset) },
  });
  const bad = new Uint8Array(table.rowBytes).fill(255);
  expect(() => table.load(0, bad)).toThrow("range");
  expect(() => table.load(0, new Uint8Array(13))).toThrow("range");
  expect(() => table.load(1, new Uint8Array(2 * 12))).toThrow("range");
  expect(() => table.pushAll(Uint32Array.of(0, 2), new Uint32Array(4), 2)).toThrow("range");
  expect(() => table.pushAll(Uint32Array.of(0), new Uint32Array(1), 1)).toThrow("range");
  expect(() => table.pushAll(Uint32Array.of(0), record, 1, order(1, -1))).toThrow("range");
  expect(() => table.pushAll(Uint32Array.of(0), record, 1, order(0, -2))).toThrow("range");
  const rows = RowTable.create({ rows: 2, rowBytes: 8 });
  expect(() => rows.write(2, new Uint8Array(8))).toThrow("range");
  expect(() => rows.write(0, new Uint8Array(7))).toThrow("short");
  expect(() => rows.read(Int32Array.of(2), 1, new Uint8Array(8))).toThrow("range");
  expect(() => rows.read(Int32Array.of(0), 1, new Uint8Array(7))).toThrow("short");
  expect(() => rows.read(Int32Array.of(0), 2, new Uint8Array(16))).toThrow("rows");
  expect(() => RowTable.attach(table.handle)).toThrow("handle");
  expect(() => SequenceTable.attach(rows.handle)).toThrow("handle");
  expect(() => RowTable.create({ rows: 1, rowBytes: 4097 })).toThrow("range");
  table.release();
  rows.release();
});
