import type { WindowDefinition } from "../definition/define.ts";

/**
 * The rule of windows, in one place.
 *
 * Time is event time. A window of `panes` x `paneMs` at time t is the sum of the panes whose index
 * lies in (floor(t / paneMs) - panes, floor(t / paneMs)]: the open pane counts at once. A pane is
 * closed once its end is at or before the watermark of the partition that the event came in on;
 * an event of a closed pane is late for that window, and is counted as late. It still counts in
 * windows with longer panes that are open, and always in the total. So whether an event counts
 * depends on its own partition alone, never on how partitions were interleaved or batches cut.
 */
export function isLate(timeMs: number, paneMs: number, watermarkMs: number): boolean {
  return paneEndMs(timeMs, paneMs) <= watermarkMs;
}

export function paneEndMs(timeMs: number, paneMs: number): number {
  return (Math.floor(timeMs / paneMs) + 1) * paneMs;
}

/**
 * All panes end at multiples of this: while the watermark stays between two of them, which panes
 * are closed does not change, and updates can go to the tables in one call.
 */
export function commonPaneMs(windows: readonly WindowDefinition[]): number {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
  return windows.reduce((common, window) => divisor(window.paneMs, common), 0) || 1;
}

/** Updates that one record may make of a table: 100 items in four categories, and then some. */
export const updatesPerRecord = 4_096;

/**
 * The row offset of a record's update: whole, and growing with every update, so that a table that
 * skips what is at or below a row's offset skips none of one record's updates to one row.
 */
export function updateOffset(sequence: number, index: number): number {
  return sequence * updatesPerRecord + index;
}

/** Sequence number of the last record that a row has taken in, from its offset; -1 none. */
export function sequenceOf(rowOffset: number): number {
  return rowOffset < 0 ? -1 : Math.floor(rowOffset / updatesPerRecord);
}
