import type { RecError } from "../../models/core/errors.ts";

interface Watched {
  readonly untilMs: number;
  readonly expire: () => void;
}

const sweepMs = 100;

/**
 * Gives up on promises that take too long: one timer for all of them, since nearly none does. What
 * it gives up on goes on, unheard.
 */
export class Overdue {
  readonly #watched = new Set<Watched>();
  #timer: ReturnType<typeof setInterval> | null = null;

  /** Settles as `work`, or rejects with `late()` after about `withinMs` (to 100 ms). */
  async watch<T>(work: Promise<T>, withinMs: number, late: () => RecError): Promise<T> {
    const expired = Promise.withResolvers<never>();
    const untilMs = performance.now() + withinMs;
    const watched = { untilMs, expire: () => expired.reject(late()) };
    this.#watched.add(watched);
    this.#timer ??= setInterval(() => this.#sweep(), sweepMs);
    try {
      return await Promise.race([work, expired.promise]);
    } finally {
      this.#watched.delete(watched);
    }
  }

  #sweep(): void {
    const nowMs = performance.now();
    for (const watched of this.#watched) if (nowMs >= watched.untilMs) watched.expire();
    if (this.#watched.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}
