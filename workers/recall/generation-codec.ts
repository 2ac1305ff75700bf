import { bytesOf, text, utf8 } from "../../models/core/bytes.ts";
import { RecError } from "../../models/core/errors.ts";
import type { IndexGeneration } from "../../models/recall/generation.ts";
import { GraphIndex } from "../../native/index.ts";
import {
  type CheckpointSection,
  type SlicedSection,
  sectionOf,
} from "../stores/checkpoint-store.ts";

interface Meta {
  readonly version: number;
  readonly generation: number;
  readonly builtAtMs: number;
  readonly perItem: number;
  readonly rows: number;
  readonly dim: number;
}

const version = 1;

/** A generation as sections of a checkpoint, with its graph: in place, as it never changes. */
export function encodeGeneration(
  generation: IndexGeneration,
  graph: GraphIndex | null,
): (CheckpointSection | SlicedSection)[] {
  const { itemToItem, vectors, popular } = generation;
  const meta: Meta = {
    version,
    generation: generation.generation,
    builtAtMs: generation.builtAtMs,
    perItem: itemToItem.perItem,
    rows: itemToItem.rows,
    dim: vectors.dim,
  };
  return [
    { name: "generation.meta", bytes: utf8(JSON.stringify(meta)) },
    { name: "generation.neighbours", bytes: bytesOf(itemToItem.neighbours) },
    { name: "generation.weights", bytes: bytesOf(itemToItem.weights) },
    { name: "generation.vectors", bytes: bytesOf(vectors.data) },
    { name: "generation.has", bytes: bytesOf(vectors.has) },
    { name: "generation.popular.rows", bytes: bytesOf(popular.rows) },
    { name: "generation.popular.scores", bytes: bytesOf(popular.scores) },
    graphSection(graph),
  ];
}

const graphSliceBytes = 1 << 20;

function graphSection(graph: GraphIndex | null): CheckpointSection | SlicedSection {
  const name = "generation.graph";
  if (graph === null) return { name, bytes: new Uint8Array(0) };
  const slices = function* () {
    const room = new Uint8Array(graphSliceBytes);
    for (let from = 0; from < graph.sizeBytes; from += room.length) {
      const slice = room.subarray(0, graph.sizeBytes - from);
      graph.save(from, slice);
      yield slice;
    }
  };
  return { name, bytes: { byteLength: graph.sizeBytes, slices } };
}

/** The generation, in shared memory again, and its graph; null where the checkpoint has none. */
export function decodeGeneration(
  sections: ReadonlyMap<string, Uint8Array>,
): { generation: IndexGeneration; graph: GraphIndex | null } | null {
  const metaBytes = sections.get("generation.meta");
  if (metaBytes === undefined) return null;
  const meta = JSON.parse(text(metaBytes)) as Meta;
  if (meta.version !== version) return null;
  const { rows, perItem, dim } = meta;
  const words = (name: string, count: number) => shared(sections, `generation.${name}`, 4 * count);
  const popularCount = sectionOf(sections, "generation.popular.rows").length / 4;
  const itemToItem = {
    neighbours: new Int32Array(words("neighbours", rows * perItem)),
    weights: new Float32Array(words("weights", rows * perItem)),
    perItem,
    rows,
  };
  checkNeighbours(itemToItem.neighbours, rows);
  const vectors = {
    dim,
    data: new Float32Array(words("vectors", rows * dim)),
    has: new Uint8Array(shared(sections, "generation.has", rows)),
  };
  const popular = {
    rows: new Int32Array(words("popular.rows", popularCount)),
    scores: new Float32Array(words("popular.scores", popularCount)),
  };
  const graphBytes = sectionOf(sections, "generation.graph");
  const graph = graphBytes.length === 0 ? null : GraphIndex.load(graphBytes);
  const { generation, builtAtMs } = meta;
  const handle = graph?.handle ?? 0;
  return {
    generation: { generation, builtAtMs, itemToItem, vectors, popular, graph: handle },
    graph,
  };
}

/** Rows that lead beyond the tables would be read by every request: refused here, once. */
function checkNeighbours(neighbours: Int32Array, rows: number): void {
  for (const row of neighbours) if (row < -1 || row >= rows) throw damaged("neighbours");
}

function shared(
  sections: ReadonlyMap<string, Uint8Array>,
  name: string,
  byteLength: number,
): SharedArrayBuffer {
  const bytes = sectionOf(sections, name);
  if (bytes.length !== byteLength) throw damaged(name);
  const buffer = new SharedArrayBuffer(byteLength);
  new Uint8Array(buffer).set(bytes);
  return buffer;
}

function damaged(section: string): RecError {
  return new RecError(
    "REC_RECALL_CHECKPOINT",
    `the checkpoint's ${section} is not as it should be`,
    {
      fix: "remove the recall checkpoint; the role then reads the log again",
    },
  );
}
