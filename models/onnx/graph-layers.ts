import { padded } from "../../native/index.ts";
import type { OnnxGraph } from "./graph.ts";
import type { GraphWeights } from "./graph-weights.ts";

/** Dense layers with ReLU, `blocks` of them side by side. */
export interface LayerStack {
  /** Of its weights. */
  readonly name: string;
  readonly blocks: number;
  /** Width that enters, then what each layer gives. */
  readonly widths: readonly number[];
  /** Of each layer: blocks x ([in x pad(out)], bias pad(out)). */
  readonly offsets: readonly number[];
}

/**
 * The parts that rankers are made of, as nodes of a graph. Blocks of a kind run as one batched
 * product, [blocks, rows, width]: few nodes, few copies.
 */
export class GraphLayers {
  readonly graph: OnnxGraph;
  readonly weights: GraphWeights;

  constructor(graph: OnnxGraph, weights: GraphWeights) {
    this.graph = graph;
    this.weights = weights;
  }

  /** Columns [from, to) of rows x columns. */
  columns(value: string, from: number, to: number): string {
    return this.graph.slice(value, { from, to, axis: 1 });
  }

  /** Swaps the first two of three dimensions. */
  swapped(value: string): string {
    return this.graph.node("Transpose", [value], { perm: [1, 0, 2] });
  }

  /** blocks x rows x width through all layers. */
  stack(value: string, { name, blocks, widths, offsets }: LayerStack): string {
    let x = value;
    for (let l = 1; l < widths.length; l++) {
      const [inputs = 0, outputs = 0] = [widths[l - 1], widths[l]];
      const layer = { name: `${name}.${l}`, at: offsets[l - 1] ?? 0, inputs, outputs };
      x = this.graph.node("Relu", [this.linear(x, { ...layer, blocks })]);
    }
    return x;
  }

  /** blocks x rows x inputs -> blocks x rows x outputs. */
  linear(
    value: string,
    layer: { name: string; at: number; blocks: number; inputs: number; outputs: number },
  ): string {
    const { graph } = this;
    const { name, at, blocks, inputs, outputs } = layer;
    const block = this.weights.block(name, at, [blocks, inputs + 1, padded(outputs)]);
    const matrix = graph.slice(block, { from: 0, to: inputs, axis: 1 });
    const bias = graph.slice(block, { from: inputs, to: inputs + 1, axis: 1 });
    const sum = graph.node("Add", [graph.node("MatMul", [value, matrix]), bias]);
    return this.unpadded(sum, outputs);
  }

  /** Drops what is stored beyond a width. */
  unpadded(value: string, width: number): string {
    if (padded(width) === width) return value;
    return this.graph.slice(value, { from: 0, to: width, axis: 2 });
  }

  /** The experts that begin with layer one: rows x (experts x pad(width)) -> experts x rows x .. */
  firstExperts(hidden: string, stack: LayerStack): string {
    const [first = 0] = stack.widths;
    const active = this.graph.node("Relu", [hidden]);
    const blocks = this.graph.reshape(active, [0, stack.blocks, padded(first)]);
    return this.stack(this.unpadded(this.swapped(blocks), first), stack);
  }

  /** Softmax over the last of rows x gates x experts. */
  shares(logits: string): string {
    return this.graph.node("Softmax", [logits], { axis: 2 });
  }
}
