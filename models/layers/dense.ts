import type { KernelSet } from "../../native/index.ts";
import type { Matrix } from "./matrix.ts";

/** A layer's parameters and their gradients: weights are inputs x row, columns beyond are zero. */
export interface DenseParameters {
  readonly weights: Float32Array;
  readonly bias: Float32Array;
  readonly weightsGradient: Float32Array;
  readonly biasGradient: Float32Array;
  readonly inputs: number;
  /** Columns, rounded up to 16. */
  readonly row: number;
}

/** y = ReLU(x W + b) over whole batches, and its gradients. */
export class DenseLayer {
  readonly #kernels: KernelSet;
  readonly #p: DenseParameters;

  constructor(kernels: KernelSet, parameters: DenseParameters) {
    this.#kernels = kernels;
    this.#p = parameters;
  }

  forward(x: Matrix, y: Matrix, rows: number): void {
    const { weights, bias, inputs, row } = this.#p;
    this.#kernels.matrixProduct({
      a: x.values,
      aRow: x.row,
      aColumn: 1,
      b: weights,
      bRow: row,
      bColumn: 1,
      c: y.values,
      cRow: y.row,
      bias,
      rows,
      columns: row,
      depth: inputs,
      reluColumns: row,
      accumulate: false,
    });
  }

  /** Turns `dy` into the gradient before ReLU, then writes this layer's own gradients. */
  backwardParameters(io: { x: Matrix; y: Matrix; dy: Matrix }, rows: number): void {
    const { inputs, row, weightsGradient, biasGradient } = this.#p;
    this.#kernels.reluBackward({
      output: io.y.values,
      outputRow: io.y.row,
      gradient: io.dy.values,
      gradientRow: io.dy.row,
      biasGradient,
      rows,
      columns: row,
      relu: true,
    });
    weightsGradientOf(this.#kernels, {
      x: io.x,
      dy: io.dy,
      out: { values: weightsGradient, row },
      inputs,
      outputs: row,
      rows,
    });
  }

  /** dx = dy W^T; `dy` as `backwardParameters` left it. */
  backwardInput(dy: Matrix, dx: Matrix, rows: number): void {
    const { inputs, row, weights } = this.#p;
    inputGradientOf(this.#kernels, {
      dy,
      weights: { values: weights, row },
      dx,
      inputs,
      outputs: row,
      rows,
    });
  }
}

/** out[inputs x outputs] = x^T dy */
export function weightsGradientOf(
  kernels: KernelSet,
  s: { x: Matrix; dy: Matrix; out: Matrix; inputs: number; outputs: number; rows: number },
): void {
  kernels.matrixProduct({
    a: s.x.values,
    aRow: 1,
    aColumn: s.x.row,
    b: s.dy.values,
    bRow: s.dy.row,
    bColumn: 1,
    c: s.out.values,
    cRow: s.out.row,
    bias: null,
    rows: s.inputs,
    columns: s.outputs,
    depth: s.rows,
    reluColumns: 0,
    accumulate: false,
  });
}

/** dx[rows x inputs] = dy W^T */
export function inputGradientOf(
  kernels: KernelSet,
  s: { dy: Matrix; weights: Matrix; dx: Matrix; inputs: number; outputs: number; rows: number },
): void {
  kernels.matrixProduct({
    a: s.dy.values,
    aRow: s.dy.row,
    aColumn: 1,
    b: s.weights.values,
    bRow: 1,
    bColumn: s.weights.row,
    c: s.dx.values,
    cRow: s.dx.row,
    bias: null,
    rows: s.rows,
    columns: s.inputs,
    depth: s.outputs,
    reluColumns: 0,
    accumulate: false,
  });
}
