import type { MmoeScore, MmoeShape } from "../kernel-set.ts";
import { panelled } from "../kernel-set.ts";
import { type PackedLayer, packedBlockFloats, packedLayers } from "../packed-shape.ts";
import { scoreRows } from "./mmoe.ts";

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** The upper half of an fp32's bits, rounded to nearest even; NaN stays one, denormals become 0. */
function bf16Bits(value: number): number {
  float[0] = value;
  const all = bits[0]!;
  if ((all & 0x7f800000) === 0) return (all >>> 16) & 0x8000;
  if (Number.isNaN(value)) return (all >>> 16) | 0x40;
  return (all + 0x7fff + ((all >>> 16) & 1)) >>> 16;
}

/** The nearest number that bf16 has. */
export function bf16(value: number): number {
  bits[0] = bf16Bits(value) << 16;
  return float[0]!;
}

function packBlock(layer: PackedLayer, slot: Float32Array, from: number, at: number): void {
  const { rows, columns, row, bias } = layer;
  const wide = panelled(columns);
  if (bias) {
    slot.fill(0, at, at + wide);
    slot.set(slot.subarray(from + rows * row, from + rows * row + columns), at);
  }
  const start = at + (bias ? wide : 0);
  const steps = (rows + 1) >> 1;
  const words = new Uint32Array(slot.buffer, slot.byteOffset + 4 * start, wide * steps);
  const weight = (k: number, j: number) =>
    k < rows && j < columns ? bf16Bits(slot[from + k * row + j]!) : 0;
  for (let j = 0; j < wide; j++) {
    for (let step = 0; step < steps; step++) {
      const place = ((j >> 5) * steps + step) * 32 + (j & 31);
      words[place] = weight(2 * step, j) | (weight(2 * step + 1, j) << 16);
    }
  }
}

export function mmoePack(shape: MmoeShape, slot: Float32Array): void {
  for (const layer of packedLayers(shape)) {
    const floats = (layer.rows + 1) * layer.row;
    for (let e = 0; e < layer.blocks; e++) {
      const at = layer.at + e * packedBlockFloats(layer);
      packBlock(layer, slot, layer.from + e * floats, at);
    }
  }
}

/** Rounds where the packed form does; reads the parameters, not their packed form. */
export function mmoeScorePacked(shape: MmoeShape, s: MmoeScore): void {
  scoreRows(shape, s, bf16);
}
