import { RecError } from "../models/core/errors.ts";

/** Something that may be told to stop; checked between steps. */
export class StopSignal {
  #stopped = false;
  #wake: (() => void) | null = null;

  get stopped(): boolean {
    return this.#stopped;
  }

  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  /** Resolves after `ms`, or at once when stopped. */
  async sleep(ms: number): Promise<void> {
    if (this.#stopped) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
  }
}

/** Waits for `condition`, looking every 5 ms; REC_WAIT_TIMEOUT names what did not come. */
export async function until(
  what: string,
  timeoutMs: number,
  condition: () => boolean,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadline) {
      throw new RecError("REC_WAIT_TIMEOUT", `${what} did not happen within ${timeoutMs} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
