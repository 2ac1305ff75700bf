import { expect, test } from "bun:test";
import { EmbeddingTable } from "../../native/index.ts";
import { GoodRows } from "./good-rows.ts";

test("a row that was handed to another id goes back to nothing, not to what it held", () => {
  const table = EmbeddingTable.create({ path: null, rows: 8, dim: 2 });
  const rows = Uint32Array.of(3, 5);
  const set = (value: number) => table.initialise(rows, 2, new Float32Array(4).fill(value));
  const good = new GoodRows(table);
  const out = new Float32Array(4);
  set(1);
  good.remember(rows);
  set(2);
  // Row 5 was remembered as its former id had it; row 6 never was.
  good.forget(Uint32Array.of(5, 6));
  good.gather(rows, 2, out);
  expect([...out]).toEqual([1, 1, 0, 0]);
  table.initialise(Uint32Array.of(6), 1, Float32Array.of(9, 9));
  good.takeBack();
  table.gatherWorking(rows, 2, out);
  expect([...out]).toEqual([1, 1, 0, 0]);
  table.gatherWorking(Uint32Array.of(6, 4), 2, out);
  expect([...out]).toEqual([0, 0, 0, 0]);
  table.release();
});
