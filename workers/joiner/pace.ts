import type { LogSource } from "../stores/log-source.ts";

/** Whether a source was read to its end. */
export type CaughtUp = (source: LogSource) => boolean;

/** How long the record of a slate that has left may take to the log, a disk that fails included. */
export const decidedAfterMs = 10_000;
/** Times are looked at in steps, so that not every read goes through all that waits. */
const stepMs = 250;

/**
 * How far events may be taken in: an interaction must not pass slates that were served before it
 * and wait to be read. While the joiner catches up, this keeps the topics in step.
 */
export function eventsUntilMs(sources: readonly LogSource[], caughtUp: CaughtUp): number {
  const behind = sources.filter((source) => source.topic === "served" && !caughtUp(source));
  return Math.min(Number.POSITIVE_INFINITY, ...behind.map((one) => one.watermark.largestMs));
}

/**
 * Whether events wait that the slates of a source are ahead of: while room is short these come
 * first, as they may free some. `at` is, by events partition, when the last one was received.
 */
export function eventsWait(
  sources: readonly LogSource[],
  of: { source: LogSource; caughtUp: CaughtUp; at: Float64Array },
): boolean {
  return sources.some(
    (other) =>
      other.topic === "events" &&
      !of.caughtUp(other) &&
      of.at[other.partition] <= of.source.watermark.largestMs,
  );
}

/** All slates that left before this time have been read: none can be on its way to the log. */
export function slatesReadUntilMs(
  sources: readonly LogSource[],
  caughtUp: CaughtUp,
  nowMs: number,
): number {
  const served = sources.filter(({ topic }) => topic === "served");
  const readMs = served.map((source) => (caughtUp(source) ? nowMs : source.watermark.largestMs));
  return Math.floor((Math.min(nowMs, ...readMs) - decidedAfterMs) / stepMs) * stepMs;
}
