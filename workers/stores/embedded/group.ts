import { assert } from "../../../models/core/assert.ts";
import { viewOf } from "../../../models/core/bytes.ts";

/**
 * A group: the unit that is kept or lost as a whole. Little endian, a multiple of 8 bytes:
 *
 *   0 u32 magic "RLG1"   4 u32 CRC-32 of bytes 8 to the end   8 u32 size of the group
 *  12 u32 records       16 f64 first offset                  24 f64 time of writing, epoch ms
 *  32 u32 frame bytes, 0xffffffff without a frame            36 u32 record bytes
 *  40 u32 CRC of the group before it in the segment, 0 for the first     44 u32 zero
 *  48 u32 length of each record; the records; the frame; zeros
 *
 * The link to the group before keeps a stale group that a cut left behind from being taken for new.
 */
const magic = 0x31474c52;
export const groupHeaderBytes = 48;
const noFrame = 0xffff_ffff;

const at = {
  magic: 0,
  crc: 4,
  bytes: 8,
  count: 12,
  firstOffset: 16,
  timeMs: 24,
  frameBytes: 32,
  recordBytes: 36,
  previousCrc: 40,
  reserved: 44,
} as const;

export interface Group {
  readonly firstOffset: number;
  readonly timeMs: number;
  readonly previousCrc: number;
  readonly frame: Uint8Array | null;
}

/** CRC-32 (IEEE): 40 GB/s here by carry-less multiplication; CRC-32C has no built-in function. */
export function checksum(bytes: Uint8Array, seed = 0): number {
  return Bun.hash.crc32(bytes, seed) >>> 0;
}

/** Size of a group of `count` records of together `recordBytes`. */
export function groupBytes(count: number, recordBytes: number, frameBytes: number): number {
  return (groupHeaderBytes + 4 * count + recordBytes + frameBytes + 7) & ~7;
}

/** Writes the group to the start of `out`, exactly as long as it; returns its CRC. */
export function encodeGroup(
  out: Uint8Array,
  group: Group,
  records: readonly Uint8Array[],
  recordBytes: number,
): number {
  const view = viewOf(out);
  let position = groupHeaderBytes + 4 * records.length;
  for (let i = 0; i < records.length; i++) {
    const record = records[i];
    view.setUint32(groupHeaderBytes + 4 * i, record.length, true);
    out.set(record, position);
    position += record.length;
  }
  if (group.frame !== null) out.set(group.frame, position);
  position += group.frame?.length ?? 0;
  assert(out.length === ((position + 7) & ~7), "the buffer has the group's size");
  out.fill(0, position);
  view.setUint32(at.magic, magic, true);
  view.setUint32(at.bytes, out.length, true);
  view.setUint32(at.count, records.length, true);
  view.setFloat64(at.firstOffset, group.firstOffset, true);
  view.setFloat64(at.timeMs, group.timeMs, true);
  view.setUint32(at.frameBytes, group.frame?.length ?? noFrame, true);
  view.setUint32(at.recordBytes, recordBytes, true);
  view.setUint32(at.previousCrc, group.previousCrc, true);
  view.setUint32(at.reserved, 0, true);
  const crc = checksum(out.subarray(8));
  view.setUint32(at.crc, crc, true);
  return crc;
}

/** A buffer that groups are decoded in place from. */
export interface GroupWindow {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** The fields of the group at a position of a window; filled in place, one object a cursor. */
export class GroupFields {
  crc = 0;
  bytes = 0;
  count = 0;
  firstOffset = 0;
  timeMs = 0;
  frameBytes = 0;
  hasFrame = false;
  recordBytes = 0;
  previousCrc = 0;

  /** Where the lengths and the records stand, from the group's start. */
  readonly lengthsAt = groupHeaderBytes;

  get recordsAt(): number {
    return groupHeaderBytes + 4 * this.count;
  }

  get nextOffset(): number {
    return this.firstOffset + this.count;
  }
}

/**
 * Checks the group at `position` of `window` (valid up to `length`) and fills `fields`.
 * "short": more bytes are needed, `fields.bytes` of them if that is known (else 0).
 */
export function decodeGroup(
  window: GroupWindow,
  span: { position: number; length: number },
  fields: GroupFields,
): "good" | "short" | "bad" {
  const { position, length } = span;
  fields.bytes = 0;
  if (length - position < groupHeaderBytes) return "short";
  const view = window.view;
  if (view.getUint32(position + at.magic, true) !== magic) return "bad";
  const bytes = view.getUint32(position + at.bytes, true);
  const count = view.getUint32(position + at.count, true);
  const frameField = view.getUint32(position + at.frameBytes, true);
  const frameBytes = frameField === noFrame ? 0 : frameField;
  const recordBytes = view.getUint32(position + at.recordBytes, true);
  // In doubles: sizes that a flipped bit made huge cannot wrap around to a fitting sum.
  const needed = groupHeaderBytes + 4 * count + recordBytes + frameBytes;
  if (bytes !== 8 * Math.ceil(needed / 8)) return "bad";
  fields.bytes = bytes;
  if (length - position < bytes) return "short";
  fields.crc = view.getUint32(position + at.crc, true);
  if (checksum(window.bytes.subarray(position + 8, position + bytes)) !== fields.crc) return "bad";
  fields.count = count;
  fields.firstOffset = view.getFloat64(position + at.firstOffset, true);
  fields.timeMs = view.getFloat64(position + at.timeMs, true);
  fields.hasFrame = frameField !== noFrame;
  fields.frameBytes = frameBytes;
  fields.recordBytes = recordBytes;
  fields.previousCrc = view.getUint32(position + at.previousCrc, true);
  return "good";
}

/** The frame of a decoded group, as a copy; null if it has none. */
export function frameOf(
  window: GroupWindow,
  position: number,
  fields: GroupFields,
): Uint8Array | null {
  if (!fields.hasFrame) return null;
  const from = position + groupHeaderBytes + 4 * fields.count + fields.recordBytes;
  return window.bytes.slice(from, from + fields.frameBytes);
}
