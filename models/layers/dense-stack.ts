import { type KernelSet, padded } from "../../native/index.ts";
import { DenseLayer } from "./dense.ts";
import { columnsFrom, type Matrix, matrix } from "./matrix.ts";

export interface DenseStackOptions {
  readonly kernels: KernelSet;
  readonly weights: Float32Array;
  readonly gradients: Float32Array;
  /** Stacks side by side: experts, or one tower a head. */
  readonly blocks: number;
  /** Width that enters, and the width of each layer. */
  readonly inputs: number;
  readonly widths: readonly number[];
  /** Where each layer's blocks x ([inputs x pad(width)], bias pad(width)) stand. */
  readonly offsets: readonly number[];
  readonly rowsMax: number;
}

interface Level {
  readonly layers: readonly DenseLayer[];
  readonly outputs: readonly Matrix[];
  readonly gradients: readonly Matrix[];
}

/** One column block of pad(width) per stack, all in rows of one matrix. */
function blocksOf(whole: Matrix, blocks: number, width: number): Matrix[] {
  return Array.from({ length: blocks }, (_, b) => columnsFrom(whole, b * padded(width)));
}

/** Parallel stacks of dense layers with ReLU, own parameters each; keeps what backward needs. */
export class DenseStack {
  readonly #levels: readonly Level[];

  constructor(options: DenseStackOptions) {
    this.#levels = options.widths.map((width, l) => level(options, width, l));
  }

  /** The last layer's outputs, block after block in the rows of one matrix. */
  get outputs(): readonly Matrix[] {
    return this.#levels.at(-1)?.outputs ?? [];
  }

  /** Where the caller puts the gradient of `outputs`. */
  get outputGradients(): readonly Matrix[] {
    return this.#levels.at(-1)?.gradients ?? [];
  }

  forward(inputs: readonly Matrix[], rows: number): void {
    let from = inputs;
    for (const { layers, outputs } of this.#levels) {
      for (let b = 0; b < layers.length; b++) layers[b]!.forward(from[b]!, outputs[b]!, rows);
      from = outputs;
    }
  }

  /** Writes all parameter gradients and the gradients of the inputs. */
  backward(inputs: readonly Matrix[], inputGradients: readonly Matrix[], rows: number): void {
    for (let l = this.#levels.length - 1; l >= 0; l--) {
      const { layers, outputs, gradients } = this.#levels[l]!;
      const below = this.#levels[l - 1];
      for (let b = 0; b < layers.length; b++) {
        const x = (below?.outputs ?? inputs)[b]!;
        layers[b]!.backwardParameters({ x, y: outputs[b]!, dy: gradients[b]! }, rows);
        layers[b]!.backwardInput(gradients[b]!, (below?.gradients ?? inputGradients)[b]!, rows);
      }
    }
  }
}

function level(options: DenseStackOptions, width: number, l: number): Level {
  const { blocks, kernels, rowsMax } = options;
  const inputs = l === 0 ? options.inputs : options.widths[l - 1]!;
  const row = padded(width);
  const part = (of: Float32Array, at: number, count: number) => of.subarray(at, at + count);
  const layers = Array.from({ length: blocks }, (_, b) => {
    const at = options.offsets[l]! + b * (inputs + 1) * row;
    return new DenseLayer(kernels, {
      weights: part(options.weights, at, inputs * row),
      bias: part(options.weights, at + inputs * row, row),
      weightsGradient: part(options.gradients, at, inputs * row),
      biasGradient: part(options.gradients, at + inputs * row, row),
      inputs,
      row,
    });
  });
  return {
    layers,
    outputs: blocksOf(matrix(rowsMax, blocks * row), blocks, width),
    gradients: blocksOf(matrix(rowsMax, blocks * row), blocks, width),
  };
}
