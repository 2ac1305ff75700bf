import type { Clock } from "../models/core/clock.ts";

/** Wall time with fractions that does not jump while the process runs. */
export const systemClock: Clock = {
  nowMs: () => performance.timeOrigin + performance.now(),
};
