import { assert } from "../core/assert.ts";
import type { RecommenderDefinition } from "../definition/define.ts";
import type { RankerLayout } from "../ranking/layout.ts";
import { OnnxGraph } from "./graph.ts";
import { GraphLayers } from "./graph-layers.ts";
import { ConstantWeights, FedWeights, type WeightInput } from "./graph-weights.ts";
import { noteOf, type OnnxNote } from "./note.ts";
import { addRanker, type LayerOneForm } from "./ranker-graph.ts";

/** The key of the note among a file's metadata. */
export const noteKey = "recmaster";

export interface OnnxExport {
  /** The bytes of the file. */
  readonly file: Uint8Array;
  readonly note: OnnxNote;
}

/** A ranker as a file that needs nothing else; the note is in its metadata as well. */
export function exportRanker(
  definition: RecommenderDefinition,
  layout: RankerLayout,
  { weights, version }: { weights: Float32Array; version: number },
): OnnxExport {
  assert(weights.length >= layout.floats, "a ranker's weights have `floats` floats");
  const note = noteOf(definition, version);
  const graph = graphOf(layout, weights, "split");
  return { file: graph.finish({ [noteKey]: JSON.stringify(note) }), note };
}

/** The graph of a ranker with its weights inside; `joined` is for peers in benchmarks. */
export function graphOf(
  layout: RankerLayout,
  weights: Float32Array,
  form: LayerOneForm,
): OnnxGraph {
  const graph = new OnnxGraph();
  addRanker(new GraphLayers(graph, new ConstantWeights(graph, weights)), layout, form);
  return graph;
}

/** A ranker whose weights are inputs: one graph for all versions of a shape. */
export function weightlessRanker(layout: RankerLayout): {
  readonly file: Uint8Array;
  readonly weights: readonly WeightInput[];
} {
  const graph = new OnnxGraph();
  const weights = new FedWeights(graph);
  addRanker(new GraphLayers(graph, weights), layout, "split");
  return { file: graph.finish(), weights: weights.inputs };
}
