import { expect, test } from "bun:test";
import { Random } from "../../../models/core/random.ts";
import { selectTop, topIndexes } from "./top-indexes.ts";

test("selection finds the same set as the sorted front, ties and all", () => {
  const random = new Random(5);
  for (let round = 0; round < 300; round++) {
    const count = 1 + random.int(400);
    const k = 1 + random.int(count);
    const distinct = 1 + random.int(30);
    const values = Float32Array.from({ length: count }, () => random.int(distinct));
    const order = Int32Array.from({ length: count + 3 }, (_, i) => i);
    selectTop({ values, count, k }, order);
    const best = new Int32Array(k);
    topIndexes({ values, count, k }, best);
    expect([...order.subarray(0, k)].sort()).toEqual([...best].sort());
    expect([...order].sort((a, b) => a - b)).toEqual([...order.keys()]);
  }
});
