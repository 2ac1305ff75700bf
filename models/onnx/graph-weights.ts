import type { OnnxGraph } from "./graph.ts";

/** Where a graph finds its parameters, which stand in one flat array. */
export interface GraphWeights {
  /** The value that holds the floats from `at` on in these dimensions. */
  block(name: string, at: number, dimensions: readonly number[]): string;
}

/** A block of the flat weights that is fed to the graph like any other input. */
export interface WeightInput {
  readonly name: string;
  readonly at: number;
  readonly dimensions: readonly number[];
}

export function sizeOf(dimensions: readonly number[]): number {
  return dimensions.reduce((product, size) => product * size, 1);
}

/** Parameters that are part of the file. */
export class ConstantWeights implements GraphWeights {
  readonly #graph: OnnxGraph;
  readonly #weights: Float32Array;

  constructor(graph: OnnxGraph, weights: Float32Array) {
    this.#graph = graph;
    this.#weights = weights;
  }

  block(name: string, at: number, dimensions: readonly number[]): string {
    const values = this.#weights.slice(at, at + sizeOf(dimensions));
    return this.#graph.constant(dimensions, values, name);
  }
}

/** Parameters that come with every run, so that a swap of models changes no graph. */
export class FedWeights implements GraphWeights {
  readonly inputs: WeightInput[] = [];
  readonly #graph: OnnxGraph;

  constructor(graph: OnnxGraph) {
    this.#graph = graph;
  }

  block(name: string, at: number, dimensions: readonly number[]): string {
    this.inputs.push({ name, at, dimensions });
    return this.#graph.input(name, dimensions);
  }
}
