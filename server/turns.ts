/**
 * Long work on the main thread, taken in turns: whoever has more than a few milliseconds to do
 * waits in line for a turn, works until it is over, and lines up again. Between two turns the loop
 * serves whatever else there is, so many large batches delay a request by one turn and not by
 * their sum.
 */

const turnMs = 4;

export class Turns {
  readonly #waiting: (() => void)[] = [];
  readonly #turnMs: number;
  #endsAtMs = 0;

  constructor(lengthMs = turnMs) {
    this.#turnMs = lengthMs;
  }

  /** Resolves when the caller's turn begins. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting.push(resolve) === 1) setImmediate(this.#begin);
    });
  }

  /** Whether the turn that was given last is over: its holder should wait for another. */
  get over(): boolean {
    return performance.now() >= this.#endsAtMs;
  }

  readonly #begin = () => {
    const first = this.#waiting.shift();
    this.#endsAtMs = performance.now() + this.#turnMs;
    first?.();
    if (this.#waiting.length > 0) setImmediate(this.#begin);
  };
}

/** The turns of this process's main thread. */
export const mainTurns = new Turns();
