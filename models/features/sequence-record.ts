/**
 * One interaction of a user's recent sequence: four u32 words, item row, type, and the event time
 * as the two halves of a float64 (low word first).
 */
export const sequenceWords = 4;
export const sequenceAt = { itemRow: 0, type: 1, timeLow: 2, timeHigh: 3 } as const;

const time = new Float64Array(1);
const words = new Uint32Array(time.buffer);

export function writeSequenceRecord(
  record: { itemRow: number; type: number; timeMs: number },
  out: Uint32Array,
  index = 0,
): void {
  const at = index * sequenceWords;
  time[0] = record.timeMs;
  out[at + sequenceAt.itemRow] = record.itemRow;
  out[at + sequenceAt.type] = record.type;
  out[at + sequenceAt.timeLow] = words[0];
  out[at + sequenceAt.timeHigh] = words[1];
}

/** Event time of record `index`, epoch milliseconds. */
export function readSequenceTime(records: Uint32Array, index: number): number {
  const at = index * sequenceWords;
  words[0] = records[at + sequenceAt.timeLow];
  words[1] = records[at + sequenceAt.timeHigh];
  return time[0];
}
