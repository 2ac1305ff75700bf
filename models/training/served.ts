import { type Id128, readId128, viewOf, writeId128 } from "../core/bytes.ts";
import { scopeNames } from "../definition/define.ts";

/**
 * A slate as it was served, with the feature values that the ranker used (topic `served`).
 * Columns, not objects: item arrays are in slate order, `itemDense` is items x itemDenseWidth,
 * `heads` is items x heads.
 */
export interface ServedRecord {
  readonly requestId: Id128;
  readonly userRow: number;
  /** What scored the slate; 0 where no model did, and `heads` is NaN. */
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
  /** Row offset of each item's part in each partition: [partition][item]. */
  readonly itemOffsets: Float64Array;
  readonly itemDense: Float32Array;
  /** Records of format version 1 have none. */
  readonly reads?: ServedReads;
}

/** What else was read, and how far it stood: from this and the log every feature follows. */
export interface ServedReads {
  /** Offset of the user's row of recent interactions, -1 where it had none. */
  readonly recentOffset: number;
  /**
   * Attributes were read while documents of topic `items` from the one on to the other were being
   * applied; equal nearly always.
   */
  readonly documentsFrom: number;
  readonly documentsTo: number;
  /** Interactions that came with the request, oldest first (features/sequence-record.ts). */
  readonly session: Uint32Array;
  /** The distinct categories of the slate's items. */
  readonly categories: Uint32Array;
  /** Offset of each one's part in each partition, [partition][category]; -1 none. */
  readonly categoryOffsets: Float64Array;
  /** Offset of each one's row with the user, whose partition alone has it; -1 none. */
  readonly pairOffsets: Float64Array;
  /** Offset of each partition's part of the row for all; records of version 2 have none. */
  readonly globalOffsets: Float64Array;
  /**
   * Offsets of the rows of aggregates, by scope in the order of `scopeNames`: of the user, of each
   * item, of each of `categories` alone and with the user, and of the row for all; [partition][row]
   * but with the user, whose partition alone has it. Empty where a scope has none.
   */
  readonly aggregateOffsets: readonly Float64Array[];
}

/** Partitions whose parts the rows of a slate were the sums of. */
export function partialsOf({ items, itemOffsets }: ServedRecord): number {
  return items.length === 0 ? 1 : itemOffsets.length / items.length;
}

const version = 3;
const headerBytes = 64;
/**
 * u16 categories, u16 partitions after the first, u32 words of the session, f64 recentOffset,
 * documentsFrom, documentsTo; from version 3 on u32 globalOffsets, u32 aggregateOffsets of each
 * scope.
 */
const readsHeaderBytes = (of: number) => (of < 3 ? 32 : 32 + 4 + 4 * scopeNames.length);

/**
 * Layout, little endian, every array 8-byte aligned by order: header of 64 B (u8 version, u8 heads,
 * u16 items, u16 userDense, u16 itemDense, u32 userRow, u32 modelVersion, u32 indexGeneration,
 * u32 more categories an item, f64 timeMs, f64 asOfMs, f64 userOffset, 16 B request id);
 * f64 itemOffsets of the first partition; u32 items, categories, routes; f32 scores, propensities,
 * heads, userDense, itemDense; u32 moreCategories. From version 2 on, at the next multiple of 8
 * bytes, what else was read: a header, f64 categoryOffsets, pairOffsets, from version 3 on
 * globalOffsets, aggregateOffsets, itemOffsets of the further partitions, u32 categories, session.
 */
export function encodeServed(record: ServedRecord): Uint8Array {
  const n = record.items.length;
  const more = record.moreCategories ?? new Uint32Array(0);
  const dense = record.userDense.length + record.itemDense.length;
  const words = 5 * n + record.heads.length + dense + more.length;
  const reads = record.reads ?? noReads;
  const further = record.itemOffsets.subarray(n);
  const readsAt = aligned(headerBytes + 8 * n + 4 * words);
  const bytes = new Uint8Array(readsAt + readsBytes(reads) + further.byteLength);
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
    record.itemOffsets.subarray(0, n),
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
  const offsets = { further, partials: partialsOf(record) };
  writeReads(bytes.subarray(readsAt), reads, offsets);
  return bytes;
}

const noReads: ServedReads = {
  ...{ recentOffset: -1, documentsFrom: 0, documentsTo: 0 },
  ...{ session: new Uint32Array(0), categories: new Uint32Array(0) },
  ...{ categoryOffsets: new Float64Array(0), pairOffsets: new Float64Array(0) },
  ...{ globalOffsets: new Float64Array(0), aggregateOffsets: [] },
};

function aligned(at: number): number {
  return (at + 7) & ~7;
}

function readsBytes(reads: ServedReads): number {
  const { categoryOffsets, categories, session, globalOffsets, aggregateOffsets } = reads;
  const aggregates = aggregateOffsets.reduce((sum, { length }) => sum + length, 0);
  const offsets = categoryOffsets.length + categories.length + globalOffsets.length + aggregates;
  return readsHeaderBytes(version) + 8 * offsets + 4 * (categories.length + session.length);
}

function writeReads(
  bytes: Uint8Array,
  reads: ServedReads,
  { further, partials }: { further: Float64Array; partials: number },
): void {
  const view = viewOf(bytes);
  view.setUint16(0, reads.categories.length, true);
  view.setUint16(2, partials - 1, true);
  view.setUint32(4, reads.session.length, true);
  view.setFloat64(8, reads.recentOffset, true);
  view.setFloat64(16, reads.documentsFrom, true);
  view.setFloat64(24, reads.documentsTo, true);
  const { categoryOffsets, pairOffsets, globalOffsets, aggregateOffsets } = reads;
  view.setUint32(32, globalOffsets.length, true);
  for (const [i, { length }] of aggregateOffsets.entries())
    view.setUint32(36 + 4 * i, length, true);
  let at = readsHeaderBytes(version);
  const offsets = [categoryOffsets, pairOffsets, globalOffsets, ...aggregateOffsets, further];
  for (const column of [...offsets, reads.categories, reads.session]) {
    bytes.set(new Uint8Array(column.buffer, column.byteOffset, column.byteLength), at);
    at += column.byteLength;
  }
}

/** What else was read of a slate of `n`, and its item offsets of the further partitions. */
function readReads(own: Uint8Array<ArrayBuffer>, from: number, n: number) {
  const view = viewOf(own);
  const of = view.getUint8(0);
  const categories = view.getUint16(from, true);
  const partitions = view.getUint16(from + 2, true);
  const session = view.getUint32(from + 4, true);
  let at = from + readsHeaderBytes(of);
  const doubles = (count: number) => {
    at += 8 * count;
    return new Float64Array(own.buffer, at - 8 * count, count);
  };
  const counted = (index: number) => (of < 3 ? 0 : view.getUint32(from + 32 + 4 * index, true));
  const offsets = {
    categoryOffsets: doubles((1 + partitions) * categories),
    pairOffsets: doubles(categories),
    globalOffsets: doubles(counted(0)),
    aggregateOffsets: scopeNames.map((_, i) => doubles(counted(1 + i))),
  };
  const further = doubles(partitions * n);
  const reads: ServedReads = {
    recentOffset: view.getFloat64(from + 8, true),
    documentsFrom: view.getFloat64(from + 16, true),
    documentsTo: view.getFloat64(from + 24, true),
    ...offsets,
    categories: new Uint32Array(own.buffer, at, categories),
    session: new Uint32Array(own.buffer, at + 4 * categories, session),
  };
  return { reads, further };
}

function joined(a: Float64Array, b: Float64Array): Float64Array {
  if (b.length === 0) return a;
  const all = new Float64Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

export function decodeServed(bytes: Uint8Array): ServedRecord {
  // A copy starts at offset 0 of its own buffer, so that the typed arrays below are aligned;
  // `slice` would be a view where the bytes are a Buffer.
  const own = new Uint8Array(bytes);
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
  const record = {
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
  if (view.getUint8(0) < 2) return record;
  const { reads, further } = readReads(own, aligned(at), n);
  return { ...record, itemOffsets: joined(record.itemOffsets, further), reads };
}
