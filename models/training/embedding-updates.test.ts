import { expect, test } from "bun:test";
import { EmbeddingUpdates } from "./embedding-updates.ts";
import { MemoryVectors } from "./testing/memory-vectors.ts";

test("forgotten rows are zeros, learn as new ones do, and must be admitted again", () => {
  const table = new MemoryVectors(2);
  const options = { learningRate: 0.1, epsilon: 0.05, decay: 1, admission: 1, expiryMs: Infinity };
  const updates = new EmbeddingUpdates(table, { width: 2, rowsMax: 4 }, options);
  // The second row stands far behind what is set back at once.
  const batch = {
    ...{ keys: Uint32Array.of(3, 2_000), gradients: Float32Array.of(1, -2, 3, 4) },
    ...{ count: 2, scale: 1, timeMs: 1e12 },
  };
  const learned = () => [...batch.keys].map((row) => table.values.get(row));
  updates.apply(batch);
  updates.apply(batch);
  const once = learned();
  expect(once.flatMap((row) => [...(row ?? [])]).every((value) => value !== 0)).toBe(true);
  updates.apply(batch);
  updates.forget();
  updates.apply(batch);
  expect(learned()).toEqual([new Float32Array(2), new Float32Array(2)]);
  expect(table.sums.size).toBe(0);
  updates.apply(batch);
  expect(learned()).toEqual(once);
  expect([...updates.takeTouched().rows]).toEqual([3, 2_000]);
});
