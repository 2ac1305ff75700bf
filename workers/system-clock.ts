import type { Clock } from "../models/core/clock.ts";

/** Wall time with fractions that does not jump while the process runs. */
export const systemClock: Clock = {
  nowMs: () => performance.timeOrigin + performance.now(),
};

/** Milliseconds of processor that the calling thread has taken. */
export function threadProcessorMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
