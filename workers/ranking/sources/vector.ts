import { limits } from "../../../models/limits.ts";
import type { IndexGeneration } from "../../../models/recall/generation.ts";
import type { InteractionWeights } from "../../../models/recall/interaction-weights.ts";
import { normaliseRow } from "../../../models/recall/vectors.ts";
import { GraphIndex } from "../../../native/index.ts";
import type { RecallColumns, RecallQuery, RecallSource } from "./query.ts";
import { writeRecentWeights } from "./recent-weights.ts";

/** Nothing is found below this many candidates on the way, however small the quota. */
const efLeast = 100;

/**
 * Items nearest to the user's vector: the normalised sum of the vectors of what he took to of
 * late, as in training. Scores are cosines moved to 0 .. 2, so that they are never negative.
 */
export class VectorSource implements RecallSource {
  readonly name = "vector";
  readonly #weights: InteractionWeights;
  readonly #recent = new Float32Array(limits.recentItemsMax);
  readonly #rows = new Int32Array(limits.candidatesMax + limits.recentItemsMax);
  readonly #scores = new Float32Array(limits.candidatesMax + limits.recentItemsMax);
  readonly #search = { k: 0, ef: 0, rows: this.#rows, scores: this.#scores };
  #user = new Float32Array(0);
  #graph: GraphIndex | null = null;

  constructor(weights: InteractionWeights) {
    this.#weights = weights;
  }

  recall(query: RecallQuery, quota: number, out: RecallColumns): number {
    const { generation } = query;
    if (generation === null || generation.graph === 0) return 0;
    if (!this.#encode(query, generation)) return 0;
    const wanted = Math.min(quota, limits.candidatesMax);
    this.#search.k = wanted + query.recentCount;
    this.#search.ef = Math.max(efLeast, Math.ceil(1.25 * this.#search.k));
    const found = this.#graphOf(generation.graph).search(this.#user, this.#search);
    let count = 0;
    for (let i = 0; i < found && count < wanted; i++) {
      if (this.#isRecent(query, this.#rows[i])) continue;
      out.rows[count] = this.#rows[i];
      out.scores[count++] = Math.max(0, 1 + this.#scores[i]);
    }
    return count;
  }

  /** False where nothing recent has a vector. */
  #encode(query: RecallQuery, { vectors }: IndexGeneration): boolean {
    const { dim, data, has } = vectors;
    if (this.#user.length !== dim) this.#user = new Float32Array(dim);
    const user = this.#user.fill(0);
    writeRecentWeights(query, this.#weights, this.#recent);
    for (let i = 0; i < query.recentCount; i++) {
      const item = query.recentItems[i];
      if (item < 0 || item >= has.length || has[item] === 0) continue;
      const weight = this.#recent[i];
      for (let d = 0; d < dim; d++) user[d] += weight * data[item * dim + d];
    }
    return normaliseRow(user, 0, dim) > 0;
  }

  #isRecent(query: RecallQuery, row: number): boolean {
    for (let i = 0; i < query.recentCount; i++) {
      if (query.recentItems[i] === row && this.#recent[i] > 0) return true;
    }
    return false;
  }

  #graphOf(handle: number): GraphIndex {
    if (this.#graph?.handle !== handle) this.#graph = GraphIndex.attach(handle);
    return this.#graph;
  }
}
