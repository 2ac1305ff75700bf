import type { KernelSet } from "../../native/index.ts";
import type { Matrix } from "./matrix.ts";

/** A layer's parameters and their gradients: weights are inputs x row. */
export interface DenseParameters {
  readonly weights: Float32Array;
  readonly bias: Float32Array;
  readonly weightsGradient: Float32Array;
  readonly biasGradient: Float32Array;
  readonly inputs: number;
  /** Columns, rounded up to 16. */
  readonly row: number;
  /** Columns that are computed: `row`, whose last ones stay zero, or fewer. */
  readonly outputs: number;
  readonly relu: boolean;
}

/** y = ReLU(x W + b), or without the ReLU, over whole batches, and its gradients. */
export class DenseLayer {
  readonly #kernels: KernelSet;
  readonly #p: DenseParameters;

  constructor(kernels: KernelSet, parameters: DenseParameters) {
    this.#kernels = kernels;
    this.#p = parameters;
  }

  forward(x: Matrix, y: Matrix, rows: number): void {
    const { weights, bias, inputs, row, outputs, relu } = this.#p;
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
      columns: outputs,
      depth: inputs,
      reluColumns: relu ? outputs : 0,
      accumulate: false,
    });
  }

  /** Turns `dy` into the gradient before ReLU, then writes this layer's own gradients. */
  backwardParameters(io: { x: Matrix; y: Matrix; dy: Matrix }, rows: number): void {
    const { inputs, row, outputs, relu, weightsGradient, biasGradient } = this.#p;
    this.#kernels.reluBackward({
      output: io.y.values,
      outputRow: io.y.row,
      gradient: io.dy.values,
      gradientRow: io.dy.row,
      biasGradient,
      rows,
      columns: outputs,
      relu,
    });
    weightsGradientOf(this.#kernels, {
      x: io.x,
      dy: io.dy,
      out: { values: weightsGradient, row },
      inputs,
      outputs,
      rows,
    });
  }

  /** dx = dy W^T, added to what stands there where `adds`; `dy` as `backwardParameters` left it. */
  backwardInput(io: { dy: Matrix; dx: Matrix; adds: boolean }, rows: number): void {
    const { inputs, row, outputs, weights } = this.#p;
    inputGradientOf(this.#kernels, {
      ...io,
      weights: { values: weights, row },
      inputs,
      outputs,
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

/** dx[rows x inputs] = dy W^T, or added to it. */
export function inputGradientOf(
  kernels: KernelSet,
  s: {
    readonly dy: Matrix;
    readonly weights: Matrix;
    readonly dx: Matrix;
    readonly inputs: number;
    readonly outputs: number;
    readonly rows: number;
    readonly adds: boolean;
  },
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
    accumulate: s.adds,
  });
}
