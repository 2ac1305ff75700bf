import { inputClip, logSecondsMax, type MmoeScore, type MmoeShape, padded } from "../kernel-set.ts";

/** What a number becomes before it is multiplied: itself, or the nearest bf16. */
export type Rounding = (value: number) => number;

/** One row at a time, straight from the definition; shares no code with the blocked kernel. */
export function mmoeScore(shape: MmoeShape, s: MmoeScore): void {
  scoreRows(shape, s, (value) => value);
}

/** The same with `round` before all products but those of the user's half and of the outputs. */
export function scoreRows(shape: MmoeShape, s: MmoeScore, round: Rounding): void {
  const call = { shape, s, round };
  for (let r = 0; r < s.rows; r++) {
    const first = layerOne(call, r);
    const experts = Array.from({ length: shape.experts }, (_, e) => expert(call, first, e));
    for (let h = 0; h < shape.heads; h++) {
      const z = head(call, { first, experts, h });
      s.out[h * s.rows + r] = s.logits ? z : answer(shape, h, z);
    }
  }
}

interface Scoring {
  readonly shape: MmoeShape;
  readonly s: MmoeScore;
  readonly round: Rounding;
}

function answer(shape: MmoeShape, h: number, z: number): number {
  if ((shape.secondsHeads >> h) & 1) {
    return Math.expm1(Math.min(logSecondsMax, Math.max(0, z)));
  }
  return 1 / (1 + Math.exp(-z));
}

function normalised(values: Float32Array, weights: Float32Array, mean: number, scale: number) {
  return Array.from(values, (value, j) => {
    const x = (value - weights[mean + j]!) * weights[scale + j]!;
    return Math.min(inputClip, Math.max(-inputClip, x));
  });
}

function rowOf(values: Float32Array, row: number, width: number): Float32Array {
  return values.subarray(row * width, (row + 1) * width);
}

function layerOne({ shape, s, round }: Scoring, r: number): number[] {
  const user = s.userRows === 1 ? 0 : r;
  const users = shape.userDense + shape.userVector;
  const w = s.weights;
  const x = [
    ...normalised(rowOf(s.userDense, user, shape.userDense), w, shape.userMean, shape.userScale),
    ...rowOf(s.userVector, user, shape.userVector),
    ...normalised(rowOf(s.itemDense, r, shape.itemDense), w, shape.itemMean, shape.itemScale),
    ...rowOf(s.itemVector, r, shape.itemVector),
  ];
  const hidden = shape.experts * padded(shape.expertWidths[0]!);
  const columns = hidden + padded(shape.heads * shape.experts + shape.heads);
  return Array.from({ length: columns }, (_, j) => {
    let sum = w[shape.layerOneBias + j]!;
    for (let i = 0; i < x.length; i++) {
      const weight = w[shape.layerOne + i * columns + j]!;
      sum += i < users ? x[i]! * weight : round(x[i]!) * round(weight);
    }
    return j < hidden && sum < 0 ? 0 : sum;
  });
}

interface Dense {
  readonly weights: Float32Array;
  readonly at: number;
  readonly width: number;
  readonly round: Rounding;
}

function dense(layer: Dense, x: readonly number[]): number[] {
  const { round } = layer;
  const row = padded(layer.width);
  return Array.from({ length: layer.width }, (_, j) => {
    let sum = layer.weights[layer.at + x.length * row + j]!;
    for (let i = 0; i < x.length; i++) {
      sum += round(x[i]!) * round(layer.weights[layer.at + i * row + j]!);
    }
    return Math.max(0, sum);
  });
}

function expert({ shape, s, round }: Scoring, first: readonly number[], e: number): number[] {
  const width = shape.expertWidths[0]!;
  let x = first.slice(e * padded(width), e * padded(width) + width);
  for (let l = 1; l < shape.expertWidths.length; l++) {
    const out = shape.expertWidths[l]!;
    const at = shape.expertOffsets[l]! + e * (x.length + 1) * padded(out);
    x = dense({ weights: s.weights, at, width: out, round }, x);
  }
  return x;
}

interface HeadInput {
  readonly first: readonly number[];
  readonly experts: readonly number[][];
  readonly h: number;
}

function head({ shape, s, round }: Scoring, { first, experts, h }: HeadInput): number {
  const hidden = shape.experts * padded(shape.expertWidths[0]!);
  const logits = first.slice(hidden + h * shape.experts, hidden + (h + 1) * shape.experts);
  const top = Math.max(...logits);
  const gates = logits.map((z) => Math.exp(z - top));
  const total = gates.reduce((a, b) => a + b, 0);
  let x = experts[0]!.map((_, j) =>
    experts.reduce((sum, values, e) => sum + (gates[e]! / total) * values[j]!, 0),
  );
  for (const [l, width] of shape.towerWidths.entries()) {
    const at = shape.towerOffsets[l]! + h * (x.length + 1) * padded(width);
    x = dense({ weights: s.weights, at, width, round }, x);
  }
  const at = shape.outputOffset + h * (padded(x.length) + 16);
  const skip = first[hidden + shape.heads * shape.experts + h]!;
  return (
    x.reduce((sum, value, j) => sum + value * s.weights[at + j]!, 0) +
    skip +
    s.weights[at + padded(x.length)]!
  );
}
