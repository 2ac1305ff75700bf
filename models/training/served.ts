import { type Id128, readId128, viewOf, writeId128 } from "../core/bytes.ts";

/**
 * A slate as it was served, with the feature values that the ranker used (topic `served`).
 * Columns, not objects: item arrays are in slate order, `itemDense` is items x itemDenseWidth,
 * `heads` is items x heads.
 */
export interface ServedRecord {
  readonly requestId: Id128;
  readonly userRow: number;
  readonly modelVersion: number;
  readonly indexGeneration: number;
  /** When the slate left. */
  readonly timeMs: number;
  /** The time that features were read as of. */
  readonly asOfMs: number;
  /** Log offset that the user's row had applied when read. */
  readonly userOffset: number;
  readonly userDense: Float32Array;
  readonly items: Uint32Array;
  /** First category of each item, `noRow` where it has none. */
  readonly categories: Uint32Array;
  /**
   * Its further categories, items x any width, `noRow` where there is none: a replay counts the
   * impression for the categories that the item had when it was shown. Default: none.
   */
  readonly moreCategories?: Uint32Array;
  readonly routes: Uint32Array;
  readonly scores: Float32Array;
  /** NaN where the place was not randomised. */
  readonly propensities: Float32Array;
  readonly heads: Float32Array;
  readonly itemOffsets: Float64Array;
  readonly itemDense: Float32Array;
}

const version = 1;
const headerBytes = 64;

/**
 * Layout, little endian, every array 8-byte aligned by order: header of 64 B (u8 version, u8 heads,
 * u16 items, u16 userDense, u16 itemDense, u32 userRow, u32 modelVersion, u32 indexGeneration,
 * u32 more categories an item, f64 timeMs, f64 asOfMs, f64 userOffset, 16 B request id);
 * f64 itemOffsets; u32 items, categories, routes; f32 scores, propensities, heads, userDense,
 * itemDense; u32 moreCategories.
 */
export function encodeServed(record: ServedRecord): Uint8Array {
  const n = record.items.length;
  const more = record.moreCategories ?? new Uint32Array(0);
  const dense = record.userDense.length + record.itemDense.length;
  const words = 5 * n + record.heads.length + dense + more.length;
  const bytes = new Uint8Array(headerBytes + 8 * n + 4 * words);
  const view = viewOf(bytes);
  view.setUint8(0, version);
  view.setUint8(1, n === 0 ? 0 : record.heads.length / n);
  view.setUint16(2, n, true);
  view.setUint16(4, record.userDense.length, true);
  view.setUint16(6, n === 0 ? 0 : record.itemDense.length / n, true);
  view.setUint32(8, record.userRow, true);
  view.setUint32(12, record.modelVersion, true);
  view.setUint32(16, record.indexGeneration, true);
  view.setUint32(20, n === 0 ? 0 : more.length / n, true);
  view.setFloat64(24, record.timeMs, true);
  view.setFloat64(32, record.asOfMs, true);
  view.setFloat64(40, record.userOffset, true);
  writeId128(view, 48, record.requestId);
  let at = headerBytes;
  for (const column of [
    record.itemOffsets,
    record.items,
    record.categories,
    record.routes,
    record.scores,
    record.propensities,
    record.heads,
    record.userDense,
    record.itemDense,
    more,
  ]) {
    bytes.set(new Uint8Array(column.buffer, column.byteOffset, column.byteLength), at);
    at += column.byteLength;
  }
  return bytes;
}

export function decodeServed(bytes: Uint8Array): ServedRecord {
  // A copy starts at offset 0 of its own buffer, so that the typed arrays below are aligned.
  const own = bytes.slice();
  const view = viewOf(own);
  const heads = view.getUint8(1);
  const n = view.getUint16(2, true);
  const userDense = view.getUint16(4, true);
  const itemDense = view.getUint16(6, true);
  const more = view.getUint32(20, true);
  let at = headerBytes;
  const take = (byteLength: number): [ArrayBuffer, number] => {
    at += byteLength;
    return [own.buffer, at - byteLength];
  };
  return {
    requestId: readId128(view, 48),
    userRow: view.getUint32(8, true),
    modelVersion: view.getUint32(12, true),
    indexGeneration: view.getUint32(16, true),
    timeMs: view.getFloat64(24, true),
    asOfMs: view.getFloat64(32, true),
    userOffset: view.getFloat64(40, true),
    itemOffsets: new Float64Array(...take(8 * n), n),
    items: new Uint32Array(...take(4 * n), n),
    categories: new Uint32Array(...take(4 * n), n),
    routes: new Uint32Array(...take(4 * n), n),
    scores: new Float32Array(...take(4 * n), n),
    propensities: new Float32Array(...take(4 * n), n),
    heads: new Float32Array(...take(4 * n * heads), n * heads),
    userDense: new Float32Array(...take(4 * userDense), userDense),
    itemDense: new Float32Array(...take(4 * n * itemDense), n * itemDense),
    moreCategories: new Uint32Array(...take(4 * n * more), n * more),
  };
}
