import { GraphIndex } from "../../native/index.ts";
import type { IndexGeneration } from "./generation.ts";

/**
 * Items like `item`: its neighbours by what users took to together, then those nearest by vector,
 * none twice. Writes at most `rows.length`; gives how many. Scores fall within each part: the
 * neighbours' are 1 + weight / largest weight, the vectors' are cosines.
 */
export function similarItems(
  generation: IndexGeneration,
  item: number,
  out: { rows: Int32Array; scores: Float32Array },
): number {
  const taken = new Set([item]);
  const count = addNeighbours(generation, taken, out);
  if (count === out.rows.length) return count;
  return addNearest(generation, { item, taken, count }, out);
}

function addNeighbours(
  { itemToItem }: IndexGeneration,
  taken: Set<number>,
  out: { rows: Int32Array; scores: Float32Array },
): number {
  const { neighbours, weights, perItem, rows } = itemToItem;
  const [item = -1] = taken;
  if (item < 0 || item >= rows) return 0;
  let count = 0;
  const from = item * perItem;
  for (let at = from; at < from + perItem && neighbours[at] >= 0; at++) {
    if (count === out.rows.length) break;
    out.rows[count] = neighbours[at];
    out.scores[count++] = 1 + weights[at] / Math.max(weights[from], 1e-9);
    taken.add(neighbours[at]);
  }
  return count;
}

function addNearest(
  { vectors, graph }: IndexGeneration,
  from: { item: number; taken: Set<number>; count: number },
  out: { rows: Int32Array; scores: Float32Array },
): number {
  const { item, taken } = from;
  let { count } = from;
  if (graph === 0 || item < 0 || item >= vectors.has.length || vectors.has[item] === 0) {
    return count;
  }
  const k = out.rows.length + 1 + count;
  const rows = new Int32Array(k);
  const scores = new Float32Array(k);
  const query = vectors.data.slice(item * vectors.dim, (item + 1) * vectors.dim);
  const found = GraphIndex.attach(graph).search(query, { k, ef: k + 100, rows, scores });
  for (let i = 0; i < found && count < out.rows.length; i++) {
    if (taken.has(rows[i])) continue;
    out.rows[count] = rows[i];
    out.scores[count++] = scores[i];
  }
  return count;
}
