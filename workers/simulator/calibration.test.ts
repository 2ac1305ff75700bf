import { describe, expect, test } from "bun:test";
import { runBaseline } from "./baseline.ts";

const load = { sessionsPerSecond: 4, minutes: 16, warmUpMinutes: 8 };

describe("the default world keeps its promise", () => {
  for (const seed of [11, 12, 13, 14, 15]) {
    test(`seed ${seed}: popularity 1.3-1.7 x random, oracle at least 3 x random`, async () => {
      const rate = async (policy: "random" | "popularity" | "oracle") =>
        (await runBaseline({ ...load, policy, world: { seed } })).expectedClickRate;
      const random = await rate("random");
      const popularity = await rate("popularity");
      const oracle = await rate("oracle");
      expect(random).toBeGreaterThan(0.02);
      expect(popularity / random).toBeGreaterThan(1.3);
      expect(popularity / random).toBeLessThan(1.7);
      expect(oracle / random).toBeGreaterThan(3);
    }, 30_000);
  }
});
