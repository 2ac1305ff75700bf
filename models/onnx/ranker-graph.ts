import { inputClip, logSecondsMax, padded } from "../../native/index.ts";
import type { RankerLayout } from "../ranking/layout.ts";
import { scalePlace } from "../ranking/seconds-scale.ts";
import { mmoeGraph, pleGraph } from "./extraction-graph.ts";
import type { GraphLayers } from "./graph-layers.ts";

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

/**
 * Adds a ranker to a graph, raw inputs to answered heads: normaliser, layer one, experts, gates,
 * towers, then sigmoid or expm1, as native/reference has them. One output a head, named by it, of
 * one value a candidate.
 */
export function addRanker(layers: GraphLayers, layout: RankerLayout, form: LayerOneForm): void {
  const { hidden, firstSkip, heads, headNames } = layout;
  const first = layerOne(layers, layout, sidesOf(layers, layout, form));
  const parts = {
    hidden: layers.columns(first, 0, hidden),
    gates: layers.columns(first, hidden, firstSkip),
  };
  const mixed =
    layout.model === "ple" ? pleGraph(layers, layout, parts) : mmoeGraph(layers, layout, parts);
  const skips = layers.columns(first, firstSkip, firstSkip + heads);
  const logits = towers(layers, layout, { mixed, skips });
  for (const [h, name] of headNames.entries()) {
    layers.graph.output(answer(layers, layout, { logits, h }), name, [candidates]);
  }
}

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

function sidesOf(layers: GraphLayers, layout: RankerLayout, form: LayerOneForm): Side[] {
  const { userInputs, itemInputs } = layout;
  const { user, item } = partsOf(layout);
  if (form === "joined") {
    const value = join(layers, [...user, ...item], candidates);
    return [{ value, first: 0, rows: userInputs + itemInputs }];
  }
  const sides = [];
  if (userInputs > 0) {
    sides.push({ value: join(layers, user, users), first: 0, rows: userInputs });
  }
  if (itemInputs > 0) {
    sides.push({ value: join(layers, item, candidates), first: userInputs, rows: itemInputs });
  }
  return sides;
}

function join(layers: GraphLayers, parts: readonly Part[], rows: string): string {
  const values = parts.map((part) => input(layers, part, rows));
  const [only = "", ...others] = values;
  return others.length === 0 ? only : layers.graph.node("Concat", values, { axis: 1 });
}

function input({ graph, weights }: GraphLayers, part: Part, rows: string): string {
  const { name, width, moments } = part;
  const value = graph.input(name, [rows, width]);
  if (moments === null) return value;
  const mean = weights.block(`${name}.mean`, moments.mean, [width]);
  const scale = weights.block(`${name}.scale`, moments.scale, [width]);
  const scaled = graph.node("Mul", [graph.node("Sub", [value, mean]), scale]);
  return graph.node("Clip", [scaled, graph.scalar(-inputClip), graph.scalar(inputClip)]);
}

/** rows x columns: what the user's side gives starts the items'. */
function layerOne(
  { graph, weights }: GraphLayers,
  { layerOne, layerOneBias, columns }: RankerLayout,
  sides: readonly Side[],
): string {
  let start = weights.block("layer_one.bias", layerOneBias, [columns]);
  for (const { value, first, rows } of sides) {
    const at = layerOne + first * columns;
    const matrix = weights.block(`layer_one.rows_${first}`, at, [rows, columns]);
    start = graph.node("Gemm", [value, matrix, start]);
  }
  return start;
}

/** heads x rows: the towers' outputs and the linear skips. */
function towers(
  layers: GraphLayers,
  layout: RankerLayout,
  { mixed, skips }: { mixed: string; skips: string },
): string {
  const { graph, weights } = layers;
  const { heads, towerWidths, towerOffsets, expertWidths, outputOffset } = layout;
  const widths = [expertWidths.at(-1) ?? 0, ...towerWidths];
  const stack = { name: "towers", blocks: heads, widths, offsets: towerOffsets };
  const value = layers.stack(mixed, stack);
  const width = widths.at(-1) ?? 0;
  const bias = padded(width);
  const block = weights.block("outputs", outputOffset, [heads, bias + 16, 1]);
  const matrix = graph.slice(block, { from: 0, to: width, axis: 1 });
  const biases = graph.slice(block, { from: bias, to: bias + 1, axis: 1 });
  const sums = graph.node("Add", [graph.node("MatMul", [value, matrix]), biases]);
  const skip = graph.node("Transpose", [skips], { perm: [1, 0] });
  return graph.node("Add", [graph.reshape(sums, [heads, -1]), skip]);
}

/** Head h of heads x rows: a probability, or seconds. */
function answer(
  { graph, weights }: GraphLayers,
  layout: RankerLayout,
  { logits, h }: { logits: string; h: number },
): string {
  const row = graph.slice(logits, { from: h, to: h + 1, axis: 0 });
  const logit = graph.reshape(row, [-1]);
  if (!layout.seconds[h]) return graph.node("Sigmoid", [logit]);
  const bounds = [0, logSecondsMax].map((bound) => graph.scalar(bound));
  const exponential = graph.node("Exp", [graph.node("Clip", [logit, ...bounds])]);
  const middle = graph.node("Sub", [exponential, graph.scalar(1)]);
  if (!layout.scaled[h]) return middle;
  const scale = weights.block(`outputs.${h}.scale`, scalePlace(layout, h), [1]);
  return graph.node("Mul", [middle, graph.node("Exp", [scale])]);
}
