import { Random } from "../../models/core/random.ts";
import defaultDefinition from "../../models/definition/default.ts";
import { ValueModel } from "../../models/ranking/value-model.ts";
import { EmbeddingTable, nativeKernels } from "../../native/index.ts";
import { alternate, type Budget, middle, type Timed } from "../kernels/measure.ts";
import type { Figure } from "../statistics.ts";
import { inputsOf, rankedModel, scorer, wideShape } from "./model.ts";

const rates = { learningRate: 0.1, epsilon: 0.1, decay: 1 };

export interface ChoiceSizes {
  readonly candidates: number;
  /** Items of the catalogue. */
  readonly items: number;
  readonly budget: Budget;
  readonly seed: number;
}

/** A table of published rows, read 500 at a time from all over. */
function gathers(name: string, dim: number, sizes: ChoiceSizes): Timed & { release(): void } {
  const { items, candidates, seed } = sizes;
  const table = EmbeddingTable.create({ path: null, rows: items, dim });
  const rows = Int32Array.from({ length: items }, (_, i) => i);
  for (let from = 0; from < items; from += 1_000) {
    const part = rows.subarray(from, from + 1_000);
    const gradients = new Float32Array(part.length * dim).fill(1);
    table.applyAdagrad(part, part.length, gradients, rates);
    table.publish(part, part.length, 1);
  }
  const random = new Random(seed);
  const asked = Array.from({ length: 64 }, () =>
    Int32Array.from({ length: candidates }, () => random.int(items)),
  );
  const out = new Float32Array(candidates * dim);
  let turn = 0;
  const run = () => table.gather(asked[turn++ % asked.length]!, candidates, 1, out);
  return { name, run, release: () => table.release() };
}

/** Layer one's item half of so many items, as all would be projected at a publish. */
function projection(rows: number, seed: number): Timed {
  const { itemEmbedding: depth } = wideShape;
  const { layout } = rankedModel(wideShape, seed);
  const { columns } = layout;
  const random = new Random(seed);
  const normals = (count: number) => Float32Array.from({ length: count }, () => random.normal());
  const step = {
    ...{ a: normals(rows * depth), aRow: depth, aColumn: 1 },
    ...{ b: normals(depth * columns), bRow: columns, bColumn: 1 },
    ...{ c: new Float32Array(rows * columns), cRow: columns, bias: null },
    ...{ rows, columns, depth, reluColumns: 0, accumulate: false },
  };
  const kernels = nativeKernels();
  return { name: "project", run: () => kernels.matrixProduct(step) };
}

/** Serving with and without layer one's item half, whose width is all that differs. */
function scorings(sizes: ChoiceSizes): Timed[] {
  return [wideShape.itemEmbedding, 2].map((itemEmbedding) => {
    const model = rankedModel({ ...wideShape, itemEmbedding }, sizes.seed);
    const inputs = inputsOf(model.ranker, sizes.candidates, sizes.seed);
    return { name: `score${itemEmbedding}`, run: scorer(model, inputs, "served").run };
  });
}

/** Heads to values, and the best 20 of them. */
function ordering({ candidates, seed }: ChoiceSizes): Timed {
  const { heads } = wideShape;
  const model = new ValueModel({ heads, valueWeights: { ctr: 1, like: 0.5, cvr: 1, share: 0.2 } });
  const weights = new Float64Array(heads.length);
  model.weights(null, weights);
  const random = new Random(seed);
  const columns = Float32Array.from({ length: heads.length * candidates }, () => random.next());
  const values = new Float32Array(candidates);
  const out = new Uint32Array(Math.min(20, candidates));
  const kernels = nativeKernels();
  const run = () => {
    model.score(columns, weights, candidates, values);
    kernels.topK(values, candidates, out.length, out);
  };
  return { name: "order", run };
}

/**
 * What the options of scoring that were not taken would cost and save: item halves projected at
 * every publish, bf16 rows of embeddings, values and top-k inside the scoring call.
 */
export function measureChoices(sizes: ChoiceSizes): Record<string, Figure> {
  const { columns } = rankedModel(wideShape, sizes.seed).layout;
  const width = wideShape.itemEmbedding;
  const narrow = defaultDefinition.ranking.itemEmbedding;
  const tables = [
    gathers("gatherFp32", width, sizes),
    // Half the floats take the space of as many bf16.
    gathers("gatherBf16", width / 2, sizes),
    gathers("gatherProjected", columns / 2, sizes),
    gathers("gatherDefaultFp32", narrow, sizes),
    gathers("gatherDefaultBf16", narrow / 2, sizes),
  ];
  try {
    const batch = Math.min(1_000, sizes.items);
    const timed = [...tables, ...scorings(sizes), ordering(sizes), projection(batch, sizes.seed)];
    const found = alternate(timed, sizes.budget);
    const us = (name: string) => middle(found.get(name) ?? [], "us");
    const project = middle(found.get("project") ?? [], "ms", sizes.items / batch / 1_000);
    const saved =
      us(`score${width}`).value -
      us("score2").value +
      us("gatherFp32").value -
      us("gatherProjected").value;
    return {
      gatherFp32Us: us("gatherFp32"),
      gatherBf16Us: us("gatherBf16"),
      gatherProjectedUs: us("gatherProjected"),
      gatherDefaultFp32Us: us("gatherDefaultFp32"),
      gatherDefaultBf16Us: us("gatherDefaultBf16"),
      projectAllMs: project,
      projectedSavesUs: { value: saved, unit: "us" },
      projectedBreakEven: { value: (project.value * 1_000) / saved, unit: "requests" },
      valueAndTopUs: us("order"),
    };
  } finally {
    for (const table of tables) table.release();
  }
}
