import { describe, expect, test } from "bun:test";
import { hash128, type Id128 } from "../../models/core/bytes.ts";
import { Deduplicator } from "./deduplicate.ts";

const id = (i: number) => hash128(`id ${i}`);

describe("deduplicator", () => {
  test("agrees with a set while inside the horizon", () => {
    const dedup = new Deduplicator(4_000);
    const seen = new Set<number>();
    for (let i = 0; i < 3_000; i++) {
      const n = (i * 7_919) % 2_000;
      expect(dedup.remember(id(n))).toBe(!seen.has(n));
      seen.add(n);
    }
  });

  test("keeps at least three quarters of its bound, at most the bound", () => {
    const dedup = new Deduplicator(400);
    for (let i = 0; i < 5_000; i++) expect(dedup.remember(id(i))).toBe(true);
    let known = 0;
    for (let i = 0; i < 5_000; i++) if (dedup.has(id(i))) known++;
    expect(known).toBeGreaterThanOrEqual(300);
    expect(known).toBeLessThanOrEqual(400);
    for (let i = 4_700; i < 5_000; i++) expect(dedup.has(id(i))).toBe(true);
    expect(dedup.rotations).toBeGreaterThan(0);
  });

  test("says how many ids it knows, and for how long all of them", () => {
    let nowMs = 1_000;
    const dedup = new Deduplicator(400, () => nowMs);
    expect(dedup.horizon).toEqual({ ids: 0, ms: 0 });
    for (let i = 0; i < 250; i++, nowMs += 10) dedup.remember(id(i));
    expect(dedup.horizon).toEqual({ ids: 250, ms: 2_500 });
    for (let i = 250; i < 1_030; i++, nowMs += 10) dedup.remember(id(i));
    // Four tables of 100 each take turns: the oldest of these began with the 700th.
    expect(dedup.horizon.ids).toBe(330);
    expect(Math.abs(dedup.horizon.ms - 3_300)).toBeLessThanOrEqual(10);
    for (let i = 700; i < 1_030; i++) expect(dedup.has(id(i))).toBe(true);
    expect(dedup.has(id(699))).toBe(false);
  });

  test("a table that is used again is empty, but not while a checkpoint writes it", () => {
    const dedup = new Deduplicator(400);
    let next = 0;
    const rememberUntil = (rotations: number) => {
      while (dedup.rotations < rotations) expect(dedup.remember(id(next++))).toBe(true);
    };
    rememberUntil(3);
    const { newest, older } = dedup.save();
    const before = [newest.slice(), ...older.map((table) => table.slice())];
    rememberUntil(5);
    expect([newest, ...older]).toEqual(before);
    const copy = new Deduplicator(400);
    expect(copy.restore({ newest, older: older.map((table) => table.slice()) })).toBe(true);
    dedup.release();
    rememberUntil(12);
    // What the saved tables held is gone, and what came since is known.
    for (let i = 0; i < next - 400; i++) expect(dedup.has(id(i))).toBe(false);
    for (let i = next - 300; i < next; i++) expect(dedup.has(id(i))).toBe(true);
    const buffers = new Set<ArrayBufferLike>();
    for (let round = 13; round < 25; round++) {
      rememberUntil(round);
      for (const table of dedup.save().older) buffers.add(table.buffer);
      dedup.release();
    }
    expect(buffers.size).toBe(4);
  });

  test("ids that share a slot stay apart, and one taken back leaves the others", () => {
    const dedup = new Deduplicator(64);
    const clashing = (i: number): Id128 => [5, i, 5, 1];
    for (let i = 0; i < 10; i++) expect(dedup.remember(clashing(i))).toBe(true);
    dedup.forget(clashing(3));
    expect(dedup.has(clashing(3))).toBe(false);
    for (const i of [0, 2, 4, 9]) expect(dedup.remember(clashing(i))).toBe(false);
    expect(dedup.remember(clashing(3))).toBe(true);
  });
});
