import type { KernelSet } from "../../native/index.ts";
import { inputGradientOf, weightsGradientOf } from "./dense.ts";
import { type Matrix, matrix } from "./matrix.ts";

/** Places and sizes of layer one in the flat parameters. */
export interface InputLayout {
  readonly userInputs: number;
  readonly itemInputs: number;
  readonly userVector: number;
  readonly itemVector: number;
  /** Columns of the experts, which pass through ReLU, and of all with gates and skips. */
  readonly hidden: number;
  readonly columns: number;
  readonly layerOne: number;
  readonly layerOneBias: number;
}

/** What every part of a network works on. */
export interface NetworkParts {
  readonly kernels: KernelSet;
  /** Both of layout.floats floats; kept, not copied. */
  readonly weights: Float32Array;
  readonly gradients: Float32Array;
  readonly rowsMax: number;
}

interface Half {
  readonly x: Matrix;
  readonly inputs: number;
  readonly vector: number;
  /** First row of layer one. */
  readonly from: number;
  readonly dx: Matrix;
}

/**
 * Layer one of all experts, gates and skips as one matrix, taken in the halves of user and item in
 * the same order as serving does: both give the same values bit for bit.
 */
export class InputLayer {
  /** rowsMax x userInputs and rowsMax x itemInputs: [normalised dense | embedding]. */
  readonly userInput: Matrix;
  readonly itemInput: Matrix;
  /** Gradients by the embedding columns alone, rowsMax x embedding. */
  readonly userVectorGradient: Matrix;
  readonly itemVectorGradient: Matrix;
  /** rowsMax x columns. */
  readonly values: Matrix;
  readonly gradients: Matrix;
  readonly #parts: NetworkParts;
  readonly #layout: InputLayout;

  constructor(parts: NetworkParts, layout: InputLayout) {
    const { rowsMax } = parts;
    this.#parts = parts;
    this.#layout = layout;
    this.userInput = matrix(rowsMax, layout.userInputs);
    this.itemInput = matrix(rowsMax, layout.itemInputs);
    this.userVectorGradient = matrix(rowsMax, layout.userVector);
    this.itemVectorGradient = matrix(rowsMax, layout.itemVector);
    this.values = matrix(rowsMax, layout.columns);
    this.gradients = matrix(rowsMax, layout.columns);
  }

  forward(rows: number): void {
    const { kernels, weights } = this.#parts;
    const { columns, userInputs, itemInputs, hidden, layerOne, layerOneBias } = this.#layout;
    const shared = {
      aColumn: 1,
      bRow: columns,
      bColumn: 1,
      c: this.values.values,
      cRow: columns,
      rows,
      columns,
    };
    kernels.matrixProduct({
      ...shared,
      a: this.userInput.values,
      aRow: userInputs,
      b: weights.subarray(layerOne, layerOneBias),
      bias: weights.subarray(layerOneBias),
      depth: userInputs,
      reluColumns: 0,
      accumulate: false,
    });
    kernels.matrixProduct({
      ...shared,
      a: this.itemInput.values,
      aRow: itemInputs,
      b: weights.subarray(layerOne + userInputs * columns, layerOneBias),
      bias: null,
      depth: itemInputs,
      reluColumns: hidden,
      accumulate: true,
    });
  }

  /** From `gradients`: those of the parameters and of the embedding columns. */
  backward(rows: number): void {
    const { kernels, gradients } = this.#parts;
    const { columns, hidden, layerOneBias } = this.#layout;
    for (const [from, width, relu] of [
      [0, hidden, true],
      [hidden, columns - hidden, false],
    ] as const) {
      kernels.reluBackward({
        output: this.values.values.subarray(from),
        outputRow: columns,
        gradient: this.gradients.values.subarray(from),
        gradientRow: columns,
        biasGradient: gradients.subarray(layerOneBias + from, layerOneBias + from + width),
        rows,
        columns: width,
        relu,
      });
    }
    const { userInputs, itemInputs, userVector, itemVector } = this.#layout;
    const user = { x: this.userInput, inputs: userInputs, vector: userVector, from: 0 };
    const item = { x: this.itemInput, inputs: itemInputs, vector: itemVector, from: userInputs };
    this.#halfBackward({ ...user, dx: this.userVectorGradient }, rows);
    this.#halfBackward({ ...item, dx: this.itemVectorGradient }, rows);
  }

  #halfBackward(half: Half, rows: number): void {
    const { kernels, weights, gradients } = this.#parts;
    const { columns, layerOne } = this.#layout;
    const dy = this.gradients;
    const at = layerOne + half.from * columns;
    const out = { values: gradients.subarray(at), row: columns };
    const { x, inputs, vector, dx } = half;
    weightsGradientOf(kernels, { x, dy, out, inputs, outputs: columns, rows });
    if (vector === 0) return;
    // Only embeddings are learned below layer one: dense inputs need no gradient.
    const below = weights.subarray(at + (inputs - vector) * columns);
    const shape = { inputs: vector, outputs: columns, rows, adds: false };
    inputGradientOf(kernels, { dy, weights: { values: below, row: columns }, dx, ...shape });
  }
}
