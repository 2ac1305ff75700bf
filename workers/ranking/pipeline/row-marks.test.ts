import { expect, test } from "bun:test";
import { Random } from "../../../models/core/random.ts";
import { RowMarks } from "./row-marks.ts";

test("marks agree with a map over many generations", () => {
  const random = new Random(3);
  const marks = new RowMarks(200);
  for (let round = 0; round < 500; round++) {
    const oracle = new Map<number, number>();
    marks.clear();
    for (let i = 0; i < 200; i++) {
      const row = random.int(4) === 0 ? random.int(4_000_000) : random.int(100);
      expect(marks.mark(row, i)).toBe(oracle.get(row) ?? -1);
      if (!oracle.has(row)) oracle.set(row, i);
    }
    const probe = random.int(4_000_000);
    expect(marks.has(probe)).toBe(oracle.has(probe));
    for (const row of oracle.keys()) expect(marks.has(row)).toBe(true);
  }
});

test("more marks than the table was made for stop the program", () => {
  const marks = new RowMarks(4);
  expect(() => {
    for (let i = 0; i < 1_000; i++) marks.mark(i, i);
  }).toThrow("more rows");
});
