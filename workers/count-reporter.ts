import type { CounterName } from "./metrics.ts";

/** Where counts go: the process-wide metrics. */
export interface CountSink {
  add(name: CounterName, by: number): void;
}

/** Adds to the process's counters what a role's own counts have grown by since it was made. */
export class CountReporter {
  readonly #sink: CountSink;
  readonly #counts: readonly (readonly [CounterName, () => number])[];
  readonly #reported: Float64Array;

  constructor(sink: CountSink, counts: readonly (readonly [CounterName, () => number])[]) {
    this.#sink = sink;
    this.#counts = counts;
    this.#reported = Float64Array.from(counts, ([, read]) => read());
  }

  report(): void {
    this.#counts.forEach(([name, read], i) => {
      const now = read();
      if (now > this.#reported[i]) this.#sink.add(name, now - this.#reported[i]);
      this.#reported[i] = now;
    });
  }
}
