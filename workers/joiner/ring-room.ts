type Column = Float32Array | Float64Array | Uint32Array | Uint16Array | Uint8Array;

/** Elements of a ring that move to a larger one, both counted in elements of `width` values. */
export interface RingMove {
  /** Place of the first in the old ring, and in the new one. */
  readonly from: number;
  readonly to: number;
  readonly count: number;
  readonly oldRoom: number;
  readonly newRoom: number;
}

/** Copies the elements of a ring, in their order, into `next`, which is returned. */
export function moved<T extends Column>(
  old: Column,
  next: T,
  move: RingMove & { width: number },
): T {
  const { from, to, count, oldRoom, newRoom, width } = move;
  for (let done = 0; done < count; ) {
    const source = (from + done) % oldRoom;
    const target = (to + done) % newRoom;
    const run = Math.min(count - done, oldRoom - source, newRoom - target);
    next.set(old.subarray(source * width, (source + run) * width), target * width);
    done += run;
  }
  return next;
}

/** Twice the room, until `needed` fits; never more than `max`. */
export function roomFor(needed: number, room: number, max: number): number {
  let next = room;
  while (next < needed) next *= 2;
  return Math.min(next, max);
}
