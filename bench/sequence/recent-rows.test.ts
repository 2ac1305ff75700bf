import { expect, test } from "bun:test";
import { noRow } from "../../models/core/bytes.ts";
import { recentRows } from "./recent-rows.ts";

const row = (userRow: number, servedMs: number) => ({ userRow, servedMs });

test("the user's own rows, newest first, as many as asked for", () => {
  const rows = [row(1, 0), row(2, 1), row(1, 2), row(1, 3), row(1, 4), row(2, 5)];
  const recent = recentRows(rows, 2);
  expect([...recent.subarray(0, 6)]).toEqual([-1, -1, -1, -1, 0, -1]);
  expect([...recent.subarray(6)]).toEqual([2, 0, 3, 2, 1, -1]);
});

test("rows of one moment know nothing of each other, and later ones know all of them", () => {
  const recent = recentRows([row(1, 0), row(1, 7), row(1, 7), row(1, 8)], 3);
  expect([...recent.subarray(3)]).toEqual([0, -1, -1, 0, -1, -1, 2, 1, 0]);
});

test("a user without a row has no past", () => {
  expect([...recentRows([row(noRow, 0), row(noRow, 1)], 1)]).toEqual([-1, -1]);
});

test("rows out of order are refused", () => {
  expect(() => recentRows([row(1, 2), row(1, 1)], 1)).toThrow("order of time");
});
