import type { FactorisationTrainer } from "../../models/recall/factorisation.ts";
import type { IndexGeneration, ItemToItem, ItemVectors } from "../../models/recall/generation.ts";
import { type Histories, itemUsers } from "../../models/recall/histories.ts";
import {
  emptyItemToItem,
  ItemToItemBuilder,
  type ItemToItemOptions,
} from "../../models/recall/item-to-item.ts";
import { addMetadataVectors, type ItemMetadata } from "../../models/recall/metadata-vectors.ts";
import { popularItems } from "../../models/recall/popularity.ts";
import { normaliseRow } from "../../models/recall/vectors.ts";
import { GraphBuild, type GraphIndex } from "../../native/index.ts";

export interface RebuildInput {
  readonly generation: number;
  readonly nowMs: number;
  readonly histories: Histories;
  readonly metadata: ItemMetadata;
  /** Carries the vectors of the generations before. */
  readonly trainer: FactorisationTrainer;
  readonly trainBatches: number;
  readonly itemToItem: ItemToItemOptions;
  readonly popularMax: number;
  readonly seed: number;
}

export interface Rebuilt {
  readonly generation: IndexGeneration;
  /** With the builder's reference; null where no item has a vector. */
  readonly graph: GraphIndex | null;
  /** Mean training loss of the last tenth of the batches; NaN where nothing was trained. */
  readonly loss: number;
}

/** What is done between two looks at the outside: some tens of milliseconds each. */
const slices = { pairs: 500_000, batches: 4, graphRows: 500 } as const;
/** The learning rate falls to this share over the batches of a generation. */
const lastRate = 0.2;

/**
 * Makes a generation from histories and metadata, in slices: each `next()` does one. Stopping in
 * the middle leaves nothing behind but what the trainer has learned.
 */
export function* rebuildIndex(input: RebuildInput): Generator<void, Rebuilt | null> {
  const { histories, trainer } = input;
  const neighbours = yield* buildItemToItem(histories, input.itemToItem);
  trainer.begin(histories);
  const loss = yield* train(trainer, input.trainBatches);
  const counts = itemUsers(histories);
  const vectors = itemVectors(trainer, counts, input.metadata);
  const graph = yield* buildGraph(vectors, input);
  const generation: IndexGeneration = {
    generation: input.generation,
    builtAtMs: input.nowMs,
    itemToItem: neighbours,
    vectors,
    popular: popularItems(counts, input.popularMax),
    graph: graph?.handle ?? 0,
  };
  return { generation, graph, loss };
}

function* buildItemToItem(
  histories: Histories,
  options: ItemToItemOptions,
): Generator<void, ItemToItem> {
  const table = emptyItemToItem(histories.itemRows, options.perItem);
  const builder = new ItemToItemBuilder(histories, options, table);
  while (!builder.step(slices.pairs)) yield;
  return table;
}

function* train(trainer: FactorisationTrainer, batches: number): Generator<void, number> {
  const { learningRate } = trainer.options;
  const lastFrom = Math.floor(0.9 * batches);
  let sum = 0;
  for (let batch = 0; batch < batches; batch++) {
    const loss = trainer.step(learningRate * (1 - ((1 - lastRate) * batch) / batches));
    if (Number.isNaN(loss)) return Number.NaN;
    if (batch >= lastFrom) sum += loss;
    if (batch % slices.batches === slices.batches - 1) yield;
  }
  return sum / (batches - lastFrom);
}

/** Normalised vectors of what users took to, and by metadata of what they did not yet. */
function itemVectors(
  trainer: FactorisationTrainer,
  counts: Uint32Array,
  metadata: ItemMetadata,
): ItemVectors {
  const { dim } = trainer.options;
  const rows = counts.length;
  const data = new Float32Array(new SharedArrayBuffer(4 * rows * dim));
  const has = new Uint8Array(new SharedArrayBuffer(rows));
  const learned = trainer.state.vectors;
  for (let row = 0; row < rows; row++) {
    if (counts[row] === 0) continue;
    for (let d = row * dim; d < (row + 1) * dim; d++) data[d] = learned[d];
    has[row] = normaliseRow(data, row, dim) > 0 ? 1 : 0;
  }
  const vectors = { dim, data, has };
  addMetadataVectors(vectors, counts, metadata);
  return vectors;
}

function* buildGraph(
  { dim, data, has }: ItemVectors,
  { metadata, seed }: RebuildInput,
): Generator<void, GraphIndex | null> {
  const rows = available(has, metadata);
  if (rows.length === 0) return null;
  const vectors = new Float32Array(rows.length * dim);
  for (let i = 0; i < rows.length; i++) {
    vectors.set(data.subarray(rows[i] * dim, (rows[i] + 1) * dim), i * dim);
  }
  const build = new GraphBuild({ vectors, rows, count: rows.length, dim, seed });
  let graph: GraphIndex | null = null;
  try {
    graph = build.step(slices.graphRows);
    while (graph === null) {
      yield;
      graph = build.step(slices.graphRows);
    }
    return graph;
  } finally {
    if (graph === null) build.abandon();
  }
}

function available(has: Uint8Array, { unavailable }: ItemMetadata): Uint32Array {
  const rows = new Uint32Array(has.length);
  let count = 0;
  for (let row = 0; row < has.length; row++) {
    if (has[row] === 1 && unavailable[row] !== 1) rows[count++] = row;
  }
  return rows.slice(0, count);
}
