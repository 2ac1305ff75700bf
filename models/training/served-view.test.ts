import { expect, test } from "bun:test";
import { hash128, readId128, viewOf } from "../core/bytes.ts";
import { encodeServed } from "./served.ts";
import {
  servedAt,
  servedCategories,
  servedCount,
  servedItemRow,
  servedTimeMs,
  servedUserRow,
} from "./served-view.ts";

test("reads in place what was encoded, at any position", () => {
  const items = Uint32Array.of(7, 4_000_000_000, 9);
  const record = encodeServed({
    requestId: hash128("r"),
    userRow: 12,
    modelVersion: 1,
    indexGeneration: 2,
    timeMs: 1_700_000_000_000.25,
    asOfMs: 1,
    userOffset: 5,
    userDense: new Float32Array(3),
    items,
    categories: Uint32Array.of(5, 0xffff_ffff, 6),
    moreCategories: Uint32Array.of(7, 8, 0xffff_ffff, 0xffff_ffff, 9, 0xffff_ffff),
    routes: new Uint32Array(3),
    scores: new Float32Array(3),
    propensities: new Float32Array(3),
    heads: new Float32Array(6),
    itemOffsets: new Float64Array(3),
    itemDense: new Float32Array(12),
  });
  for (const at of [0, 3]) {
    const bytes = new Uint8Array(at + record.length);
    bytes.set(record, at);
    const view = viewOf(bytes);
    expect(servedCount(view, at)).toBe(3);
    expect(servedUserRow(view, at)).toBe(12);
    expect(servedTimeMs(view, at)).toBe(1_700_000_000_000.25);
    expect([0, 1, 2].map((i) => servedItemRow(view, at, 3, i))).toEqual([...items]);
    const rows = new Int32Array(4);
    const categories = [0, 1, 2].map((index) =>
      rows.slice(0, servedCategories(view, at, { count: 3, index }, rows)),
    );
    expect(categories.map((found) => [...found])).toEqual([[5, 7, 8], [], [6, 9]]);
    expect(readId128(view, at + servedAt.requestId)).toEqual(hash128("r"));
  }
});
