/** Where time comes from. Passed in, so that a simulation can own it. */
export interface Clock {
  /** Epoch milliseconds, may have a fraction. */
  nowMs(): number;
}

/** A clock that moves only when told to. */
export class ManualClock implements Clock {
  #nowMs: number;

  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  /** Moves forward; a clock that went back would break watermarks. */
  advanceTo(timeMs: number): void {
    if (timeMs > this.#nowMs) this.#nowMs = timeMs;
  }
}
