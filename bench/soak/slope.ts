import type { Figure } from "../statistics.ts";
import { median, overSeeds } from "../statistics.ts";

/** What a process holds at one moment. */
export interface Reading {
  readonly hours: number;
  readonly memoryMb: number;
  readonly descriptors: number;
  readonly nativeObjects: number;
}

const blocks = 12;

/** Least squares: MB an hour. */
function slope(readings: readonly Reading[]): number {
  const hours = readings.reduce((sum, one) => sum + one.hours, 0) / readings.length;
  const memory = readings.reduce((sum, one) => sum + one.memoryMb, 0) / readings.length;
  let across = 0;
  let spread = 0;
  for (const one of readings) {
    across += (one.hours - hours) * (one.memoryMb - memory);
    spread += (one.hours - hours) ** 2;
  }
  return across / spread;
}

/**
 * Slope of memory, MB an hour, with a 95 % interval. Neighbouring readings are alike (a heap fills
 * and is swept), so that an interval over single readings would be far too narrow. The run is cut
 * into blocks whose medians are the data, and each block is left out once (the jackknife).
 */
export function slopePerHour(readings: readonly Reading[]): Figure {
  const size = Math.max(1, Math.floor(readings.length / blocks));
  const medians: Reading[] = [];
  for (let from = 0; from + size <= readings.length; from += size) {
    const block = readings.slice(from, from + size);
    const at = (of: (one: Reading) => number) => median(block.map(of));
    medians.push({ ...block[0]!, hours: at((one) => one.hours), memoryMb: at((o) => o.memoryMb) });
  }
  const whole = slope(medians);
  const count = medians.length;
  // Pseudo-values: their mean's interval is the jackknife's.
  const values = medians.map(
    (_, left) => count * whole - (count - 1) * slope(medians.filter((_one, i) => i !== left)),
  );
  return { ...overSeeds(values, "MB/h"), value: whole };
}
