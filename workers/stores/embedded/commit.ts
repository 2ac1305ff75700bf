import { type Append, sizeOf } from "./append-queue.ts";
import { encodeGroup, groupBytes } from "./group.ts";

/** Several appends are joined to groups of about this size: readers need no more memory. */
export const groupTargetBytes = 256 << 10;
/** At most about this much is written between two syncs. */
export const commitBytesMax = 8 << 20;

/** What a commit moves: where the partition ends and what its last group was. */
export interface LogHead {
  readonly nextOffset: number;
  readonly lastCrc: number;
  readonly lastFrame: Uint8Array | null;
}

export interface EncodedCommit extends LogHead {
  /** Valid until the next commit. */
  readonly bytes: Uint8Array;
}

/** Packs appends into groups, in order, never splitting one: an append is kept or lost as one. */
function joinToGroups(appends: readonly Append[]): Append[][] {
  const groups: Append[][] = [];
  let size = 0;
  for (const append of appends) {
    const own = sizeOf([append]);
    if (groups.length === 0 || size + own > groupTargetBytes) {
      groups.push([]);
      size = 0;
    }
    groups.at(-1)?.push(append);
    size += own;
  }
  return groups;
}

/** Turns appends into the bytes of groups, in one buffer that it keeps. */
export class CommitEncoder {
  #scratch = new Uint8Array(groupTargetBytes);

  /**
   * `startsSegment`: the first group repeats the newest frame if it has none of its own, because
   * older segments may be dropped.
   */
  encode(
    appends: readonly Append[],
    head: LogHead,
    options: { startsSegment: boolean; timeMs: number },
  ): EncodedCommit {
    const groups = joinToGroups(appends);
    const carried = options.startsSegment ? head.lastFrame : null;
    this.#reserve(
      groups.reduce((sum, group) => sum + sizeOf(group), 0) + (carried?.length ?? 0) + 8,
    );
    let used = 0;
    let now = head;
    for (const group of groups) {
      const frame = newestFrame(group) ?? (used === 0 ? carried : null);
      const out = this.#scratch.subarray(used);
      const size = encodeAppends(out, group, { head: now, frame, timeMs: options.timeMs });
      now = size.head;
      used += size.bytes;
    }
    return { ...now, bytes: this.#scratch.subarray(0, used) };
  }

  #reserve(bytes: number): void {
    const fits = this.#scratch.length >= bytes && this.#scratch.length <= 2 * commitBytesMax;
    if (!fits) this.#scratch = new Uint8Array(Math.max(bytes, groupTargetBytes));
  }
}

function newestFrame(group: readonly Append[]): Uint8Array | null {
  return group.findLast((append) => append.frame !== null)?.frame ?? null;
}

function encodeAppends(
  out: Uint8Array,
  group: readonly Append[],
  rest: { head: LogHead; frame: Uint8Array | null; timeMs: number },
): { bytes: number; head: LogHead } {
  const { head, frame, timeMs } = rest;
  const records = group.length === 1 ? group[0].records : group.flatMap((one) => one.records);
  const recordBytes = group.reduce((sum, append) => sum + append.recordBytes, 0);
  const bytes = groupBytes(records.length, recordBytes, frame?.length ?? 0);
  const fields = { firstOffset: head.nextOffset, timeMs, previousCrc: head.lastCrc, frame };
  const lastCrc = encodeGroup(out.subarray(0, bytes), fields, records, recordBytes);
  const nextOffset = head.nextOffset + records.length;
  return { bytes, head: { nextOffset, lastCrc, lastFrame: frame ?? head.lastFrame } };
}
