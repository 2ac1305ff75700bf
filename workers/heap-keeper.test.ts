import { edenGC, fullGC } from "bun:jsc";
import { expect, test } from "bun:test";
import { HeapKeeper } from "./heap-keeper.ts";

const used = () => process.memoryUsage().heapUsed;

/** Megabytes that grew old before the last reference to them goes with the end of this. */
function litter(megabytes: number): number {
  const garbage = Array.from({ length: megabytes }, () => new Uint8Array(1 << 20).fill(1));
  edenGC();
  return garbage.length;
}

test("old garbage beside large tables is collected once there is much of it", () => {
  const table = new Uint8Array(256 << 20);
  fullGC();
  const keeper = new HeapKeeper();
  const before = used();
  expect(keeper.look()).toBe(false);
  litter(64);
  expect(used() - before).toBeGreaterThan(32 << 20);
  expect(keeper.look()).toBe(true);
  expect(used() - before).toBeLessThan(16 << 20);
  expect(keeper.look()).toBe(false);
  expect(table.length).toBe(256 << 20);
});
