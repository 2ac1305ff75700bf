/** Which rows of a table of vectors make up the vector of an id: their mean. */
export interface IdRows {
  /** Rows of an id. */
  readonly perId: number;
  /**
   * Into `out` (count x perId) the rows of each id, as of a published version, or else as the
   * trainer has them; an id of `noRow` has rows of `noRow`. `out` may be `ids`.
   */
  rowsOf(ids: Uint32Array | Int32Array, count: number, out: Uint32Array, pinVersion?: number): void;
}

/** Exact: an id's number is its row. */
export const ownRows: IdRows = {
  perId: 1,
  rowsOf(ids, count, out) {
    for (let i = 0; i < count; i++) out[i] = ids[i]!;
  },
};

/** Of two rows, few ids share both: what another id taught one of them is half of a vector. */
const hashes = 2;
/** Steps of the golden ratio, as in splitmix: the functions see numbers that are far apart. */
const seedStep = 0x9e3779b9;

/**
 * Hashed: each of any number of ids has two of `rows` rows, 2 or more, that it shares with others
 * (hash embeddings, Svenstrup et al. 2017, with equal weights, as in Bloom embeddings, Serra and
 * Karatzoglou 2017).
 */
export function hashedRows(rows: number): IdRows {
  return {
    perId: hashes,
    rowsOf(ids, count, out) {
      for (let i = 0; i < count; i++) {
        const id = ids[i]! >>> 0;
        const first = place(mixed(id), rows);
        // Another one than the first: a step of 1 to rows - 1 around the table.
        const second = first + 1 + place(mixed(id + seedStep), rows - 1);
        const known = id !== 0xffffffff;
        out[2 * i] = known ? first : id;
        out[2 * i + 1] = known ? second % rows : id;
      }
    },
  };
}

/** A number below `rows` from a hash of 32 bits, without the bias of a remainder. */
function place(hash: number, rows: number): number {
  return Math.floor((hash / 2 ** 32) * rows);
}

/** 32 bits of which each depends on all of the key's (the last steps of MurmurHash3, Appleby). */
function mixed(key: number): number {
  let hash = key | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Means of `perId` vectors each: count x perId x width values to count x width in `out`. */
export function meanVectors(
  vectors: Float32Array,
  { count, perId, width }: { count: number; perId: number; width: number },
  out: Float32Array,
): void {
  const row = perId * width;
  const share = 1 / perId;
  for (let i = 0; i < count; i++) {
    const from = i * row;
    for (let j = 0; j < width; j++) {
      let sum = vectors[from + j]!;
      for (let at = from + width + j; at < from + row; at += width) sum += vectors[at]!;
      out[i * width + j] = sum * share;
    }
  }
}
