import { expect, test } from "bun:test";
import { SequenceTable } from "../../native/index.ts";
import { inMemory, wholeOf } from "./checkpoint-store.ts";
import { loadRowFrames, rowFrames } from "./row-frames.ts";

const shape = { rows: 18_000, length: 60, words: 2 };

/** Row r has r % 60 records. */
function filled(): SequenceTable {
  const table = SequenceTable.create(shape);
  for (let row = 0; row < shape.rows; row++) {
    for (let i = 0; i < row % 60; i++) table.push(row, Uint32Array.of(row, i), row * 100 + i);
  }
  return table;
}

function whole(table: SequenceTable): Uint8Array {
  const out = new Uint8Array(shape.rows * table.rowBytes);
  return out.subarray(0, table.save(0, shape.rows, out));
}

test("rows come back in slices of bounded size, from one buffer, runs where they were", () => {
  const [from, to] = [filled(), SequenceTable.create(shape)];
  const { slices } = rowFrames(from, Uint32Array.of(0, 9_000, 9_000, 1, 9_001, 8_999));
  const made = [...slices()];
  expect(made.length).toBeGreaterThan(1);
  expect(new Set(made.map(({ buffer }) => buffer)).size).toBe(1);
  const rows = wholeOf({ byteLength: null, slices });
  const taken: number[] = [];
  const saved = inMemory(new Map([["rows", rows]]));
  loadRowFrames(to, { saved, name: "rows" }, (first, count) => {
    expect(first).toBe(taken[0] ?? 0);
    taken[0] = first + count;
  });
  expect(taken).toEqual([shape.rows]);
  expect(Buffer.compare(whole(to), whole(from))).toBe(0);
  from.release();
  to.release();
});

test("what is no whole number of frames, or says another number of rows, is refused", () => {
  const [from, to] = [filled(), SequenceTable.create(shape)];
  const rows = wholeOf(rowFrames(from, Uint32Array.of(0, 200)));
  const load = (bytes: Uint8Array) => {
    const saved = inMemory(new Map([["rows", bytes]]));
    loadRowFrames(to, { saved, name: "rows" }, () => {});
  };
  expect(() => load(rows.subarray(0, rows.length - 1))).toThrow("rows of this table");
  expect(() => load(rows.subarray(0, 5))).toThrow("rows of this table");
  expect(() => load(rows.with(4, rows[4]! ^ 1))).toThrow("rows of this table");
  expect(() => load(rows.with(0, 255).with(3, 255))).toThrow("range");
  from.release();
  to.release();
});
