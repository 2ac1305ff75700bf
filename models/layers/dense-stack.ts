import { type KernelSet, padded } from "../../native/index.ts";
import { DenseLayer, type DenseParameters } from "./dense.ts";
import { type Blocks, blocksOf, type Matrix, matrix } from "./matrix.ts";

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

interface Level extends Blocks {
  readonly layers: readonly DenseLayer[];
}

/** Parallel stacks of dense layers with ReLU, own parameters each; keeps what backward needs. */
export class DenseStack {
  readonly #levels: readonly Level[];

  constructor(options: DenseStackOptions) {
    this.#levels = options.widths.map((width, l) => level(options, width, l));
  }

  /**
   * The last layer's outputs, and where the caller puts their gradients; `inputs` where there is no
   * layer.
   */
  outputsOr(inputs: Blocks): Blocks {
    return this.#levels.at(-1) ?? inputs;
  }

  forward(inputs: readonly Matrix[], rows: number): void {
    let from = inputs;
    for (const { layers, values } of this.#levels) {
      for (let b = 0; b < layers.length; b++) layers[b]!.forward(from[b]!, values[b]!, rows);
      from = values;
    }
  }

  /**
   * Writes all parameter gradients and the gradients of the inputs, or adds the latter to what
   * stands there: several stacks may have the same input.
   */
  backward(inputs: Blocks, rows: number, adds = false): void {
    for (let l = this.#levels.length - 1; l >= 0; l--) {
      const { layers, values, gradients } = this.#levels[l]!;
      const below = this.#levels[l - 1] ?? inputs;
      for (let b = 0; b < layers.length; b++) {
        const dy = gradients[b]!;
        layers[b]!.backwardParameters({ x: below.values[b]!, y: values[b]!, dy }, rows);
        const dx = below.gradients[b]!;
        layers[b]!.backwardInput({ dy, dx, adds: adds && l === 0 }, rows);
      }
    }
  }
}

function level(options: DenseStackOptions, width: number, l: number): Level {
  const { blocks, kernels, rowsMax } = options;
  const inputs = l === 0 ? options.inputs : options.widths[l - 1]!;
  const row = padded(width);
  const layers = Array.from({ length: blocks }, (_, b) => {
    const at = options.offsets[l]! + b * (inputs + 1) * row;
    const shape = { at, inputs, row, outputs: row, relu: true };
    return new DenseLayer(kernels, parametersAt(options, shape));
  });
  const whole = () => matrix(rowsMax, blocks * row);
  return { layers, ...blocksOf(whole(), whole(), blocks, width) };
}

/** The parameters of a layer that stands at `at`: inputs x row weights, then row biases. */
export function parametersAt(
  flat: { readonly weights: Float32Array; readonly gradients: Float32Array },
  shape: { at: number; inputs: number; row: number; outputs: number; relu: boolean },
): DenseParameters {
  const { at, inputs, row, outputs, relu } = shape;
  const bias = at + inputs * row;
  return {
    weights: flat.weights.subarray(at, bias),
    bias: flat.weights.subarray(bias, bias + row),
    weightsGradient: flat.gradients.subarray(at, bias),
    biasGradient: flat.gradients.subarray(bias, bias + row),
    ...{ inputs, row, outputs, relu },
  };
}
