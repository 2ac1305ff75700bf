import { Random } from "../core/random.ts";
import type { ItemVectors } from "./generation.ts";
import { normaliseRow, RowPair } from "./vectors.ts";

/** What items say of themselves, one row an item. */
export interface ItemMetadata {
  readonly rows: number;
  /** rows x perItem category rows, -1 where there is none. */
  readonly categories: Int32Array;
  readonly perItem: number;
  /** 0 where the author is unknown. */
  readonly authors: Uint32Array;
  /** 1: hidden, deleted or expired; such an item is in no graph. */
  readonly unavailable: Uint8Array;
}

/** Interactions that weigh as much as the metadata. */
const metadataWeight = 2;
/** Length of the noise beside a vector of length 1: equal vectors would make a poor graph. */
const noiseLength = 0.1;

/**
 * Gives each item that has categories or an author a share of their mean vectors: items that
 * nobody took to yet stand where their kind stands (inductive: nothing is trained for them), and
 * those with few interactions are drawn towards it (shrinkage, n against 2). `vectors` come in
 * normalised where `counts` > 0 and leave normalised, `has` set.
 */
export function addMetadataVectors(
  vectors: ItemVectors,
  counts: Uint32Array,
  metadata: ItemMetadata,
): void {
  const { dim, data, has } = vectors;
  const groups = new Groups(metadata, dim);
  const rows = Math.min(metadata.rows, has.length);
  for (let row = 0; row < rows; row++) if (counts[row] > 0) groups.learn(row, data);
  groups.finish();
  const mean = new Float32Array(dim);
  for (let row = 0; row < rows; row++) {
    if (!groups.meanOf(row, mean)) continue;
    const own = counts[row] / (counts[row] + metadataWeight);
    if (counts[row] === 0) addNoise(mean, row);
    for (let d = 0; d < dim; d++) {
      data[row * dim + d] = own * data[row * dim + d] + (1 - own) * mean[d];
    }
    has[row] = normaliseRow(data, row, dim) > 0 ? 1 : 0;
  }
}

/** The same noise in each generation: an item does not wander while nothing happens to it. */
function addNoise(mean: Float32Array, row: number): void {
  const random = new Random(row);
  const scale = noiseLength / Math.sqrt(mean.length);
  for (let d = 0; d < mean.length; d++) mean[d] += scale * random.normal();
}

/** Mean vectors of categories and authors, over items that someone took to. */
class Groups {
  readonly #metadata: ItemMetadata;
  readonly #dim: number;
  /** Group by category row, and by author; authors come after the categories. */
  readonly #categories: number;
  readonly #authors = new Map<number, number>();
  #sums: Float32Array;

  constructor(metadata: ItemMetadata, dim: number) {
    this.#metadata = metadata;
    this.#dim = dim;
    let last = -1;
    for (const category of metadata.categories) if (category > last) last = category;
    this.#categories = last + 1;
    this.#sums = new Float32Array((this.#categories + 64) * dim);
  }

  learn(row: number, data: Float32Array): void {
    const { categories, perItem, authors } = this.#metadata;
    for (let at = row * perItem; at < (row + 1) * perItem; at++) {
      if (categories[at] >= 0) this.#add(row, categories[at], data);
    }
    if (authors[row] !== 0) this.#add(row, this.#authorGroup(authors[row]), data);
  }

  #authorGroup(author: number): number {
    let group = this.#authors.get(author);
    if (group !== undefined) return group;
    group = this.#categories + this.#authors.size;
    this.#authors.set(author, group);
    if ((group + 1) * this.#dim > this.#sums.length) {
      const longer = new Float32Array(2 * this.#sums.length);
      longer.set(this.#sums);
      this.#sums = longer;
    }
    return group;
  }

  #add(row: number, group: number, data: Float32Array): void {
    const dim = this.#dim;
    for (let d = 0; d < dim; d++) this.#sums[group * dim + d] += data[row * dim + d];
  }

  finish(): void {
    const groups = this.#categories + this.#authors.size;
    for (let group = 0; group < groups; group++) normaliseRow(this.#sums, group, this.#dim);
  }

  /** The normalised mean of an item's groups; false where none says anything. */
  meanOf(row: number, out: Float32Array): boolean {
    const { categories, perItem, authors } = this.#metadata;
    const pair = new RowPair(this.#sums, out, this.#dim);
    out.fill(0);
    for (let at = row * perItem; at < (row + 1) * perItem; at++) {
      if (categories[at] >= 0) pair.add(categories[at], 0, 1);
    }
    const author = this.#authors.get(authors[row]);
    if (author !== undefined) pair.add(author, 0, 1);
    return normaliseRow(out, 0, this.#dim) > 0;
  }
}
