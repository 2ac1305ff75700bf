import type { InteractionDefinition } from "../definition/define.ts";

/** Seconds of watching that weigh as much as a click; twice as many weigh most. */
const watchSecondsFull = 10;
/** A watched item whose seconds are not at hand (the recent sequence keeps none). */
const watchUnknown = 0.5;

/**
 * How much an interaction says that a user wants more of the kind: being shown something 0, a
 * click 1, what takes more will (like, finish) 2, an amount spent 3, watching by its seconds.
 */
export class InteractionWeights {
  readonly #base: Float32Array;
  readonly #seconds: Uint8Array;

  constructor(interactions: readonly InteractionDefinition[]) {
    this.#base = Float32Array.from(interactions, baseWeight);
    this.#seconds = Uint8Array.from(interactions, ({ value }) => (value === "seconds" ? 1 : 0));
  }

  /** With the value that came along. */
  of(type: number, value: number): number {
    if (this.#seconds[type] === 1) return Math.min(2, Math.max(0, value) / watchSecondsFull);
    return this.#base[type] ?? 0;
  }

  /** Without it. */
  ofType(type: number): number {
    return this.#base[type] ?? 0;
  }
}

function baseWeight({ name, value }: InteractionDefinition): number {
  if (name === "impression") return 0;
  if (value === "seconds") return watchUnknown;
  if (value === "amount") return 3;
  return name === "click" ? 1 : 2;
}
