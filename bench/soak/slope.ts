import { Random } from "../../models/core/random.ts";
import { type Figure, median, percentile, studentT } from "../statistics.ts";

/** Memory of a process at one moment. */
export interface MemoryReading {
  readonly hours: number;
  readonly memoryMb: number;
}

/** A straight line: MB at hour 0, and MB an hour. */
interface Line {
  readonly at: number;
  readonly slope: number;
}

const stretchHours = 1 / 60;
/** A short run is cut into so many stretches all the same. */
const stretchesLeast = 12;
/** Of a stretch counts what is held when nearly all garbage has just been swept. */
const lowest = 0.1;
/** Stretches that are drawn together. */
const block = 6;
const draws = 1_000;

/** The lower envelope: of each minute the memory that a tenth of its readings lie below. */
export function lowerEnvelope(readings: readonly MemoryReading[]): MemoryReading[] {
  const [first, last] = [readings[0]?.hours ?? 0, readings.at(-1)?.hours ?? 0];
  const stretch = Math.min(stretchHours, (last - first) / stretchesLeast);
  const stretches = new Map<number, MemoryReading[]>();
  for (const reading of readings) {
    const at = Math.floor((reading.hours - first) / stretch);
    const inside = stretches.get(at);
    if (inside === undefined) stretches.set(at, [reading]);
    else inside.push(reading);
  }
  return [...stretches.values()].map((inside) => {
    const memory = inside.map(({ memoryMb }) => memoryMb);
    return {
      hours: median(inside.map(({ hours }) => hours)),
      memoryMb: percentile(memory, lowest),
    };
  });
}

/** Theil and Sen: the median of the slopes of all pairs, which a single step does not turn. */
function lineThrough(points: readonly MemoryReading[]): Line {
  const slopes: number[] = [];
  for (let i = 0; i < points.length; i++) {
    const a = points[i]!;
    for (let j = i + 1; j < points.length; j++) {
      const b = points[j]!;
      slopes.push((b.memoryMb - a.memoryMb) / (b.hours - a.hours));
    }
  }
  const slope = median(slopes);
  return { slope, at: median(points.map(({ hours, memoryMb }) => memoryMb - slope * hours)) };
}

/**
 * Slope of memory, MB an hour, with a 95 % interval. A heap fills and is swept, and what a
 * checkpoint needs comes and goes: so the line is laid through the lower envelope, which a leak
 * lifts like everything else. Neighbouring minutes are alike, so the interval is a bootstrap over
 * blocks of them: what lies off the line is drawn again in runs of six (Künsch 1989, on residuals),
 * the line laid anew, and the quantiles are stretched by Student's t for as many blocks. Where
 * minutes further apart are alike it is too narrow still. Deterministic for a seed.
 */
export function slopePerHour(readings: readonly MemoryReading[], seed: number): Figure {
  const points = lowerEnvelope(readings);
  const { slope, at } = lineThrough(points);
  const off = points.map(({ hours, memoryMb }) => memoryMb - at - slope * hours);
  const random = new Random(seed);
  const again = () => {
    let from = 0;
    return points.map(({ hours }, i) => {
      if (i % block === 0) from = random.int(points.length);
      const drawn = off[(from + (i % block)) % points.length]!;
      return { hours, memoryMb: at + slope * hours + drawn };
    });
  };
  const slopes = Array.from({ length: draws }, () => lineThrough(again()).slope);
  // Two of the blocks' degrees of freedom went into the line.
  const freedom = Math.max(1, Math.round(points.length / block) - 2);
  const wider = studentT(freedom) / studentT(Number.POSITIVE_INFINITY);
  const bound = (q: number) => slope + wider * (percentile(slopes, q) - slope);
  return { value: slope, unit: "MB/h", low: bound(0.025), high: bound(0.975) };
}
