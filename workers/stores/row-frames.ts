import { RecError } from "../../models/core/errors.ts";
import type { SavedCheckpoint, SlicedBytes } from "./checkpoint-store.ts";

/** Rows of any length, that are written and read one after the other. */
export interface PackedRows {
  /** Bytes that a row takes at most. */
  readonly rowBytes: number;
  /** Returns the bytes used. */
  save(firstRow: number, count: number, out: Uint8Array): number;
  /** Returns how many rows there were. */
  load(firstRow: number, data: Uint8Array): number;
}

/** A frame: first row, rows and bytes of a run, u32 each, little endian, then the bytes. */
const headerBytes = 12;
/** Written in a few milliseconds; twice this is read at once. */
const sliceBytes = 2 << 20;
/** Fewer rows wait for the next slice. */
const rowsLeast = 64;

/**
 * Runs of a table's rows as a section: first row and length of each, two words a run. Rows are read
 * when their slice is asked for, whatever has happened to them meanwhile.
 */
export function rowFrames(table: PackedRows, runs: Uint32Array): SlicedBytes {
  return { byteLength: null, slices: () => slicesOf(table, runs) };
}

function* slicesOf(table: PackedRows, runs: Uint32Array): Generator<Uint8Array> {
  const scratch = new Uint8Array(Math.max(sliceBytes, headerBytes + rowsLeast * table.rowBytes));
  const view = new DataView(scratch.buffer);
  let used = 0;
  for (let i = 0; i < runs.length; i += 2) {
    const end = runs[i] + runs[i + 1];
    for (let row = runs[i]; row < end; ) {
      const room = Math.floor((scratch.length - used - headerBytes) / table.rowBytes);
      const count = Math.min(end - row, room);
      if (count < Math.min(end - row, rowsLeast)) {
        yield scratch.subarray(0, used);
        used = 0;
        continue;
      }
      const bytes = table.save(row, count, scratch.subarray(used + headerBytes));
      view.setUint32(used, row, true);
      view.setUint32(used + 4, count, true);
      view.setUint32(used + 8, bytes, true);
      used += headerBytes + bytes;
      row += count;
    }
  }
  if (used > 0) yield scratch.subarray(0, used);
}

/** Takes frames in that `rowFrames` made; `taken` is told each run. Throws REC_CHECKPOINT_SHAPE. */
export function loadRowFrames(
  table: PackedRows,
  from: { readonly saved: SavedCheckpoint; readonly name: string },
  taken: (firstRow: number, count: number) => void,
): void {
  const { saved, name } = from;
  const total = saved.byteLength(name);
  // One buffer for all: fresh memory for each piece would cost more than what is done with it.
  const most = Math.max(sliceBytes, headerBytes + rowsLeast * table.rowBytes);
  const buffer = new Uint8Array(Math.min(total, 2 * most));
  let [held, read] = [0, 0];
  while (read < total) {
    const next = buffer.subarray(held, held + Math.min(buffer.length - held, total - read));
    saved.readInto(name, next, read);
    read += next.length;
    held += next.length;
    const used = takeFrames(table, buffer.subarray(0, held), taken);
    if (used === 0) throw shapeError(name);
    buffer.copyWithin(0, used, held);
    held -= used;
  }
  if (held > 0) throw shapeError(name);
}

/** All whole frames of `bytes`; returns how many bytes those are. */
function takeFrames(
  table: PackedRows,
  bytes: Uint8Array,
  taken: (firstRow: number, count: number) => void,
): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  while (at + headerBytes <= bytes.length) {
    const [first, count] = [view.getUint32(at, true), view.getUint32(at + 4, true)];
    const end = at + headerBytes + view.getUint32(at + 8, true);
    if (end > bytes.length) break;
    const rows = table.load(first, bytes.subarray(at + headerBytes, end));
    if (rows !== count) throw shapeError(`a frame of ${count} rows`);
    taken(first, count);
    at = end;
  }
  return at;
}

function shapeError(what: string): RecError {
  return new RecError("REC_CHECKPOINT_SHAPE", `${what} does not hold rows of this table`, {
    fix: "remove the role's checkpoints; it then replays the log",
  });
}
