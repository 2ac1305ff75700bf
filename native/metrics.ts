import { loadNative } from "./load.ts";

interface Functions {
  metricsCreate(counters: number, histograms: number): number;
  metricsShape(handle: number, out: Uint32Array): void;
  metricsAdd(handle: number, counter: number, by: number): void;
  metricsSet(handle: number, counter: number, value: number): void;
  metricsObserve(handle: number, histogram: number, value: number): void;
  metricsHold(handle: number, histogram: number, value: number): void;
  metricsTakeHeld(handle: number, histogram: number): number;
  metricsReadCounters(handle: number, out: Float64Array): void;
  metricsReadHistogram(handle: number, histogram: number, out: Float64Array): void;
  metricsBucketBound(bucket: number): number;
  sharedRelease(handle: number): void;
}

export interface MetricNames {
  readonly counters: readonly string[];
  readonly histograms: readonly string[];
  /** What goes up and down. */
  readonly gauges?: readonly string[];
}

/** Buckets of a histogram: 32 an octave from 2^-20 to 2^40, one below, one above. */
export const histogramBuckets = 1_922;

/** Upper bound of a bucket; the last one is Infinity. */
export function histogramBound(bucket: number): number {
  return loadNative<Functions>().metricsBucketBound(bucket);
}

/** What a histogram held when it was read. */
export class HistogramReading {
  readonly count: number;
  readonly sum: number;
  /** Counts by bucket; bucket b holds values in [histogramBound(b - 1), histogramBound(b)). */
  readonly buckets: Float64Array;

  constructor(buckets: Float64Array, sum: number) {
    this.buckets = buckets;
    this.sum = sum;
    this.count = buckets.reduce((total, count) => total + count, 0);
  }

  /** The value at quantile q (0 to 1), the middle of its bucket; NaN when empty. */
  quantile(q: number): number {
    if (this.count === 0) return Number.NaN;
    const rank = Math.max(1, Math.ceil(q * this.count));
    let seen = 0;
    let bucket = 0;
    for (; bucket < histogramBuckets - 1; bucket++) {
      seen += this.buckets[bucket];
      if (seen >= rank) break;
    }
    if (bucket === 0) return 0;
    const low = histogramBound(bucket - 1);
    return bucket === histogramBuckets - 1 ? low : (low + histogramBound(bucket)) / 2;
  }

  /** How many values lay in buckets that end at or below `value`. */
  countAtMost(value: number): number {
    let seen = 0;
    for (let b = 0; b < histogramBuckets && histogramBound(b) <= value; b++) {
      seen += this.buckets[b];
    }
    return seen;
  }
}

/** Counters, histograms and gauges that any thread writes, told apart by name or index. */
export class SharedMetrics {
  readonly handle: number;
  readonly names: MetricNames;
  readonly #native = loadNative<Functions>();
  readonly #counters = new Map<string, number>();
  readonly #histograms = new Map<string, number>();
  /** Gauges lie behind the counters. */
  readonly #gauges = new Map<string, number>();

  private constructor(handle: number, names: MetricNames) {
    const shape = new Uint32Array(4);
    this.#native.metricsShape(handle, shape);
    if (shape[0] !== cellsOf(names) || shape[1] !== names.histograms.length) {
      throw new Error("these metrics were created with other names");
    }
    this.handle = handle;
    this.names = names;
    for (const [index, name] of names.counters.entries()) this.#counters.set(name, index);
    for (const [index, name] of names.histograms.entries()) this.#histograms.set(name, index);
    for (const [index, name] of (names.gauges ?? []).entries()) {
      this.#gauges.set(name, names.counters.length + index);
    }
  }

  static create(names: MetricNames): SharedMetrics {
    const native = loadNative<Functions>();
    const handle = native.metricsCreate(cellsOf(names), names.histograms.length);
    return new SharedMetrics(handle, names);
  }

  static attach(handle: number, names: MetricNames): SharedMetrics {
    return new SharedMetrics(handle, names);
  }

  /** Adds a whole number >= 0 to a counter. */
  add(counter: string | number, by = 1): void {
    this.#native.metricsAdd(this.handle, indexOf(this.#counters, counter), by);
  }

  /** A gauge is this whole number >= 0 from now on, whoever set it before. */
  set(gauge: string, value: number): void {
    this.#native.metricsSet(this.handle, indexOf(this.#gauges, gauge), value);
  }

  /** Counts a finite value, in the unit of the histogram's name. */
  observe(histogram: string | number, value: number): void {
    this.#native.metricsObserve(this.handle, indexOf(this.#histograms, histogram), value);
  }

  /** Keeps the largest value >= 0 of a histogram, which counts nothing yet, until it is taken. */
  hold(histogram: string | number, value: number): void {
    this.#native.metricsHold(this.handle, indexOf(this.#histograms, histogram), value);
  }

  /** What is held, -1 for nothing; only one thread gets it. */
  takeHeld(histogram: string | number): number {
    return this.#native.metricsTakeHeld(this.handle, indexOf(this.#histograms, histogram));
  }

  /** Everything, in the order of the names. */
  read(): { counters: number[]; histograms: HistogramReading[]; gauges: number[] } {
    const cells = new Float64Array(cellsOf(this.names));
    this.#native.metricsReadCounters(this.handle, cells);
    const histograms = this.names.histograms.map((_, index) => this.#histogram(index));
    const counters = [...cells.subarray(0, this.names.counters.length)];
    return { counters, histograms, gauges: [...cells.subarray(counters.length)] };
  }

  #histogram(index: number): HistogramReading {
    const words = new Float64Array(histogramBuckets + 1);
    this.#native.metricsReadHistogram(this.handle, index, words);
    return new HistogramReading(words.subarray(0, histogramBuckets), words[histogramBuckets]);
  }

  /** Frees the memory. Only when no thread uses the metrics any more. */
  release(): void {
    this.#native.sharedRelease(this.handle);
  }
}

function cellsOf({ counters, gauges = [] }: MetricNames): number {
  return counters.length + gauges.length;
}

function indexOf(names: ReadonlyMap<string, number>, name: string | number): number {
  if (typeof name === "number") return name;
  const index = names.get(name);
  if (index === undefined) throw new Error(`no metric is named ${name}`);
  return index;
}
