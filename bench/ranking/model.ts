import { assert } from "../../models/core/assert.ts";
import { Random } from "../../models/core/random.ts";
import type { MmoeLayout } from "../../models/ranking/layout.ts";
import { createRanker, type Ranker, type RankerShape } from "../../models/ranking/ranker.ts";
import type { KernelSet } from "../../native/index.ts";
import type { MmoeInputs } from "../peers/onnx-mmoe.ts";

/** 256 inputs, half of them the user's, all of them as they are: no normaliser on any side. */
export const wideShape: RankerShape = {
  userWidth: 0,
  userEmbedding: 128,
  itemWidth: 0,
  itemEmbedding: 128,
  heads: [
    { name: "ctr", interaction: "click", kind: "binary" },
    { name: "like", interaction: "like", kind: "binary" },
    { name: "finish", interaction: "finish", kind: "binary" },
    { name: "cvr", interaction: "convert", kind: "binary", given: "ctr" },
    { name: "share", interaction: "share", kind: "binary" },
  ],
  experts: 4,
  expertLayers: [128, 64],
  towerLayers: [32],
  positions: 20,
};

/** A ranker with weights and a filled slot. */
export interface RankedModel {
  readonly ranker: Ranker;
  readonly layout: MmoeLayout;
  readonly weights: Float32Array;
  readonly slot: Float32Array;
}

/** Weights of a fresh ranker, moved so that no bias is zero and no scale is one. */
export function rankedModel(shape: RankerShape, seed: number, kernels?: KernelSet): RankedModel {
  const ranker = createRanker(shape, kernels);
  const { layout } = ranker;
  assert(layout.model === "mmoe", "the peers are mixtures");
  const random = new Random(seed);
  const weights = new Float32Array(ranker.floats);
  ranker.initialise(random, weights);
  for (let i = 0; i < weights.length; i++) weights[i] = (weights[i] ?? 0) + 0.02 * random.normal();
  const slot = new Float32Array(ranker.slotFloats);
  ranker.fillSlot(weights, slot);
  return { ranker, layout, weights, slot };
}

/** One user and so many items. */
export function inputsOf({ shape }: Ranker, rows: number, seed: number): MmoeInputs {
  const random = new Random(seed);
  const normals = (count: number, scale = 1) =>
    Float32Array.from({ length: count }, () => random.normal() * scale);
  return {
    userDense: normals(shape.userWidth, 2),
    userVector: normals(shape.userEmbedding),
    itemDense: normals(rows * shape.itemWidth, 2),
    itemVector: normals(rows * shape.itemEmbedding),
    rows,
  };
}

/** A call that scores the inputs into `out`: as served, or by the fp32 parameters. */
export function scorer(model: RankedModel, inputs: MmoeInputs, form: "served" | "fp32") {
  const { ranker, slot } = model;
  const { rows, itemVector, ...rest } = inputs;
  const input = { ...rest, itemVectors: itemVector, weights: slot, count: rows };
  const out = new Float32Array(rows * ranker.shape.heads.length);
  const served = () => ranker.scoreSlot(input, out);
  return { out, run: form === "served" ? served : () => ranker.score(input, out) };
}

/** Multiplications and additions that one call cannot do without. */
export function operationsOf(layout: MmoeLayout, rows: number): number {
  const { heads, experts, expertWidths, towerWidths, userInputs, itemInputs } = layout;
  const stack = (from: number, widths: readonly number[]) =>
    widths.reduce((sum, width, l) => sum + (widths[l - 1] ?? from) * width, 0);
  const first = expertWidths[0] ?? 0;
  const last = expertWidths.at(-1) ?? 0;
  const columns = experts * first + heads * experts + heads;
  const row =
    itemInputs * columns +
    experts * stack(first, expertWidths.slice(1)) +
    heads * (experts * last + stack(last, towerWidths) + (towerWidths.at(-1) ?? last));
  return 2 * (userInputs * columns + rows * row);
}
