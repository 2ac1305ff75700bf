import { viewOf } from "../../../models/core/bytes.ts";
import { limits } from "../../../models/limits.ts";
import type { File, FileSystem } from "../file-system.ts";
import { decodeGroup, frameOf, GroupFields, type GroupWindow, groupHeaderBytes } from "./group.ts";

/** A segment is a file of groups, named by the offset of its first record. */
const nameDigits = 16;
const suffix = ".log";

export function segmentPath(directory: string, firstOffset: number): string {
  return `${directory}/${String(firstOffset).padStart(nameDigits, "0")}${suffix}`;
}

/** First offsets of the segments of a partition's directory, ascending. */
export function listSegments(fileSystem: FileSystem, directory: string): number[] {
  return fileSystem
    .list(directory)
    .filter((name) => name.length === nameDigits + suffix.length && name.endsWith(suffix))
    .map((name) => Number(name.slice(0, nameDigits)))
    .filter((offset) => Number.isSafeInteger(offset))
    .sort((a, b) => a - b);
}

/** The largest group that is written or believed: one append with its frame. */
export const groupBytesMax = limits.logGroupBytesMax;

/**
 * A window over one file that moves forward group by group. The bytes stay in memory between
 * calls; the caller says up to which offset they are settled (see `load`).
 */
export class SegmentWindow implements GroupWindow {
  bytes = new Uint8Array(0);
  view = viewOf(this.bytes);
  readonly fields = new GroupFields();
  #file: File | null = null;
  #base = 0;
  #length = 0;
  /** Groups at or after this offset may have been rewritten since they were loaded. */
  #settledOffset = 0;

  constructor(readonly chunkBytes: number) {}

  /** Position of the group in `fields` within `bytes`. */
  at(position: number): number {
    return position - this.#base;
  }

  /** Drops what is in memory: another file comes next. */
  use(file: File | null): void {
    if (file === this.#file) return;
    this.#file = file;
    this.#length = 0;
  }

  /**
   * Decodes the group at `position` of the file into `fields`. Loads when it is not in memory, or
   * not settled: `endOffset` is the committed end now. "end": the file stops here, "bad": these
   * bytes are no whole, correct group.
   */
  group(position: number, endOffset: number): "good" | "end" | "bad" {
    if (this.holds(position)) return "good";
    this.#load(position, this.chunkBytes, endOffset);
    let state = this.#decode(position);
    if (state === "short" && this.fields.bytes > 0 && this.fields.bytes <= 2 * groupBytesMax) {
      this.#load(position, this.fields.bytes, endOffset);
      state = this.#decode(position);
    }
    if (state === "short") return this.#length === 0 ? "end" : "bad";
    return state;
  }

  /** As `group`, for what is in memory already: `bytes` does not move. */
  holds(position: number): boolean {
    return this.#decode(position) === "good" && this.fields.firstOffset < this.#settledOffset;
  }

  #decode(position: number): "good" | "short" | "bad" {
    const at = position - this.#base;
    if (at < 0 || at > this.#length) return "short";
    return decodeGroup(this, { position: at, length: this.#length }, this.fields);
  }

  #load(position: number, size: number, endOffset: number): void {
    // One very large group must not keep its memory for ever.
    const keep = this.bytes.length <= 4 * this.chunkBytes;
    if (this.bytes.length < size || !keep) {
      this.bytes = new Uint8Array(Math.max(size, this.chunkBytes));
      this.view = viewOf(this.bytes);
    }
    this.#base = position;
    this.#length = this.#file?.read(this.bytes, position) ?? 0;
    this.#settledOffset = endOffset;
  }
}

export interface SegmentScan {
  /** Where the good groups end, in bytes, and the offset after their last record. */
  readonly goodBytes: number;
  readonly fileBytes: number;
  readonly nextOffset: number;
  readonly groups: number;
  /** Where the last good group begins. */
  readonly lastGroupAt: number;
  readonly lastCrc: number;
  readonly lastFrame: Uint8Array | null;
  /** A whole, correct group of later offsets stands behind the first bad one. */
  readonly goodBehind: boolean;
}

/** Reads a segment from its start to the last group that is whole, correct and in sequence. */
export function scanSegment(file: File, firstOffset: number): SegmentScan {
  const window = new SegmentWindow(1 << 20);
  window.use(file);
  let position = 0;
  let nextOffset = firstOffset;
  let groups = 0;
  let lastGroupAt = 0;
  let lastCrc = 0;
  let lastFrame: Uint8Array | null = null;
  while (window.group(position, Number.MAX_SAFE_INTEGER) === "good") {
    const { fields } = window;
    if (fields.firstOffset !== nextOffset || fields.previousCrc !== lastCrc) break;
    lastFrame = frameOf(window, window.at(position), fields) ?? lastFrame;
    lastCrc = fields.crc;
    nextOffset = fields.nextOffset;
    lastGroupAt = position;
    position += fields.bytes;
    groups++;
  }
  const fileBytes = file.size();
  const goodBehind = position < fileBytes && findsGroupBehind(file, { position, nextOffset });
  const head = { nextOffset, lastCrc, lastFrame };
  return { goodBytes: position, fileBytes, groups, lastGroupAt, goodBehind, ...head };
}

/** Groups begin at multiples of 8: looks at each place behind a bad one. */
function findsGroupBehind(file: File, tail: { position: number; nextOffset: number }): boolean {
  const bytes = new Uint8Array(Math.max(0, file.size() - tail.position));
  const length = file.read(bytes, tail.position);
  const window = { bytes, view: viewOf(bytes) };
  const fields = new GroupFields();
  for (let position = 8; position + groupHeaderBytes <= length; position += 8) {
    if (decodeGroup(window, { position, length }, fields) !== "good") continue;
    if (fields.firstOffset > tail.nextOffset) return true;
  }
  return false;
}
