import { type Id128, readId128, viewOf, writeId128 } from "../core/bytes.ts";

/** One labelled (request, item): what the ranker saw, and what came of it (topic `samples`). */
export interface Sample {
  /** `correction`: a label that came after the sample had been emitted (a late conversion). */
  readonly kind: "primary" | "correction";
  readonly position: number;
  readonly userRow: number;
  readonly itemRow: number;
  /** The item's first category, `noRow` where it has none. */
  readonly categoryRow: number;
  /** Importance: 1, or what makes up for samples that were left out. */
  readonly weight: number;
  /** Of a correction: what an earlier sample said of its label, and it takes back. Default: 0. */
  readonly previous?: number;
  readonly servedMs: number;
  readonly emittedMs: number;
  /**
   * When the interaction behind its label happened and was accepted (of a primary: its slate's
   * first); left out where nothing came of it.
   */
  readonly eventMs?: number;
  readonly acceptedMs?: number;
  readonly requestId: Id128;
  /** One per head of the definition: 0 or 1, or seconds. For cvr: the conversion itself. */
  readonly labels: Float32Array;
  readonly userDense: Float32Array;
  readonly itemDense: Float32Array;
}

const version = 2;
export const sampleHeaderBytes = 72;

/**
 * Layout, little endian: header of 72 B (u8 version, u8 kind, u16 position, u32 userRow,
 * u32 itemRow, u32 categoryRow, f32 weight, u16 labels, u16 userDense, u16 itemDense, u16 zero,
 * f32 previous, f64 servedMs, f64 emittedMs, 16 B request id, f32 eventMs and f32 acceptedMs before
 * emittedMs, NaN for none); f32 labels, userDense, itemDense. Version 1 ends its header before
 * eventMs.
 */
export function encodeSample(sample: Sample): Uint8Array {
  const words = sample.labels.length + sample.userDense.length + sample.itemDense.length;
  const bytes = new Uint8Array(sampleHeaderBytes + 4 * words);
  writeSampleHeader(viewOf(bytes), 0, sample);
  let at = sampleHeaderBytes;
  for (const column of [sample.labels, sample.userDense, sample.itemDense]) {
    bytes.set(new Uint8Array(column.buffer, column.byteOffset, column.byteLength), at);
    at += column.byteLength;
  }
  return bytes;
}

/** Writes all of a sample but its columns: labels, userDense, itemDense follow as float32. */
export function writeSampleHeader(view: DataView, at: number, sample: Sample): void {
  view.setUint8(at, version);
  view.setUint8(at + 1, sample.kind === "primary" ? 0 : 1);
  view.setUint16(at + 2, sample.position, true);
  view.setUint32(at + 4, sample.userRow, true);
  view.setUint32(at + 8, sample.itemRow, true);
  view.setUint32(at + 12, sample.categoryRow, true);
  view.setFloat32(at + 16, sample.weight, true);
  view.setUint16(at + 20, sample.labels.length, true);
  view.setUint16(at + 22, sample.userDense.length, true);
  view.setUint16(at + 24, sample.itemDense.length, true);
  view.setFloat32(at + 28, sample.previous ?? 0, true);
  view.setFloat64(at + 32, sample.servedMs, true);
  view.setFloat64(at + 40, sample.emittedMs, true);
  writeId128(view, at + 48, sample.requestId);
  writeMoment(view, at + 64, sample.emittedMs, sample.eventMs);
  writeMoment(view, at + 68, sample.emittedMs, sample.acceptedMs);
}

function writeMoment(view: DataView, at: number, untilMs: number, ms = Number.NaN): void {
  view.setFloat32(at, untilMs - ms, true);
}

/** The moments of a header that has them. */
function readMoments(view: DataView): Pick<Sample, "eventMs" | "acceptedMs"> {
  const emittedMs = view.getFloat64(40, true);
  const [eventAge, acceptedAge] = [view.getFloat32(64, true), view.getFloat32(68, true)];
  if (Number.isNaN(eventAge) || Number.isNaN(acceptedAge)) return {};
  return { eventMs: emittedMs - eventAge, acceptedMs: emittedMs - acceptedAge };
}

/** What identifies the sample at `at`, without decoding it. */
export function readSampleKey(
  view: DataView,
  at: number,
): { readonly isPrimary: boolean; readonly itemRow: number; readonly requestId: Id128 } {
  return {
    isPrimary: view.getUint8(at + 1) === 0,
    itemRow: view.getUint32(at + 8, true),
    requestId: readId128(view, at + 48),
  };
}

export function decodeSample(bytes: Uint8Array): Sample {
  // The columns are read from offset 0 of a copy; `slice` would be a view where this is a Buffer.
  const own = new Uint8Array(bytes);
  const view = viewOf(own);
  const labels = view.getUint16(20, true);
  const userDense = view.getUint16(22, true);
  const itemDense = view.getUint16(24, true);
  const isFirst = view.getUint8(0) === 1;
  const columns = isFirst ? 64 : sampleHeaderBytes;
  return {
    ...(isFirst ? {} : readMoments(view)),
    kind: view.getUint8(1) === 0 ? "primary" : "correction",
    position: view.getUint16(2, true),
    userRow: view.getUint32(4, true),
    itemRow: view.getUint32(8, true),
    categoryRow: view.getUint32(12, true),
    weight: view.getFloat32(16, true),
    previous: view.getFloat32(28, true),
    servedMs: view.getFloat64(32, true),
    emittedMs: view.getFloat64(40, true),
    requestId: readId128(view, 48),
    labels: new Float32Array(own.buffer, columns, labels),
    userDense: new Float32Array(own.buffer, columns + 4 * labels, userDense),
    itemDense: new Float32Array(own.buffer, columns + 4 * (labels + userDense), itemDense),
  };
}
