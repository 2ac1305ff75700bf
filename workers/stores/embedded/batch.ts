import type { LogBatch } from "../event-log.ts";
import type { GroupWindow } from "./group.ts";

/** Consecutive records of one group, by places in a window. */
export interface Piece {
  /** Where the u32 length of the first of them stands. */
  readonly lengthsAt: number;
  /** Where the bytes of the first of them stand. */
  readonly dataAt: number;
  readonly records: number;
  /** Their bytes together. */
  readonly bytes: number;
}

/** Copies records of several groups next to each other: the window's memory is used again. */
export function piecesToBatch(
  window: GroupWindow,
  pieces: readonly Piece[],
  firstOffset: number,
): LogBatch {
  let count = 0;
  let total = 0;
  for (const piece of pieces) {
    count += piece.records;
    total += piece.bytes;
  }
  const data = new Uint8Array(total);
  const bounds = new Uint32Array(count + 1);
  let at = 0;
  let used = 0;
  for (const piece of pieces) {
    data.set(window.bytes.subarray(piece.dataAt, piece.dataAt + piece.bytes), used);
    fillBounds(bounds.subarray(at, at + piece.records + 1), window.view, piece, used);
    at += piece.records;
    used += piece.bytes;
  }
  return { firstOffset, count, data, bounds };
}

/** `out`: one more than records; starts at `from`. */
function fillBounds(out: Uint32Array, view: DataView, piece: Piece, from: number): void {
  let end = from;
  out[0] = end;
  for (let i = 0; i < piece.records; i++) {
    end += view.getUint32(piece.lengthsAt + 4 * i, true);
    out[i + 1] = end;
  }
}
