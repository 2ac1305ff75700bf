import type { PleShape } from "./ple-shape.ts";

/**
 * The numeric kernels of one instruction set, or their plain TypeScript twin.
 *
 * Matrices are row-major Float32Arrays; a `row` stride counts floats. Kernels allocate nothing,
 * keep no state and write only where their shape says; NaN and infinities pass through. A row's
 * result does not depend on the rows beside it. Wrong shapes throw before anything is written.
 */
export interface KernelSet {
  readonly name: "twin" | "base" | "avx2" | "avx512" | "avx512bf16";
  /** Whether it multiplies bf16: only then mmoePack and mmoeScorePacked may be called. */
  readonly packs: boolean;
  matrixProduct(product: MatrixProduct): void;
  reluBackward(step: ReluBackward): void;
  gateMix(shape: GateShape, step: GateMix): void;
  gateMixBackward(shape: GateShape, step: GateMixBackward): void;
  dotRows(step: DotRows): void;
  dotRowsBackward(step: DotRowsBackward): void;
  normalise(step: Normalise): void;
  sigmoid(values: Float32Array, count: number, out: Float32Array): void;
  adam(step: AdamStep): void;
  adagrad(step: AdagradStep): void;
  /** Sum of squares of the first `count` values. */
  squareSum(values: Float32Array, count: number): number;
  binaryCrossEntropy(step: LossStep): void;
  productCrossEntropy(step: ProductLossStep): void;
  smoothL1(step: LossStep, beta: number): void;
  /** Indexes of the k best, best first, ties by index, non-finite last; returns how many. */
  topK(scores: Float32Array, count: number, k: number, out: Uint32Array): number;
  /** As gateMix and its gradient, for gates that see some of the experts. */
  extractionMix(shape: ExtractionShape, step: GateMix): void;
  extractionMixBackward(shape: ExtractionShape, step: GateMixBackward): void;
  /** `out` is heads x rows: out[head * rows + row]. */
  mmoeScore(shape: MmoeShape, step: MmoeScore): void;
  pleScore(shape: PleShape, step: MmoeScore): void;
  /** Writes the bf16 form of a slot's parameters behind them; mmoeSlotFloats(shape) floats. */
  mmoePack(shape: MmoeShape, slot: Float32Array): void;
  /**
   * mmoeScore by the bf16 form: `weights` is a packed slot, `userRows` is 1. What enters a product
   * is rounded to bf16 but for the user's half; sums, gates, mixing and outputs are fp32.
   */
  mmoeScorePacked(shape: MmoeShape, step: MmoeScore): void;
}

/**
 * C[rows x columns] = act(start + A[rows x depth] B[depth x columns]). `start` is the bias, what C
 * holds (accumulate), or both. ReLU on the first `reluColumns` columns: a multiple of 16, or all.
 */
export interface MatrixProduct {
  a: Float32Array;
  aRow: number;
  aColumn: number;
  b: Float32Array;
  bRow: number;
  bColumn: number;
  c: Float32Array;
  cRow: number;
  bias: Float32Array | null;
  rows: number;
  columns: number;
  depth: number;
  reluColumns: number;
  accumulate: boolean;
}

/** gradient *= output > 0 (where relu); biasGradient[j] = the column's sum of gradient. */
export interface ReluBackward {
  output: Float32Array;
  outputRow: number;
  gradient: Float32Array;
  gradientRow: number;
  biasGradient: Float32Array;
  rows: number;
  columns: number;
  relu: boolean;
}

/**
 * logits[r * logitsRow + h * experts + e]; expert values[r * expertsRow + e * expertStride + j];
 * mixed[h * mixedHead + r * mixedRow + j]; gates are rows x (heads * experts).
 */
export interface GateShape {
  rows: number;
  readonly heads: number;
  readonly experts: number;
  readonly width: number;
  readonly logitsRow: number;
  readonly expertsRow: number;
  readonly expertStride: number;
  readonly mixedHead: number;
  readonly mixedRow: number;
}

/**
 * Gates of one extraction level (PleShape): head h's sees its own experts, h * headExperts and on,
 * then the shared ones; the shared gate, last, sees all. A row's logits and gates stand packed,
 * gate after gate. Other strides are GateShape's; mixed[g * mixedGate + r * mixedRow + j].
 */
export interface ExtractionShape {
  rows: number;
  readonly heads: number;
  readonly headExperts: number;
  readonly sharedExperts: number;
  readonly sharedGate: boolean;
  readonly width: number;
  readonly logitsRow: number;
  readonly expertsRow: number;
  readonly expertStride: number;
  readonly mixedGate: number;
  readonly mixedRow: number;
}

/** gates = softmax(logits) per row and head; mixed = sum over experts of gate x value. */
export interface GateMix {
  readonly logits: Float32Array;
  readonly experts: Float32Array;
  readonly gates: Float32Array;
  readonly mixed: Float32Array;
}

/** Overwrites both gradients; they have the strides of logits and experts. */
export interface GateMixBackward {
  readonly gates: Float32Array;
  readonly experts: Float32Array;
  readonly mixedGradient: Float32Array;
  readonly logitsGradient: Float32Array;
  readonly expertsGradient: Float32Array;
}

/** out[i] = query . rows[i] */
export interface DotRows {
  query: Float32Array;
  rows: Float32Array;
  row: number;
  count: number;
  width: number;
  out: Float32Array;
}

/** rowsGradient[i] = outGradient[i] query; queryGradient = sum of outGradient[i] rows[i]. */
export interface DotRowsBackward {
  query: Float32Array;
  rows: Float32Array;
  row: number;
  count: number;
  width: number;
  outGradient: Float32Array;
  queryGradient: Float32Array;
  rowsGradient: Float32Array;
}

/** out = clip((values - mean) * scale, +-clip); values are rows x width without gaps. */
export interface Normalise {
  values: Float32Array;
  mean: Float32Array;
  scale: Float32Array;
  clip: number;
  rows: number;
  width: number;
  out: Float32Array;
  outRow: number;
}

/** Adam (Kingma and Ba 2015) with bias correction for `step` >= 1. */
export interface AdamStep {
  weights: Float32Array;
  gradients: Float32Array;
  first: Float32Array;
  second: Float32Array;
  count: number;
  step: number;
  learningRate: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  gradientScale: number;
}

/** Adagrad (Duchi et al. 2011), element-wise. */
export interface AdagradStep {
  weights: Float32Array;
  gradients: Float32Array;
  sums: Float32Array;
  count: number;
  learningRate: number;
  epsilon: number;
  gradientScale: number;
}

/** Loss of each value and, where not null, its gradient. A NaN label counts for nothing. */
export interface LossStep {
  /** Logits; for smoothL1 the values themselves. */
  values: Float32Array;
  labels: Float32Array;
  weights: Float32Array;
  count: number;
  losses: Float32Array;
  gradients: Float32Array | null;
}

/** Cross entropy of sigmoid(given) x sigmoid(value): the conversion head of ESMM. */
export interface ProductLossStep extends LossStep {
  givenValues: Float32Array;
  givenGradients: Float32Array | null;
}

/**
 * Sizes of a multi-gate mixture of experts and the places of its parameters in one flat array.
 * pad(n) is n rounded up to 16. Layer one is one matrix [user inputs; item inputs] x
 * [experts x pad(width) | pad(gates, then one skip per head)], a bias row beside it.
 */
export interface MmoeShape {
  readonly userDense: number;
  readonly userVector: number;
  readonly itemDense: number;
  readonly itemVector: number;
  readonly heads: number;
  readonly experts: number;
  readonly expertWidths: readonly number[];
  readonly towerWidths: readonly number[];
  readonly userMean: number;
  readonly userScale: number;
  readonly itemMean: number;
  readonly itemScale: number;
  readonly layerOne: number;
  readonly layerOneBias: number;
  /** Per expert layer after the first: experts x ([in x pad(out)], bias pad(out)). Entry 0: 0. */
  readonly expertOffsets: readonly number[];
  /** Per tower layer: heads x ([in x pad(out)], bias pad(out)). */
  readonly towerOffsets: readonly number[];
  /** heads x (pad(last width) weights, then 16 floats of which the first is the bias). */
  readonly outputOffset: number;
  readonly floats: number;
  /** Bit h: head h predicts log1p seconds. */
  readonly secondsHeads: number;
  /** The same numbers in the order the native side reads; `packMmoeShape` makes it. */
  readonly packed: Int32Array;
}

/** `userRows` is 1 (one user, many items) or equal to `rows`. */
export interface MmoeScore {
  weights: Float32Array;
  /** userRows x userDense, raw. */
  userDense: Float32Array;
  userVector: Float32Array;
  userRows: number;
  /** rows x itemDense, raw. */
  itemDense: Float32Array;
  itemVector: Float32Array;
  rows: number;
  /** True leaves out sigmoid and expm1. */
  logits: boolean;
  out: Float32Array;
  /** At least mmoeWorkspace(shape) floats. */
  workspace: Float32Array;
}

/** Widths are stored rounded up to 16 floats, so that blocks stay aligned to a vector. */
export function padded(width: number): number {
  return (width + 15) & ~15;
}

export const mmoeLayersMax = 4;
/** Inputs are clipped at so many deviations. */
export const inputClip = 4;
/** The highest log1p seconds that a seconds head answers: a day. */
export const logSecondsMax = 11.37;

/** The 33 numbers of a shape in the native order. */
export function packMmoeShape(shape: Omit<MmoeShape, "packed">): Int32Array {
  const four = (values: readonly number[]) => [0, 1, 2, 3].map((i) => values[i] ?? 0);
  return Int32Array.from([
    shape.userDense,
    shape.userVector,
    shape.itemDense,
    shape.itemVector,
    shape.heads,
    shape.experts,
    shape.expertWidths.length,
    shape.towerWidths.length,
    ...four(shape.expertWidths),
    ...four(shape.towerWidths),
    shape.userMean,
    shape.userScale,
    shape.itemMean,
    shape.itemScale,
    shape.layerOne,
    shape.layerOneBias,
    ...four(shape.expertOffsets),
    ...four(shape.towerOffsets),
    shape.outputOffset,
    shape.floats,
    shape.secondsHeads,
  ]);
}

/** Products of bf16 go by panels of 32 columns. */
export function panelled(width: number): number {
  return (width + 31) & ~31;
}

const scoreRows = 168;

/** Floats of workspace that scoring needs, whatever the number of rows. */
export function mmoeWorkspace(shape: Omit<MmoeShape, "packed">): number {
  const { heads, experts, expertWidths, towerWidths } = shape;
  const columns = experts * padded(expertWidths[0] ?? 0) + padded(heads * experts + heads);
  const user = shape.userDense + shape.userVector;
  const item = shape.itemDense + shape.itemVector;
  const wide = [
    heads * padded(expertWidths.at(-1) ?? 0),
    ...expertWidths.slice(1).map((width) => experts * padded(width)),
    ...towerWidths.map((width) => heads * padded(width)),
  ];
  const perRow = Math.max(user, item) + columns + 2 * Math.max(...wide) + heads * experts + 1;
  return scoreRows * perRow + panelled(columns);
}
