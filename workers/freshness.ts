import type { SharedMetrics } from "../native/index.ts";
import type { HistogramName } from "./metrics.ts";

/** How far an event has come. */
export type FreshnessStage = "durable" | "windows" | "answer" | "sample" | "weights";

/** When something happened, and when it was accepted; epoch milliseconds. */
export interface EventMoments {
  readonly eventMs: number;
  readonly acceptedMs: number;
}

/** Names are made once: nothing is put together where they are used. */
export const freshnessNames: Readonly<
  Record<FreshnessStage, { readonly accepted: HistogramName; readonly event: HistogramName }>
> = {
  durable: namesOf("durable"),
  windows: namesOf("windows"),
  answer: namesOf("answer"),
  sample: namesOf("sample"),
  weights: namesOf("weights"),
};

function namesOf<S extends FreshnessStage>(stage: S) {
  return {
    accepted: `rec_freshness_ms{from="accepted",until="${stage}"}`,
    event: `rec_freshness_ms{from="event",until="${stage}"}`,
  } as const;
}

/** Counts how long an event took to a stage. Clients' clocks may run ahead: then it took 0. */
export function observeFreshness(
  metrics: { observe(name: HistogramName, value: number): void },
  stage: FreshnessStage,
  { eventMs, acceptedMs }: EventMoments,
  nowMs: number,
): void {
  const { accepted, event } = freshnessNames[stage];
  metrics.observe(accepted, Math.max(0, nowMs - acceptedMs));
  metrics.observe(event, Math.max(0, nowMs - eventMs));
}

/** An event counts from now on: the next answer that begins uses it. */
export function holdForAnswer(
  metrics: Pick<SharedMetrics, "hold">,
  { eventMs, acceptedMs }: EventMoments,
  nowMs: number,
): void {
  const { accepted, event } = freshnessNames.answer;
  metrics.hold(accepted, Math.max(0, nowMs - acceptedMs));
  metrics.hold(event, Math.max(0, nowMs - eventMs));
}

/**
 * How long events took until an answer used them, as one ranking thread sees it: what they took to
 * count, and the first answer that begins afterwards. The time in which nobody asks is left out.
 * Allocates nothing.
 */
export class AnswerFreshness {
  readonly #metrics: Pick<SharedMetrics, "observe" | "takeHeld">;
  /** What was taken and is in no answer yet; -1 for nothing. */
  #acceptedMs = -1;
  #eventMs = -1;
  /** When the request began that took it. */
  #fromMs = 0;

  constructor(metrics: Pick<SharedMetrics, "observe" | "takeHeld">) {
    this.#metrics = metrics;
  }

  /** Before a request reads anything. */
  begin(nowMs: number): void {
    if (this.#acceptedMs >= 0 || this.#eventMs >= 0) return;
    const { accepted, event } = freshnessNames.answer;
    this.#acceptedMs = this.#metrics.takeHeld(accepted);
    this.#eventMs = this.#metrics.takeHeld(event);
    this.#fromMs = nowMs;
  }

  /** A request that began at `fromMs` is answered. */
  end(fromMs: number, nowMs: number): void {
    if (fromMs < this.#fromMs) return;
    const { accepted, event } = freshnessNames.answer;
    const runMs = Math.max(0, nowMs - fromMs);
    if (this.#acceptedMs >= 0) this.#metrics.observe(accepted, this.#acceptedMs + runMs);
    if (this.#eventMs >= 0) this.#metrics.observe(event, this.#eventMs + runMs);
    this.#acceptedMs = -1;
    this.#eventMs = -1;
  }
}
