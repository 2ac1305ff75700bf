import { inputClip, logSecondsMax, padded } from "../../native/index.ts";
import type { RankerLayout } from "../ranking/layout.ts";
import type { OnnxGraph } from "./graph.ts";
import type { GraphWeights } from "./graph-weights.ts";

/** Names of the inputs of an exported ranker, each a block of columns. */
export const blockNames = {
  userDense: "user_dense",
  userVector: "user_embedding",
  itemDense: "item_dense",
  itemVector: "item_embedding",
} as const;

/** Free dimensions: rows of items; rows of users, 1 or as many as candidates. */
export const candidates = "candidates";
export const users = "users";

/**
 * `split`: the user's part of layer one is computed once for all candidates. `joined`: every
 * candidate carries a copy of the user's inputs, as models are usually exported.
 */
export type LayerOneForm = "split" | "joined";

/** One run of a ranker's inputs. */
interface Part {
  readonly name: string;
  readonly width: number;
  /** Places of mean and scale; null for an embedding. */
  readonly moments: { readonly mean: number; readonly scale: number } | null;
}

/** A run of rows of layer one, and the value that meets it. */
interface Side {
  readonly value: string;
  readonly first: number;
  readonly rows: number;
}

/**
 * The graph of a mixture of experts (native/reference/mmoe.ts), raw inputs to answered heads:
 * normaliser, layer one, experts, gates, towers, then sigmoid or expm1. Experts and towers run as
 * batched products, [experts, rows, width] and [heads, rows, width]: few nodes, few copies.
 * One output a head, named by it, of one value a candidate.
 */
export class RankerGraph {
  readonly graph: OnnxGraph;
  readonly #layout: RankerLayout;
  readonly #weights: GraphWeights;

  constructor(layout: RankerLayout, graph: OnnxGraph, weights: GraphWeights) {
    this.graph = graph;
    this.#layout = layout;
    this.#weights = weights;
  }

  /** Adds all nodes; every head becomes an output of `graph`. */
  build(form: LayerOneForm): void {
    const { hidden, heads, experts, headNames } = this.#layout;
    const first = this.#layerOne(this.#sides(form));
    const gates = hidden + heads * experts;
    const values = this.#experts(this.#columns(first, 0, hidden));
    const mixed = this.#mix(this.#columns(first, hidden, gates), values);
    const skips = this.#columns(first, gates, gates + heads);
    const logits = this.#towers(mixed, skips);
    for (const [h, name] of headNames.entries()) {
      this.graph.output(this.#answer(logits, h), name, [candidates]);
    }
  }

  #columns(value: string, from: number, to: number): string {
    return this.graph.slice(value, { from, to, axis: 1 });
  }

  #sides(form: LayerOneForm): Side[] {
    const { userInputs, itemInputs } = this.#layout;
    const { user, item } = partsOf(this.#layout);
    if (form === "joined") {
      const value = this.#join([...user, ...item], candidates);
      return [{ value, first: 0, rows: userInputs + itemInputs }];
    }
    const sides = [];
    if (userInputs > 0) {
      sides.push({ value: this.#join(user, users), first: 0, rows: userInputs });
    }
    if (itemInputs > 0) {
      sides.push({ value: this.#join(item, candidates), first: userInputs, rows: itemInputs });
    }
    return sides;
  }

  #join(parts: readonly Part[], rows: string): string {
    const values = parts.map((part) => this.#input(part, rows));
    const [only = "", ...others] = values;
    return others.length === 0 ? only : this.graph.node("Concat", values, { axis: 1 });
  }

  #input({ name, width, moments }: Part, rows: string): string {
    const { graph } = this;
    const value = graph.input(name, [rows, width]);
    if (moments === null) return value;
    const mean = this.#weights.block(`${name}.mean`, moments.mean, [width]);
    const scale = this.#weights.block(`${name}.scale`, moments.scale, [width]);
    const scaled = graph.node("Mul", [graph.node("Sub", [value, mean]), scale]);
    return graph.node("Clip", [scaled, graph.scalar(-inputClip), graph.scalar(inputClip)]);
  }

  /** rows x columns: what the user's side gives starts the items'. */
  #layerOne(sides: readonly Side[]): string {
    const { layerOne, layerOneBias, columns } = this.#layout;
    let start = this.#weights.block("layer_one.bias", layerOneBias, [columns]);
    for (const { value, first, rows } of sides) {
      const at = layerOne + first * columns;
      const matrix = this.#weights.block(`layer_one.rows_${first}`, at, [rows, columns]);
      start = this.graph.node("Gemm", [value, matrix, start]);
    }
    return start;
  }

  /** rows x hidden -> experts x rows x last width. */
  #experts(hidden: string): string {
    const { graph } = this;
    const { experts, expertWidths, expertOffsets } = this.#layout;
    const [first = 0] = expertWidths;
    const blocks = graph.reshape(graph.node("Relu", [hidden]), [0, experts, padded(first)]);
    const value = this.#unpadded(graph.node("Transpose", [blocks], { perm: [1, 0, 2] }), first);
    return this.#stack(value, {
      name: "experts",
      blocks: experts,
      widths: expertWidths,
      offsets: expertOffsets,
      from: 1,
    });
  }

  /** Gate shares of each head times the experts: heads x rows x width. */
  #mix(gates: string, experts: string): string {
    const { graph } = this;
    const { heads, experts: count } = this.#layout;
    const shares = graph.node("Softmax", [graph.reshape(gates, [0, heads, count])], { axis: 2 });
    const byRow = graph.node("Transpose", [experts], { perm: [1, 0, 2] });
    const mixed = graph.node("MatMul", [shares, byRow]);
    return graph.node("Transpose", [mixed], { perm: [1, 0, 2] });
  }

  /** heads x rows: the towers' outputs and the linear skips. */
  #towers(mixed: string, skips: string): string {
    const { graph } = this;
    const { heads, towerWidths, towerOffsets, expertWidths, outputOffset } = this.#layout;
    const widths = [expertWidths.at(-1) ?? 0, ...towerWidths];
    const value = this.#stack(mixed, {
      name: "towers",
      blocks: heads,
      widths,
      offsets: [0, ...towerOffsets],
      from: 1,
    });
    const width = widths.at(-1) ?? 0;
    const bias = padded(width);
    const block = this.#weights.block("outputs", outputOffset, [heads, bias + 16, 1]);
    const weights = graph.slice(block, { from: 0, to: width, axis: 1 });
    const biases = graph.slice(block, { from: bias, to: bias + 1, axis: 1 });
    const sums = graph.node("Add", [graph.node("MatMul", [value, weights]), biases]);
    const skip = graph.node("Transpose", [skips], { perm: [1, 0] });
    return graph.node("Add", [graph.reshape(sums, [heads, -1]), skip]);
  }

  /** Dense layers with ReLU, `blocks` of them side by side: blocks x rows x width. */
  #stack(value: string, stack: Stack): string {
    const { graph } = this;
    let x = value;
    for (let l = stack.from; l < stack.widths.length; l++) {
      const [inputs = 0, outputs = 0] = [stack.widths[l - 1], stack.widths[l]];
      const dimensions = [stack.blocks, inputs + 1, padded(outputs)];
      const block = this.#weights.block(`${stack.name}.${l}`, stack.offsets[l] ?? 0, dimensions);
      const matrix = graph.slice(block, { from: 0, to: inputs, axis: 1 });
      const bias = graph.slice(block, { from: inputs, to: inputs + 1, axis: 1 });
      const sum = graph.node("Add", [graph.node("MatMul", [x, matrix]), bias]);
      x = this.#unpadded(graph.node("Relu", [sum]), outputs);
    }
    return x;
  }

  #unpadded(value: string, width: number): string {
    if (padded(width) === width) return value;
    return this.graph.slice(value, { from: 0, to: width, axis: 2 });
  }

  /** Head h of heads x rows: a probability, or seconds. */
  #answer(logits: string, h: number): string {
    const { graph } = this;
    const row = graph.slice(logits, { from: h, to: h + 1, axis: 0 });
    const logit = graph.reshape(row, [-1]);
    if (!this.#layout.seconds[h]) return graph.node("Sigmoid", [logit]);
    const bounds = [0, logSecondsMax].map((bound) => graph.scalar(bound));
    const seconds = graph.node("Exp", [graph.node("Clip", [logit, ...bounds])]);
    return graph.node("Sub", [seconds, graph.scalar(1)]);
  }
}

interface Stack {
  readonly name: string;
  readonly blocks: number;
  /** Entry l is what layer l gives; those before `from` are there already. */
  readonly widths: readonly number[];
  readonly offsets: readonly number[];
  readonly from: number;
}

function partsOf(l: RankerLayout): { user: Part[]; item: Part[] } {
  const { userDense, userVector, itemDense, itemVector } = blockNames;
  const user = [
    { name: userDense, width: l.userDense, moments: { mean: l.userMean, scale: l.userScale } },
    { name: userVector, width: l.userVector, moments: null },
  ];
  const item = [
    { name: itemDense, width: l.itemDense, moments: { mean: l.itemMean, scale: l.itemScale } },
    { name: itemVector, width: l.itemVector, moments: null },
  ];
  const there = ({ width }: Part) => width > 0;
  return { user: user.filter(there), item: item.filter(there) };
}
