import { RecError } from "../../../models/core/errors.ts";
import type { LogBatch } from "../event-log.ts";
import type { File, FileSystem } from "../file-system.ts";
import { type Piece, piecesToBatch } from "./batch.ts";
import { frameOf } from "./group.ts";
import { listSegments, SegmentWindow, segmentPath } from "./segment.ts";

/** A place in the index is kept for about this many bytes of a segment. */
const indexEveryBytes = 1 << 20;
/** What one read of the file brings; also about the most that one batch holds. */
const chunkBytes = 256 << 10;

/** A group: the offset of its first record and its byte in the segment. */
interface Place {
  readonly offset: number;
  readonly position: number;
}

/** A segment as this reader knows it, with the places of some of its groups, ascending. */
interface KnownSegment {
  readonly firstOffset: number;
  readonly index: Place[];
}

export interface ReaderOptions {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  readonly startOffset: () => number;
}

/** Reads one partition in one thread: sequential tailing is cheap, jumps use a sparse index. */
export class PartitionReader {
  readonly #options: ReaderOptions;
  readonly #window = new SegmentWindow(chunkBytes);
  #segments: KnownSegment[] = [];
  #file: File | null = null;
  #fileOffset = -1;
  /** Where the last batch stopped: the usual next question. */
  #hint: { offset: number; segment: KnownSegment; place: Place } | null = null;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  /** Records from `offset` up to the committed end, about `maxBytes` of them, one at least. */
  read(offset: number, endOffset: number, maxBytes: number): LogBatch {
    if (offset >= endOffset) {
      const nothing = { data: new Uint8Array(0), bounds: new Uint32Array(1) };
      return { firstOffset: offset, count: 0, ...nothing };
    }
    if (offset < this.#options.startOffset()) throw this.#gone(offset);
    const found = this.#find(offset, endOffset);
    const { pieces, next } = this.#collect(found, { offset, endOffset, maxBytes });
    const batch = piecesToBatch(this.#window, pieces, offset);
    this.#hint = { offset: offset + batch.count, segment: found.segment, place: next };
    return batch;
  }

  /**
   * Offset of the first record whose group was written at `timeMs` or later; the committed end
   * where there is none. Segments are searched by their first group, then one of them by groups.
   */
  offsetAt(timeMs: number, endOffset: number): number {
    this.close();
    this.#refresh();
    const from = this.#segments.findLastIndex((one) => this.#startsBefore(one, timeMs, endOffset));
    for (const segment of this.#segments.slice(Math.max(0, from))) {
      let position = 0;
      while (this.#groupAt(segment, position, endOffset) === "good") {
        const { fields } = this.#window;
        if (fields.firstOffset >= endOffset) return endOffset;
        if (fields.timeMs >= timeMs && fields.count > 0) return fields.firstOffset;
        position += fields.bytes;
      }
    }
    return endOffset;
  }

  #startsBefore(segment: KnownSegment, timeMs: number, endOffset: number): boolean {
    return this.#groupAt(segment, 0, endOffset) === "good" && this.#window.fields.timeMs < timeMs;
  }

  /** The newest frame among the committed groups, from the last segment on backwards. */
  lastFrame(endOffset: number): Uint8Array | null {
    this.close();
    this.#refresh();
    for (const segment of this.#segments.toReversed()) {
      const frame = this.#frameIn(segment, endOffset);
      if (frame !== null) return frame;
    }
    return null;
  }

  close(): void {
    this.#file?.close();
    this.#file = null;
    this.#fileOffset = -1;
    this.#window.use(null);
  }

  /** Walks to the group that holds `offset`; afterwards it is the one in the window's fields. */
  #find(offset: number, endOffset: number): { segment: KnownSegment; position: number } {
    let { segment, place } = this.#startOf(offset);
    for (;;) {
      // A segment ends where the next begins: a cut may come back when its sync failed.
      const over = place.offset >= this.#limitOf(segment);
      const state = over ? "end" : this.#groupAt(segment, place.position, endOffset);
      if (state === "end") {
        segment = this.#segmentAfter(segment, place);
        place = { offset: segment.firstOffset, position: 0 };
        continue;
      }
      const { fields } = this.#window;
      const wrong = state === "bad" || fields.firstOffset !== place.offset;
      if (wrong) throw this.#corrupt(segment, place);
      if (fields.nextOffset > offset) return { segment, position: place.position };
      place = { offset: fields.nextOffset, position: place.position + fields.bytes };
      const known = segment.index.at(-1);
      if (known !== undefined && place.position >= known.position + indexEveryBytes) {
        segment.index.push(place);
      }
    }
  }

  #startOf(offset: number): { segment: KnownSegment; place: Place } {
    if (this.#hint?.offset === offset) return this.#hint;
    this.#refresh();
    const segment = this.#segments.findLast((one) => one.firstOffset <= offset);
    if (segment === undefined) throw this.#gone(offset);
    const place = segment.index.findLast((one) => one.offset <= offset);
    return { segment, place: place ?? { offset: segment.firstOffset, position: 0 } };
  }

  /** Groups from the found one on that are in memory, until `maxBytes` are reached. */
  #collect(
    from: { segment: KnownSegment; position: number },
    wanted: { offset: number; endOffset: number; maxBytes: number },
  ): { pieces: Piece[]; next: Place } {
    const { fields } = this.#window;
    const pieces: Piece[] = [];
    const limit = Math.min(wanted.endOffset, this.#limitOf(from.segment));
    let bytes = 0;
    let position = from.position;
    let next: Place = { offset: fields.firstOffset, position };
    do {
      const skip = Math.max(0, wanted.offset - fields.firstOffset);
      const room = wanted.maxBytes - bytes;
      const piece = this.#piece(position, { skip, room, atLeast: pieces.length === 0 ? 1 : 0 });
      if (piece.records > 0) pieces.push(piece);
      bytes += piece.bytes;
      next = { offset: fields.firstOffset, position };
      if (skip + piece.records < fields.count) break;
      position += fields.bytes;
      next = { offset: fields.nextOffset, position };
    } while (bytes < wanted.maxBytes && next.offset < limit && this.#window.holds(position));
    return { pieces, next };
  }

  /** As many records of the group in `fields` as fit in `room` bytes. */
  #piece(position: number, part: { skip: number; room: number; atLeast: number }): Piece {
    const { fields, view } = this.#window;
    const at = this.#window.at(position);
    const lengthsAt = at + fields.lengthsAt;
    let dataAt = at + fields.recordsAt;
    for (let i = 0; i < part.skip; i++) dataAt += view.getUint32(lengthsAt + 4 * i, true);
    const from = lengthsAt + 4 * part.skip;
    // Usually the whole group fits: its size is known without adding lengths.
    if (part.skip === 0 && fields.recordBytes <= part.room) {
      return { lengthsAt: from, dataAt, records: fields.count, bytes: fields.recordBytes };
    }
    let bytes = 0;
    let records = 0;
    while (part.skip + records < fields.count) {
      const length = view.getUint32(from + 4 * records, true);
      if (bytes + length > part.room && records >= part.atLeast) break;
      bytes += length;
      records++;
    }
    return { lengthsAt: from, dataAt, records, bytes };
  }

  #frameIn(segment: KnownSegment, endOffset: number): Uint8Array | null {
    let frame: Uint8Array | null = null;
    let position = 0;
    while (this.#groupAt(segment, position, endOffset) === "good") {
      const { fields } = this.#window;
      if (fields.nextOffset > endOffset) break;
      frame = frameOf(this.#window, this.#window.at(position), fields) ?? frame;
      position += fields.bytes;
    }
    return frame;
  }

  #groupAt(segment: KnownSegment, position: number, endOffset: number): "good" | "end" | "bad" {
    if (this.#fileOffset !== segment.firstOffset) {
      this.close();
      this.#file = this.#open(segment.firstOffset);
      this.#fileOffset = segment.firstOffset;
      this.#window.use(this.#file);
    }
    return this.#window.group(position, endOffset);
  }

  #open(firstOffset: number): File {
    const path = segmentPath(this.#options.directory, firstOffset);
    try {
      return this.#options.fileSystem.open(path, "read");
    } catch (error) {
      if (firstOffset < this.#options.startOffset()) throw this.#gone(firstOffset);
      throw error;
    }
  }

  /** More is committed than this segment holds: it goes on in the next one, named by the offset. */
  #segmentAfter(segment: KnownSegment, place: Place): KnownSegment {
    if (place.offset === segment.firstOffset) {
      // Frames without a record were replaced by a new file of the same name (see the writer).
      if (place.position === 0) throw this.#corrupt(segment, place);
      this.close();
      return segment;
    }
    this.#refresh();
    const next = this.#segments.find((one) => one.firstOffset === place.offset);
    if (next === undefined) throw this.#corrupt(segment, place);
    return next;
  }

  /** The first offset of the segment after it, as far as is known. */
  #limitOf(segment: KnownSegment): number {
    if (segment === this.#segments.at(-1)) return Number.POSITIVE_INFINITY;
    const next = this.#segments.find((one) => one.firstOffset > segment.firstOffset);
    return next?.firstOffset ?? Number.POSITIVE_INFINITY;
  }

  #refresh(): void {
    const known = new Map(this.#segments.map((segment) => [segment.firstOffset, segment]));
    const { fileSystem, directory } = this.#options;
    this.#segments = listSegments(fileSystem, directory).map(
      (firstOffset) =>
        known.get(firstOffset) ?? { firstOffset, index: [{ offset: firstOffset, position: 0 }] },
    );
  }

  /** `place`: where the next group should stand. What may be lost with it ends with the segment. */
  #corrupt(segment: KnownSegment, place: Place): RecError {
    const path = segmentPath(this.#options.directory, segment.firstOffset);
    const limit = this.#limitOf(segment);
    const to = Number.isFinite(limit) ? `to ${limit - 1}` : "on";
    const lost = `records from offset ${place.offset} ${to} are lost at most`;
    const message = `${path}: no whole, correct group at byte ${place.position}; ${lost}`;
    return new RecError("REC_LOG_CORRUPT", message, { path });
  }

  #gone(offset: number): RecError {
    const start = this.#options.startOffset();
    const message = `offset ${offset} was dropped by retention; the log starts at ${start}`;
    return new RecError("REC_LOG_GONE", message, { path: this.#options.directory });
  }
}
