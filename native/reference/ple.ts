import { inputClip, logSecondsMax, type MmoeScore, padded } from "../kernel-set.ts";
import { extractionSizes, type PleShape } from "../ple-shape.ts";
import { seenExperts, softmaxOf } from "./extraction.ts";

/** One row at a time, straight from the definition; shares no code with the blocked kernel. */
export function pleScore(shape: PleShape, s: MmoeScore): void {
  for (let r = 0; r < s.rows; r++) {
    const first = layerOne(shape, s, r);
    let groups = levelOne(shape, s.weights, first);
    for (let l = 1; l < shape.levels; l++) groups = level(shape, s.weights, { groups, l });
    for (let h = 0; h < shape.heads; h++) {
      const z = head(shape, s.weights, { first, mixed: groups[h]!, h });
      s.out[h * s.rows + r] = s.logits ? z : answer(shape, h, z);
    }
  }
}

function answer(shape: PleShape, h: number, z: number): number {
  if ((shape.secondsHeads >> h) & 1) {
    return Math.expm1(Math.min(logSecondsMax, Math.max(0, z)));
  }
  return 1 / (1 + Math.exp(-z));
}

function layerOne(shape: PleShape, s: MmoeScore, r: number): number[] {
  const row = (of: Float32Array, at: number, width: number) =>
    Array.from(of.subarray(at * width, (at + 1) * width));
  const normal = (values: number[], mean: number, scale: number) =>
    values.map((value, j) => {
      const x = (value - s.weights[mean + j]!) * s.weights[scale + j]!;
      return Math.min(inputClip, Math.max(-inputClip, x));
    });
  const user = s.userRows === 1 ? 0 : r;
  const x = [
    ...normal(row(s.userDense, user, shape.userDense), shape.userMean, shape.userScale),
    ...row(s.userVector, user, shape.userVector),
    ...normal(row(s.itemDense, r, shape.itemDense), shape.itemMean, shape.itemScale),
    ...row(s.itemVector, r, shape.itemVector),
  ];
  const { experts, logits } = extractionSizes(shape, 0);
  const columns = experts * padded(shape.expertWidths[0]!) + padded(logits + shape.heads);
  return linear(s.weights, { at: shape.layerOne, bias: shape.layerOneBias, width: columns }, x);
}

/** x W + b; rows of W are pad(width) long, and the bias follows unless it stands elsewhere. */
function linear(
  weights: Float32Array,
  layer: { at: number; width: number; bias?: number },
  x: readonly number[],
): number[] {
  const row = padded(layer.width);
  const bias = layer.bias ?? layer.at + x.length * row;
  return Array.from({ length: layer.width }, (_, j) =>
    x.reduce((sum, value, i) => sum + value * weights[layer.at + i * row + j]!, weights[bias + j]!),
  );
}

function relu(values: readonly number[]): number[] {
  return values.map((value) => Math.max(0, value));
}

/** Dense layers with ReLU of the stack `block`, from layer `from` on. */
function stack(
  weights: Float32Array,
  layers: { offsets: readonly number[]; widths: readonly number[]; block: number; from: number },
  entry: readonly number[],
): number[] {
  let x = [...entry];
  for (let l = layers.from; l < layers.widths.length; l++) {
    const width = layers.widths[l]!;
    const at = layers.offsets[l]! + layers.block * (x.length + 1) * padded(width);
    x = relu(linear(weights, { at, width }, x));
  }
  return x;
}

/** What each gate makes of the experts that it sees. */
function mix(shape: PleShape, experts: readonly number[][], logits: readonly number[][]) {
  return logits.map((own, g) => {
    const seen = seenExperts(shape, g);
    const gates = softmaxOf(own);
    return experts[0]!.map((_, j) =>
      seen.reduce((sum, e, i) => sum + gates[i]! * experts[e]![j]!, 0),
    );
  });
}

function levelOne(shape: PleShape, weights: Float32Array, first: readonly number[]): number[][] {
  const { experts, gates } = extractionSizes(shape, 0);
  const width = shape.expertWidths[0]!;
  const outputs = Array.from({ length: experts }, (_, block) => {
    const at = block * padded(width);
    const layers = { offsets: shape.expertOffsets[0]!, widths: shape.expertWidths };
    return stack(weights, { ...layers, block, from: 1 }, relu(first.slice(at, at + width)));
  });
  let at = experts * padded(width);
  const logits = Array.from({ length: gates }, (_, g) => {
    const { length } = seenExperts(shape, g);
    at += length;
    return first.slice(at - length, at);
  });
  return mix(shape, outputs, logits);
}

function level(
  shape: PleShape,
  weights: Float32Array,
  { groups, l }: { groups: readonly number[][]; l: number },
): number[][] {
  const { experts, gates } = extractionSizes(shape, l);
  const outputs = Array.from({ length: experts }, (_, block) => {
    const group = Math.min(shape.heads, Math.floor(block / shape.headExperts));
    const layers = { offsets: shape.expertOffsets[l]!, widths: shape.expertWidths };
    return stack(weights, { ...layers, block, from: 0 }, groups[group]!);
  });
  let at = shape.gateOffsets[l]!;
  const logits = Array.from({ length: gates }, (_, g) => {
    const width = seenExperts(shape, g).length;
    const found = linear(weights, { at, width }, groups[g]!);
    at += (groups[g]!.length + 1) * padded(width);
    return found;
  });
  return mix(shape, outputs, logits);
}

function head(
  shape: PleShape,
  weights: Float32Array,
  from: { first: readonly number[]; mixed: readonly number[]; h: number },
): number {
  const { first, mixed, h } = from;
  const layers = { offsets: shape.towerOffsets, widths: shape.towerWidths };
  const x = stack(weights, { ...layers, block: h, from: 0 }, mixed);
  const at = shape.outputOffset + h * (padded(x.length) + 16);
  const { experts, logits } = extractionSizes(shape, 0);
  const skip = experts * padded(shape.expertWidths[0]!) + logits + h;
  const sum = x.reduce((total, value, j) => total + value * weights[at + j]!, 0);
  return sum + first[skip]! + weights[at + padded(x.length)]!;
}
