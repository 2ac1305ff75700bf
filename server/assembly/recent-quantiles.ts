import { HistogramReading } from "../../native/index.ts";

/** Snapshots are so far apart: a figure is about the last one to two of these. */
const rotateMs = 10_000;

/**
 * Quantiles of the last 10 to 20 seconds of histograms that only ever grow: what was there at the
 * older of two snapshots is taken off. Costs nothing between two questions.
 */
export class RecentQuantiles {
  #older: readonly HistogramReading[] | null = null;
  #newer: readonly HistogramReading[] | null = null;
  #rotatedMs = Number.NEGATIVE_INFINITY;

  /** Call with each reading, before `quantile`. */
  take(nowMs: number, histograms: readonly HistogramReading[]): void {
    if (nowMs - this.#rotatedMs < rotateMs) return;
    this.#rotatedMs = nowMs;
    this.#older = this.#newer;
    this.#newer = histograms;
  }

  /** NaN where nothing was observed. */
  quantile(q: number, index: number, now: HistogramReading): number {
    const before = this.#older?.[index];
    if (before === undefined) return now.quantile(q);
    const buckets = now.buckets.map((count, b) => count - (before.buckets[b] ?? 0));
    return new HistogramReading(buckets, now.sum - before.sum).quantile(q);
  }
}
