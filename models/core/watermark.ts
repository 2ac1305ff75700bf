/**
 * Event time of one partition. The watermark is the largest event time seen minus the disorder
 * that is allowed, and never goes back: what is older than it is late. A client's clock may run
 * ahead by `futureLeadMs` of the server's; an event from further ahead says nothing about time.
 * It is then taken as of when it was received, so that it still counts and moves nothing.
 */
export class Watermark {
  readonly #maxDisorderMs: number;
  readonly #futureLeadMs: number;
  #largestMs = 0;

  constructor(options: { maxDisorderMs: number; futureLeadMs: number }) {
    this.#maxDisorderMs = options.maxDisorderMs;
    this.#futureLeadMs = options.futureLeadMs;
  }

  /** Takes an event in and returns the event time to use for it, epoch milliseconds. */
  observe(timeMs: number, receivedMs: number): number {
    const usedMs = timeMs <= receivedMs + this.#futureLeadMs ? timeMs : receivedMs;
    if (usedMs > this.#largestMs) this.#largestMs = usedMs;
    return usedMs;
  }

  /** 0 before the first event. */
  get valueMs(): number {
    return Math.max(0, this.#largestMs - this.#maxDisorderMs);
  }

  /** Largest event time seen, 0 before the first. */
  get largestMs(): number {
    return this.#largestMs;
  }

  /** Continues a watermark that was stored; never goes back. */
  restore(largestMs: number): void {
    if (largestMs > this.#largestMs) this.#largestMs = largestMs;
  }
}

/**
 * One watermark over several partitions: the smallest of those that have records waiting. One that
 * was read to its end holds nothing back, and when all were, the largest stands: whatever comes
 * next was received later.
 */
export function combineWatermarks(
  parts: readonly { valueMs: number; caughtUp: boolean }[],
): number {
  const waiting = parts.filter((part) => !part.caughtUp);
  if (waiting.length > 0) return Math.min(...waiting.map((part) => part.valueMs));
  return Math.max(0, ...parts.map((part) => part.valueMs));
}
