import { RecError } from "../../../models/core/errors.ts";
import type { File, FileSystem } from "../file-system.ts";
import { commitBytesMax, groupTargetBytes } from "./commit.ts";
import { listSegments, type SegmentScan, scanSegment, segmentPath } from "./segment.ts";

/** Where a partition's writer goes on. */
export interface PartitionTail {
  /** First offsets of the segments that are kept, ascending. */
  readonly segments: number[];
  /** The last segment, open for writing; null in an empty partition. */
  readonly file: File | null;
  readonly fileBytes: number;
  readonly nextOffset: number;
  readonly lastCrc: number;
  readonly lastFrame: Uint8Array | null;
}

export interface RecoveryOptions {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  /** Told what was cut. */
  readonly report: (message: string) => void;
  /** Offset that was already shown to readers: less than that must never come out. */
  readonly shownOffset: number;
}

/**
 * Finds the end of a partition, cutting what is torn behind the last good group. Only the last
 * segment can be torn: a segment is synced before the next one is made.
 */
export function recoverPartition(options: RecoveryOptions): PartitionTail {
  const { fileSystem, directory } = options;
  fileSystem.makeDirectory(directory);
  const segments = listSegments(fileSystem, directory);
  for (;;) {
    const firstOffset = segments.at(-1);
    if (firstOffset === undefined) return emptyTail();
    const file = fileSystem.open(segmentPath(directory, firstOffset), "write");
    const scan = scanSegment(file, firstOffset);
    if (scan.goodBytes < scan.fileBytes) cut(file, scan, options);
    if (scan.groups > 0 || segments.length === 1) {
      requireShown(scan.nextOffset, file.path, options);
      makeLasting(file, scan);
      const { nextOffset, lastCrc, lastFrame } = scan;
      return { segments, file, fileBytes: scan.goodBytes, nextOffset, lastCrc, lastFrame };
    }
    file.close();
    fileSystem.remove(file.path);
    fileSystem.syncDirectory(directory);
    segments.pop();
  }
}

function emptyTail(): PartitionTail {
  return { segments: [], file: null, fileBytes: 0, nextOffset: 0, lastCrc: 0, lastFrame: null };
}

/**
 * What a killed process left in the page cache is shown to readers from now on: it must last. If
 * its sync had failed, the kernel may count the lost pages as clean; writing the last commit again
 * makes them dirty.
 */
function makeLasting(file: File, scan: SegmentScan): void {
  const commitBytes = commitBytesMax + (scan.lastFrame?.length ?? 0) + groupTargetBytes;
  const from = Math.max(0, Math.min(scan.goodBytes - commitBytes, scan.lastGroupAt));
  const chunk = new Uint8Array(Math.min(1 << 20, scan.goodBytes - from));
  for (let at = from; at < scan.goodBytes; at += chunk.length) {
    const bytes = chunk.subarray(0, Math.min(chunk.length, scan.goodBytes - at));
    file.read(bytes, at);
    file.write(bytes, at);
  }
  file.syncNow();
}

function requireShown(nextOffset: number, path: string, options: RecoveryOptions): void {
  if (nextOffset >= options.shownOffset) return;
  const message = `${path} ends at offset ${nextOffset}, but ${options.shownOffset} was shown`;
  throw new RecError("REC_LOG_CORRUPT", message, { path });
}

function cut(file: File, scan: SegmentScan, options: RecoveryOptions): void {
  const bytes = scan.fileBytes - scan.goodBytes;
  const kept = scan.goodBehind ? keepAside(file, scan, options) : null;
  file.truncate(scan.goodBytes);
  file.syncNow();
  const where = `${file.path}: cut ${bytes} bytes after byte ${scan.goodBytes}`;
  const what = `the last whole group ends there, at offset ${scan.nextOffset}`;
  const aside = kept === null ? "" : `; good groups stood behind, the bytes are kept in ${kept}`;
  options.report(`${where}: ${what}${aside}`);
}

/** Good groups behind a bad one may have been acknowledged: an operator may want them. */
function keepAside(file: File, scan: SegmentScan, options: RecoveryOptions): string {
  const path = `${file.path}.cut-${scan.goodBytes}`;
  const bytes = new Uint8Array(scan.fileBytes - scan.goodBytes);
  const length = file.read(bytes, scan.goodBytes);
  const copy = options.fileSystem.open(path, "create");
  copy.write(bytes.subarray(0, length), 0);
  copy.syncNow();
  copy.close();
  options.fileSystem.syncDirectory(options.directory);
  return path;
}
