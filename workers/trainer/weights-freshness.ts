import type { Sample } from "../../models/training/sample.ts";
import type { SharedMetrics } from "../../native/index.ts";
import { type EventMoments, observeFreshness } from "../freshness.ts";

/** The oldest of some samples: when it was emitted, and the first interaction behind a label. */
class Oldest {
  emittedMs = Number.POSITIVE_INFINITY;
  event: EventMoments | null = null;

  add(emittedMs: number, event: EventMoments | null): void {
    this.emittedMs = Math.min(this.emittedMs, emittedMs);
    if (event !== null && !(event.acceptedMs >= (this.event?.acceptedMs ?? Infinity))) {
      this.event = event;
    }
  }

  clear(): void {
    this.emittedMs = Number.POSITIVE_INFINITY;
    this.event = null;
  }
}

/**
 * How long samples, and the interactions in them, take until they are in weights that serve. A
 * version has learned all batches but the one that it was judged on; what a refusal holds back
 * waits for the next version, and the oldest of each counts.
 */
export class WeightsFreshness {
  readonly #metrics: Pick<SharedMetrics, "observe">;
  readonly #fromMs: number;
  /** Of the batch in hand, and of what was learned and is in no live version. */
  readonly #batch = new Oldest();
  readonly #learned = new Oldest();

  /** Samples from before `fromMs` are learned again, or waited while nobody learned. */
  constructor(metrics: Pick<SharedMetrics, "observe">, fromMs: number) {
    this.#metrics = metrics;
    this.#fromMs = fromMs;
  }

  take({ emittedMs, eventMs, acceptedMs }: Sample): void {
    if (emittedMs < this.#fromMs) return;
    const isKnown = eventMs !== undefined && acceptedMs !== undefined;
    this.#batch.add(emittedMs, isKnown ? { eventMs, acceptedMs } : null);
  }

  /** The batch in hand was learned; `published`: what had been learned before it is live. */
  learned(published: boolean, nowMs: number): void {
    if (published) this.#observe(nowMs);
    this.#learned.add(this.#batch.emittedMs, this.#batch.event);
    this.#batch.clear();
  }

  #observe(nowMs: number): void {
    const { emittedMs, event } = this.#learned;
    if (emittedMs < Number.POSITIVE_INFINITY) {
      this.#metrics.observe("rec_freshness_sample_to_weights_ms", Math.max(0, nowMs - emittedMs));
    }
    if (event !== null) observeFreshness(this.#metrics, "weights", event, nowMs);
    this.#learned.clear();
  }
}
