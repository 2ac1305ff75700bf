import { type Figure, median, percentile } from "../statistics.ts";

/** What is timed: one call of `run` is `calls` operations. */
export interface Timed {
  readonly name: string;
  readonly run: () => void;
}

export interface Budget {
  /** Milliseconds of one turn. */
  readonly turnMs: number;
  readonly rounds: number;
}

/** Calls that together last about `sampleMs`, so that the clock's own cost does not count. */
export function callsPerSample(run: () => void, sampleMs: number): number {
  for (let calls = 1; ; calls *= 2) {
    const startMs = performance.now();
    for (let i = 0; i < calls; i++) run();
    const tookMs = performance.now() - startMs;
    if (tookMs >= sampleMs || calls >= 1 << 24) return calls;
  }
}

/** Microseconds of a call, one value a sample, for `turnMs`; at least one. */
export function turn(run: () => void, calls: number, turnMs: number): number[] {
  const samples: number[] = [];
  const untilMs = performance.now() + turnMs;
  do {
    const startMs = performance.now();
    for (let i = 0; i < calls; i++) run();
    samples.push(((performance.now() - startMs) * 1_000) / calls);
  } while (performance.now() < untilMs);
  return samples;
}

/**
 * Microseconds per call of each, one median a round. The rounds go through all in turn, so that a
 * machine that slows down slows all.
 */
export function alternate(all: readonly Timed[], budget: Budget): Map<string, number[]> {
  const sampleMs = Math.min(1, budget.turnMs / 4);
  const calls = all.map(({ run }) => callsPerSample(run, sampleMs));
  const found = new Map<string, number[]>(all.map(({ name }) => [name, []]));
  for (let round = 0; round < budget.rounds; round++) {
    for (const [i, { name, run }] of all.entries()) {
      found.get(name)?.push(median(turn(run, calls[i] ?? 1, budget.turnMs)));
    }
  }
  return found;
}

/** The median of the rounds, between the lowest and the highest. */
export function middle(rounds: readonly number[], unit: string, scale = 1): Figure {
  const scaled = rounds.map((value) => value * scale);
  const [low, high] = [percentile(scaled, 0), percentile(scaled, 1)];
  return { value: median(scaled), unit, low, high };
}

/** How many times faster `ours` is, round by round. */
export function timesFaster(ours: readonly number[], theirs: readonly number[]): Figure {
  const ratios = ours.map((value, i) => (theirs[i] ?? Number.NaN) / value);
  return middle(ratios, "x");
}

/** FNV-1a over the bytes of results: the same work gives the same number. */
export class ResultHash {
  #state = 0x811c9dc5;

  add(values: ArrayBufferView): void {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    let state = this.#state;
    for (const byte of bytes) state = Math.imul(state ^ byte, 0x01000193);
    this.#state = state;
  }

  get text(): string {
    return (this.#state >>> 0).toString(16).padStart(8, "0");
  }
}
