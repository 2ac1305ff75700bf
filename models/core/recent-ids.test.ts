import { describe, expect, test } from "bun:test";
import { Random } from "./random.ts";
import { RecentIds } from "./recent-ids.ts";

type Words = [number, number, number, number];

/** Ids that collide often: most words are from a small range. */
function randomId(random: Random): Words {
  const small = () => random.int(6);
  return random.next() < 0.5
    ? [small(), small(), small(), 1 + small()]
    : [random.nextUint32(), random.nextUint32(), small(), random.nextUint32()];
}

/** As a checkpoint gives them back. */
function copied({ young, old }: { young: Uint8Array; old: Uint8Array }) {
  return { young: young.slice(), old: old.slice() };
}

describe("recent ids", () => {
  test("agrees with a set while nothing has left", () => {
    const random = new Random(1);
    const ids = new RecentIds(1e6);
    const seen = new Set<string>();
    for (let i = 0; i < 20_000; i++) {
      const id = randomId(random);
      expect(ids.add(...id)).toBe(!seen.has(id.join()));
      seen.add(id.join());
    }
    expect(ids.size).toBe(seen.size);
  });

  test("finds a second delivery within half its size, and forgets beyond its size", () => {
    const ids = new RecentIds(1_000);
    const id = (i: number): Words => [i, i * 7, 3, 1];
    for (let i = 0; i < 10_000; i++) {
      expect(ids.add(...id(i))).toBe(true);
      if (i >= 499) expect(ids.add(...id(i - 499))).toBe(false);
      expect(ids.size).toBeLessThanOrEqual(1_000);
    }
    expect(ids.add(...id(10_000 - 1_001))).toBe(true);
    expect(ids.rotations).toBeGreaterThan(10);
  });

  test("an id of zero is always new", () => {
    const ids = new RecentIds(10);
    expect([ids.add(0, 0, 0, 0), ids.add(0, 0, 0, 0)]).toEqual([true, true]);
  });

  test("continues from what was saved as if nothing had happened", () => {
    const random = new Random(2);
    const kept = new RecentIds(2_000);
    let restored = new RecentIds(2_000);
    for (let i = 0; i < 10_000; i++) {
      if (random.int(900) === 0) {
        const next = new RecentIds(2_000);
        next.restore(copied(restored.save()));
        restored = next;
      }
      const id: Words = [random.int(4_000), 0, 0, 1];
      expect(restored.add(...id)).toBe(kept.add(...id));
    }
  });

  test("what is lent to a checkpoint stays as it is, and nothing is lost meanwhile", () => {
    const random = new Random(3);
    const plain = new RecentIds(1_000);
    const lending = new RecentIds(1_000);
    let written = 0;
    let lent = lending.save();
    let expected = copied(lent);
    for (let i = 0; i < 20_000; i++) {
      if (random.int(300) === 0) {
        expect(copied(lent)).toEqual(expected);
        lending.release();
        written++;
        // For a while, or not at all, nothing is lent.
        for (let j = random.int(3) * 100; j > 0; j--) {
          const id: Words = [random.int(2_000), 0, 0, 1];
          expect(lending.add(...id)).toBe(plain.add(...id));
        }
        lent = lending.save();
        expected = copied(lent);
      }
      const id: Words = [random.int(2_000), 0, 0, 1];
      expect(lending.add(...id)).toBe(plain.add(...id));
      expect(lending.size).toBe(plain.size);
    }
    expect(written).toBeGreaterThan(30);
    expect(lending.rotations).toBe(plain.rotations);
    expect(plain.rotations).toBeGreaterThan(10);
  });
});
