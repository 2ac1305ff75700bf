import { expect, test } from "bun:test";
import { Random } from "../../models/core/random.ts";
import { type MemoryReading, slopePerHour } from "./slope.ts";

/**
 * Readings of 45 minutes: a leak of `perHour` MB under heaps that fill and are swept, each in its
 * own time, checkpoints of 60 MB, and a table of 30 MB that is given up and made again.
 */
function readings(perHour: number, seed: number): MemoryReading[] {
  const random = new Random(seed);
  const heaps = Array.from({ length: 5 }, (_, i) => ({
    mbPerSecond: 0.1 * (i + 1) * (0.5 + random.next()),
    everySeconds: 15 * (1 + random.int(6)),
    sweptAt: random.next() * 60,
  }));
  const [checkpointEvery, givenUpAt] = [300 + random.int(600), 600 + random.int(1_200)];
  return Array.from({ length: 1_350 }, (_, i) => {
    const seconds = 2 * i;
    let memoryMb = 550 + (perHour * seconds) / 3_600 + 3 * random.next();
    for (const { mbPerSecond, everySeconds, sweptAt } of heaps) {
      memoryMb += mbPerSecond * ((seconds + sweptAt) % everySeconds);
    }
    if (seconds % checkpointEvery < 20) memoryMb += 60;
    if (seconds > givenUpAt && seconds < givenUpAt + 240) memoryMb -= 30;
    return { hours: seconds / 3_600, memoryMb };
  });
}

test("a leak of 20 MB an hour is seen under the sawteeth of heaps, and none without one", () => {
  for (let seed = 1; seed <= 4; seed++) {
    const still = slopePerHour(readings(0, seed), seed);
    const leaking = slopePerHour(readings(20, seed), seed);
    expect(Math.abs(still.value)).toBeLessThan(5);
    expect(still.low).toBeLessThan(0);
    expect(still.high).toBeGreaterThan(0);
    expect(Math.abs(leaking.value - 20)).toBeLessThan(5);
    expect(leaking.high).toBeGreaterThan(20);
    // The two are told apart.
    expect(still.high).toBeLessThan(leaking.value);
    expect(leaking.low).toBeGreaterThan(still.value);
  }
});

test("without noise the slope is exact, and a short run has one too", () => {
  const line = Array.from({ length: 30 }, (_, i) => ({ hours: i / 6_000, memoryMb: 100 + i / 10 }));
  const { value, low, high } = slopePerHour(line, 1);
  expect(value).toBeCloseTo(600, 3);
  expect(low).toBeCloseTo(600, 3);
  expect(high).toBeCloseTo(600, 3);
});
