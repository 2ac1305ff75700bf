import { extractionSizes, padded } from "../../native/index.ts";
import type { MmoeLayout, PleLayout } from "../ranking/layout.ts";
import type { GraphLayers } from "./graph-layers.ts";

/** From layer one's experts and gate logits to what enters the towers: heads x rows x width. */

export interface FirstLayer {
  /** rows x (experts x pad(width)). */
  readonly hidden: string;
  /** rows x gate columns. */
  readonly gates: string;
}

/** The mixture of native/reference/mmoe.ts. */
export function mmoeGraph(layers: GraphLayers, l: MmoeLayout, first: FirstLayer): string {
  const { graph } = layers;
  const values = layers.firstExperts(first.hidden, {
    ...{ name: "experts", blocks: l.experts, widths: l.expertWidths },
    offsets: l.expertOffsets.slice(1),
  });
  const shares = layers.shares(graph.reshape(first.gates, [0, l.heads, l.experts]));
  return layers.swapped(graph.node("MatMul", [shares, layers.swapped(values)]));
}

/** The progressive layered extraction of native/reference/ple.ts. */
export function pleGraph(layers: GraphLayers, l: PleLayout, first: FirstLayer): string {
  let experts = layers.firstExperts(first.hidden, {
    ...{ name: "level_0.experts", blocks: extractionSizes(l, 0).experts, widths: l.expertWidths },
    offsets: (l.expertOffsets[0] ?? []).slice(1),
  });
  let logits = firstLogits(layers, l, first.gates);
  for (let level = 1; level < l.levels; level++) {
    const groups = layers.swapped(mixed(layers, l, { experts, logits }));
    experts = levelExperts(layers, l, { groups, level });
    logits = levelLogits(layers, l, { groups, level });
  }
  return layers.swapped(mixed(layers, l, { experts, logits }));
}

/** Gate logits of one level. */
interface Logits {
  /** rows x heads x seen: a head's own experts, then the shared ones. */
  readonly heads: string;
  /** rows x 1 x experts: the shared gate sees all; null on the last level. */
  readonly shared: string | null;
}

function firstLogits({ graph }: GraphLayers, l: PleLayout, gates: string): Logits {
  const { seen, experts, logits } = extractionSizes(l, 0);
  const own = l.heads * seen;
  const heads = graph.slice(gates, { from: 0, to: own, axis: 1 });
  if (l.levels === 1) return { heads: graph.reshape(heads, [0, l.heads, seen]), shared: null };
  const shared = graph.slice(gates, { from: own, to: logits, axis: 1 });
  return {
    heads: graph.reshape(heads, [0, l.heads, seen]),
    shared: graph.reshape(shared, [0, 1, experts]),
  };
}

/** What the level before gave, groups x rows x width: one group a head, then the shared one. */
interface Level {
  readonly groups: string;
  readonly level: number;
}

/** Each expert of a level starts from its own group. */
function levelExperts(layers: GraphLayers, l: PleLayout, { groups, level }: Level): string {
  const { experts } = extractionSizes(l, level);
  const groupOf = (e: number) => Math.min(l.heads, Math.floor(e / l.headExperts));
  const own = layers.graph.integers(Array.from({ length: experts }, (_, e) => groupOf(e)));
  return layers.stack(layers.graph.node("Gather", [groups, own], { axis: 0 }), {
    ...{ name: `level_${level}.experts`, blocks: experts },
    widths: [l.expertWidths.at(-1) ?? 0, ...l.expertWidths],
    offsets: l.expertOffsets[level] ?? [],
  });
}

function levelLogits(layers: GraphLayers, l: PleLayout, { groups, level }: Level): Logits {
  const { graph } = layers;
  const { seen, experts, gates } = extractionSizes(l, level);
  const inputs = l.expertWidths.at(-1) ?? 0;
  const at = l.gateOffsets[level] ?? 0;
  const own = { name: `level_${level}.gates`, at, blocks: l.heads, inputs, outputs: seen };
  const ofHeads = graph.slice(groups, { from: 0, to: l.heads, axis: 0 });
  const heads = layers.swapped(layers.linear(ofHeads, own));
  if (gates === l.heads) return { heads, shared: null };
  const all = {
    ...{ name: `level_${level}.shared_gate`, blocks: 1, inputs, outputs: experts },
    at: at + l.heads * (inputs + 1) * padded(seen),
  };
  const ofShared = graph.slice(groups, { from: l.heads, to: l.heads + 1, axis: 0 });
  return { heads, shared: layers.swapped(layers.linear(ofShared, all)) };
}

/** rows x gates x width: each head's own experts and the shared ones, then what all give. */
function mixed(
  layers: GraphLayers,
  l: PleLayout,
  { experts, logits }: { experts: string; logits: Logits },
): string {
  const { graph } = layers;
  const { heads, headExperts } = l;
  const { seen, experts: count } = extractionSizes(l, 0);
  const width = l.expertWidths.at(-1) ?? 0;
  const all = layers.swapped(experts);
  const [own, shared] = [
    graph.slice(all, { from: 0, to: heads * headExperts, axis: 1 }),
    graph.slice(all, { from: heads * headExperts, to: count, axis: 1 }),
  ];
  const shares = layers.shares(logits.heads);
  const ofOwn = graph.slice(shares, { from: 0, to: headExperts, axis: 2 });
  const ofShared = graph.slice(shares, { from: headExperts, to: seen, axis: 2 });
  const terms = graph.node("Mul", [
    graph.reshape(own, [0, heads, headExperts, width]),
    graph.reshape(ofOwn, [0, heads, headExperts, 1]),
  ]);
  const ownSum = graph.node("ReduceSum", [terms, graph.integers([2])], { keepdims: 0 });
  const sum = graph.node("Add", [ownSum, graph.node("MatMul", [ofShared, shared])]);
  if (logits.shared === null) return sum;
  const common = graph.node("MatMul", [layers.shares(logits.shared), all]);
  return graph.node("Concat", [sum, common], { axis: 1 });
}
