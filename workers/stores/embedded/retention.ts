import type { LogReader } from "../event-log.ts";
import type { FileSystem } from "../file-system.ts";
import { SegmentWindow, segmentPath } from "./segment.ts";

/** What may be dropped, whole segments at a time; nothing is where neither is given. */
export interface Retention {
  /** The oldest segments go while the partition's files are larger than this. */
  readonly sizeBytesMax?: number;
  /** Segments whose newest record is older than this go. */
  readonly ageMsMax?: number;
  /** Nothing goes that one of these still needs (`EventLog.letGo`). Default: nobody is asked. */
  readonly heldBy?: readonly LogReader[];
}

export interface RetentionContext {
  readonly fileSystem: FileSystem;
  readonly retention: Retention;
  readonly nowMs: () => number;
  /** Before this offset nobody who is asked needs anything. */
  readonly neededOffset: number;
}

/** How many of `segments` (first offsets, ascending) to drop. The last one always stays. */
export function segmentsToDrop(
  directory: string,
  segments: readonly number[],
  context: RetentionContext,
): number {
  const { sizeBytesMax = Number.POSITIVE_INFINITY, ageMsMax } = context.retention;
  const cutMs = ageMsMax === undefined ? null : context.nowMs() - ageMsMax;
  const sizes = segments.map((first) => sizeOfSegment(directory, first, context.fileSystem));
  let total = sizes.reduce((sum, size) => sum + size, 0);
  let drop = 0;
  while (drop < segments.length - 1) {
    if (segments[drop + 1] > context.neededOffset) break;
    // A segment's newest record is no younger than the first of the next one.
    const old = cutMs !== null && startMs(directory, segments[drop + 1], context) < cutMs;
    if (total <= sizeBytesMax && !old) break;
    total -= sizes[drop];
    drop++;
  }
  return drop;
}

function sizeOfSegment(directory: string, first: number, fileSystem: FileSystem): number {
  const file = fileSystem.open(segmentPath(directory, first), "read");
  const size = file.size();
  file.close();
  return size;
}

/** When the first group of a segment was written; never (so: kept) if that cannot be read. */
function startMs(directory: string, first: number, context: RetentionContext): number {
  const file = context.fileSystem.open(segmentPath(directory, first), "read");
  const window = new SegmentWindow(4_096);
  window.use(file);
  const state = window.group(0, Number.MAX_SAFE_INTEGER);
  file.close();
  return state === "good" ? window.fields.timeMs : Number.POSITIVE_INFINITY;
}
