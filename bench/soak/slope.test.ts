import { expect, test } from "bun:test";
import { Random } from "../../models/core/random.ts";
import { type Reading, slopePerHour } from "./slope.ts";

/** Readings of 45 minutes: a line of `perHour` MB under a heap that fills and is swept. */
function readings(perHour: number, seed: number): Reading[] {
  const random = new Random(seed);
  return Array.from({ length: 270 }, (_, i) => {
    const hours = i / 360;
    const sawtooth = 30 * ((i % 23) / 23) + 4 * random.next();
    return { hours, memoryMb: 900 + perHour * hours + sawtooth, descriptors: 40, nativeObjects: 9 };
  });
}

test("a slope is found under a heap's sawtooth, and its interval holds it", () => {
  for (const perHour of [0, 25]) {
    for (let seed = 1; seed <= 5; seed++) {
      const { value, low, high } = slopePerHour(readings(perHour, seed));
      expect(Math.abs(value - perHour)).toBeLessThan(8);
      expect(low).toBeLessThan(perHour + 2);
      expect(high).toBeGreaterThan(perHour - 2);
    }
  }
  expect(slopePerHour(readings(25, 1)).low).toBeGreaterThan(10);
});
