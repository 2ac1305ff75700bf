import { Random } from "../../models/core/random.ts";
import type { KernelSet } from "../../native/kernel-set.ts";

/** One kernel at one size. `prepare` gives fresh buffers: results do not depend on turns. */
export interface KernelCase {
  readonly name: string;
  /** Floating-point operations of a call, where a rate says more than a time. */
  readonly operations?: number;
  /** One build serves all instruction sets. */
  readonly oneBuild?: boolean;
  prepare(set: KernelSet): Prepared;
}

export interface Prepared {
  readonly run: () => void;
  readonly outputs: readonly ArrayBufferView[];
}

/** Sizes that the server meets: rows are candidates or samples of a batch. */
export interface CaseSizes {
  readonly candidates: number;
  readonly batch: number;
  readonly inputs: number;
  readonly expertColumns: number;
  readonly parameters: number;
}

export function normals(count: number, random: Random, scale = 1): Float32Array {
  return Float32Array.from({ length: count }, () => random.normal() * scale);
}

interface ProductSize {
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
  /** A is stored depth x rows, as for the gradient of weights. */
  readonly transposed?: boolean;
}

function product(name: string, size: ProductSize, seed: number): KernelCase {
  const { rows, depth, columns, transposed = false } = size;
  const prepare = (set: KernelSet): Prepared => {
    const random = new Random(seed);
    const c = new Float32Array(rows * columns);
    const call = {
      a: normals(rows * depth, random),
      aRow: transposed ? 1 : depth,
      aColumn: transposed ? rows : 1,
      b: normals(depth * columns, random),
      bRow: columns,
      bColumn: 1,
      c,
      cRow: columns,
      bias: normals(columns, random),
      reluColumns: transposed ? 0 : columns,
      accumulate: false,
    };
    const step = { ...call, rows, columns, depth };
    return { run: () => set.matrixProduct(step), outputs: [c] };
  };
  return { name, operations: 2 * rows * depth * columns, prepare };
}

function reluBackward(rows: number, columns: number, seed: number): KernelCase {
  const prepare = (set: KernelSet): Prepared => {
    const random = new Random(seed);
    const step = {
      output: normals(rows * columns, random),
      outputRow: columns,
      gradient: normals(rows * columns, random),
      gradientRow: columns,
      biasGradient: new Float32Array(columns),
      rows,
      columns,
      relu: true,
    };
    const outputs = [step.gradient, step.biasGradient];
    return { run: () => set.reluBackward(step), outputs };
  };
  return { name: "reluBackward", prepare };
}

/** 5 heads over 4 experts of 64, as the towers meet them. */
function gates(rows: number, seed: number) {
  const [heads, experts, width] = [5, 4, 64];
  const random = new Random(seed);
  const shape = {
    rows,
    heads,
    experts,
    width,
    logitsRow: heads * experts,
    expertsRow: experts * width,
    expertStride: width,
    mixedHead: rows * width,
    mixedRow: width,
  };
  return {
    shape,
    logits: normals(rows * heads * experts, random),
    experts: normals(rows * experts * width, random),
    gates: new Float32Array(rows * heads * experts),
    mixed: new Float32Array(rows * heads * width),
  };
}

function gateCases(sizes: CaseSizes, seed: number): KernelCase[] {
  const forward = (set: KernelSet): Prepared => {
    const { shape, ...step } = gates(sizes.candidates, seed);
    return { run: () => set.gateMix(shape, step), outputs: [step.gates, step.mixed] };
  };
  const backward = (set: KernelSet): Prepared => {
    const { shape, ...made } = gates(sizes.batch, seed);
    set.gateMix(shape, made);
    const step = {
      gates: made.gates,
      experts: made.experts,
      mixedGradient: normals(made.mixed.length, new Random(seed + 1)),
      logitsGradient: new Float32Array(made.logits.length),
      expertsGradient: new Float32Array(made.experts.length),
    };
    const outputs = [step.logitsGradient, step.expertsGradient];
    return { run: () => set.gateMixBackward(shape, step), outputs };
  };
  return [
    { name: "gateMix", prepare: forward },
    { name: "gateMixBackward", prepare: backward },
  ];
}

function rowCases({ candidates }: CaseSizes, seed: number): KernelCase[] {
  const width = 64;
  const made = () => {
    const random = new Random(seed);
    return { query: normals(width, random), rows: normals(candidates * width, random) };
  };
  const size = { row: width, count: candidates, width };
  const dot = (set: KernelSet): Prepared => {
    const step = { ...made(), ...size, out: new Float32Array(candidates) };
    return { run: () => set.dotRows(step), outputs: [step.out] };
  };
  const back = (set: KernelSet): Prepared => {
    const step = {
      ...made(),
      ...size,
      outGradient: normals(candidates, new Random(seed + 1)),
      queryGradient: new Float32Array(width),
      rowsGradient: new Float32Array(candidates * width),
    };
    return {
      run: () => set.dotRowsBackward(step),
      outputs: [step.queryGradient, step.rowsGradient],
    };
  };
  const operations = 2 * candidates * width;
  return [
    { name: "dotRows", operations, prepare: dot },
    { name: "dotRowsBackward", operations: 2 * operations, prepare: back },
  ];
}

function elementCases({ candidates, inputs }: CaseSizes, seed: number): KernelCase[] {
  const width = inputs / 2;
  const normalise = (set: KernelSet): Prepared => {
    const random = new Random(seed);
    const step = {
      values: normals(candidates * width, random, 20),
      mean: normals(width, random),
      scale: normals(width, random),
      clip: 4,
      rows: candidates,
      width,
      out: new Float32Array(candidates * width),
      outRow: width,
    };
    return { run: () => set.normalise(step), outputs: [step.out] };
  };
  const sigmoid = (set: KernelSet): Prepared => {
    const count = 5 * candidates;
    const values = normals(count, new Random(seed), 4);
    const out = new Float32Array(count);
    return { run: () => set.sigmoid(values, count, out), outputs: [out] };
  };
  const top = (set: KernelSet): Prepared => {
    const scores = normals(candidates, new Random(seed));
    const out = new Uint32Array(Math.min(20, candidates));
    return { run: () => void set.topK(scores, candidates, out.length, out), outputs: [out] };
  };
  return [
    { name: "normalise", prepare: normalise },
    { name: "sigmoid", prepare: sigmoid },
    { name: "topK", oneBuild: true, prepare: top },
  ];
}

function optimizerCases({ parameters: count }: CaseSizes, seed: number): KernelCase[] {
  const made = () => {
    const random = new Random(seed);
    return { weights: normals(count, random), gradients: normals(count, random), count };
  };
  const rates = { learningRate: 1e-3, epsilon: 1e-8, gradientScale: 1 };
  const adam = (set: KernelSet): Prepared => {
    const moments = { first: new Float32Array(count), second: new Float32Array(count) };
    const step = { ...made(), ...moments, ...rates, step: 10, beta1: 0.9, beta2: 0.999 };
    return { run: () => set.adam(step), outputs: [step.weights, step.first, step.second] };
  };
  const adagrad = (set: KernelSet): Prepared => {
    const step = { ...made(), ...rates, sums: new Float32Array(count) };
    return { run: () => set.adagrad(step), outputs: [step.weights, step.sums] };
  };
  const squares = (set: KernelSet): Prepared => {
    const { gradients } = made();
    const out = new Float64Array(1);
    const run = () => {
      out[0] = set.squareSum(gradients, count);
    };
    return { run, outputs: [out] };
  };
  return [
    { name: "adam", prepare: adam },
    { name: "adagrad", prepare: adagrad },
    { name: "squareSum", operations: 2 * count, prepare: squares },
  ];
}

function lossCases({ batch }: CaseSizes, seed: number): KernelCase[] {
  const made = () => {
    const random = new Random(seed);
    return {
      values: normals(batch, random, 3),
      labels: Float32Array.from({ length: batch }, (_, i) => (i % 7 === 6 ? Number.NaN : i % 2)),
      weights: new Float32Array(batch).fill(1),
      count: batch,
      losses: new Float32Array(batch),
      gradients: new Float32Array(batch),
      givenValues: normals(batch, random, 3),
      givenGradients: new Float32Array(batch),
    };
  };
  const one = (name: string, call: (set: KernelSet, step: ReturnType<typeof made>) => void) => ({
    name,
    oneBuild: true,
    prepare: (set: KernelSet): Prepared => {
      const step = made();
      return { run: () => call(set, step), outputs: [step.losses, step.gradients] };
    },
  });
  return [
    one("binaryCrossEntropy", (set, step) => set.binaryCrossEntropy(step)),
    one("productCrossEntropy", (set, step) => set.productCrossEntropy(step)),
    one("smoothL1", (set, step) => set.smoothL1(step, 1)),
  ];
}

/** Every kernel family at the sizes of scoring 500 candidates and of learning from a batch. */
export function kernelCases(sizes: CaseSizes, seed: number): KernelCase[] {
  const { candidates, batch, inputs, expertColumns } = sizes;
  const weights = { rows: inputs, depth: batch, columns: expertColumns, transposed: true };
  const tall = { rows: candidates, depth: inputs, columns: expertColumns };
  const narrow = { rows: Math.min(168, candidates), depth: 128, columns: 64 };
  return [
    product("productLayerOne", tall, seed),
    product("productExpert", narrow, seed),
    product("productGradient", weights, seed),
    reluBackward(batch, expertColumns, seed),
    ...gateCases(sizes, seed),
    ...rowCases(sizes, seed),
    ...elementCases(sizes, seed),
    ...optimizerCases(sizes, seed),
    ...lossCases(sizes, seed),
  ];
}
