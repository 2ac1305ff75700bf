import { describe, expect, test } from "bun:test";
import { EmbeddingTable } from "../../native/index.ts";
import { noRow } from "../core/bytes.ts";
import { hashedRows, meanVectors, ownRows } from "./id-rows.ts";
import { IdVectors } from "./id-vectors.ts";

function rowsOf(ids: readonly number[], rows: number): number[] {
  const out = new Uint32Array(2 * ids.length);
  hashedRows(rows).rowsOf(Uint32Array.from(ids), ids.length, out);
  return [...out];
}

describe("rows of hashed ids", () => {
  test("are two different ones of the table, and none for no id", () => {
    for (const rows of [2, 3, 7, 1_000, 100_000_000]) {
      const ids = Array.from({ length: 2_000 }, (_, i) => i * 1_000_003);
      const found = rowsOf(ids, rows);
      expect(found.every((row) => Number.isInteger(row) && row >= 0 && row < rows)).toBe(true);
      expect(ids.every((_, i) => found[2 * i] !== found[2 * i + 1])).toBe(true);
    }
    expect(rowsOf([noRow, 5], 10).slice(0, 2)).toEqual([noRow, noRow]);
    const fromSigned = new Uint32Array(4);
    hashedRows(10).rowsOf(Int32Array.of(-1, 5), 2, fromSigned);
    expect([...fromSigned]).toEqual(rowsOf([noRow, 5], 10));
  });

  test("stay where they are: snapshots hold the rows, not the ids", () => {
    const golden = [0, 573, 317, 905, 191, 895, 918, 780];
    expect(rowsOf([0, 1, 2, 4_000_000_000], 1_000)).toEqual(golden);
  });

  test("are used evenly, and few pairs of ids share both", () => {
    const [ids, rows] = [50_000, 1_000];
    const used = new Float64Array(rows);
    const pairs = new Map<string, number>();
    const found = rowsOf(
      Array.from({ length: ids }, (_, id) => id),
      rows,
    );
    for (let i = 0; i < ids; i++) {
      const [a, b] = [found[2 * i]!, found[2 * i + 1]!];
      used[a]!++;
      used[b]!++;
      const pair = a < b ? `${a},${b}` : `${b},${a}`;
      pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
    }
    // Chi-square with 999 degrees of freedom is 999 +- 45.
    const expected = (2 * ids) / rows;
    const chi = used.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    expect(Math.abs(chi - rows)).toBeLessThan(225);
    // Of 499,500 pairs of rows 50,000 ids take 47,581 when drawn at random.
    expect(Math.abs(pairs.size - 47_581)).toBeLessThan(300);
  });
});

describe("vectors of ids", () => {
  test("are the means of their rows", () => {
    const out = new Float32Array(4);
    const vectors = Float32Array.of(1, 2, 3, 6, -1, 0, 1, 8);
    meanVectors(vectors, { count: 2, perId: 2, width: 2 }, out);
    expect([...out]).toEqual([2, 4, 0, 4]);
  });

  test("read as published under a pin, or as trained", () => {
    const table = EmbeddingTable.create({ path: null, rows: 50, dim: 3 });
    const all = Uint32Array.from({ length: 50 }, (_, row) => row);
    const values = Float32Array.from({ length: 150 }, (_, i) => Math.floor(i / 3));
    table.initialise(all, 50, values);
    table.publish(all, 50, 4);
    table.initialise(
      all,
      50,
      values.map((value) => 2 * value),
    );
    const ids = Int32Array.from({ length: 300 }, (_, i) => i - 1);
    const means = (perRow: number) => {
      const rows = rowsOf([...ids.subarray(1)], 50);
      return rows.flatMap((row, at) =>
        at % 2 === 0 ? [(perRow * (row + rows[at + 1]!)) / 2] : [],
      );
    };
    const hashed = new IdVectors(table, hashedRows(50));
    const out = new Float32Array(900);
    const firsts = () => [...out].filter((_, i) => i % 3 === 0);
    hashed.gather(ids, 300, 4, out);
    expect(firsts()).toEqual([0, ...means(1)]);
    hashed.gatherWorking(ids, 300, out);
    expect(firsts()).toEqual([0, ...means(2)]);
    hashed.gather(ids, 300, 3, out);
    expect(out).toEqual(new Float32Array(900));
    new IdVectors(table, ownRows).gather(ids, 40, 4, out);
    expect(out.subarray(3, 120)).toEqual(values.subarray(0, 117));
    table.release();
  });
});
