import { assert } from "../../models/core/assert.ts";
import { viewOf } from "../../models/core/bytes.ts";
import { limits } from "../../models/limits.ts";
import type { RowTable } from "../../native/index.ts";

/** What filters and features need of an item's document, in one fixed row. */
export interface ItemAttributes {
  /** Category rows, -1 where there is none; `limits.itemCategoriesMax` at most. */
  readonly categories: Int32Array;
  /** Epoch ms; 0 where unknown. */
  readonly publishedAtMs: number;
  /** Epoch ms; 0 where the item never expires. */
  readonly expiresAtMs: number;
  /** 0 where unknown. */
  readonly durationSeconds: number;
  readonly hidden: boolean;
  readonly deleted: boolean;
  /** Has a document. */
  readonly known: boolean;
  /** 0 where there is no author. */
  readonly authorHash: number;
}

/** Attributes as columns, entry i for the i-th row asked. */
export interface ItemColumns {
  /** itemCategoriesMax rows of the category table an item, -1 where there is none. */
  readonly categories: Int32Array;
  readonly publishedAtMs: Float64Array;
  readonly expiresAtMs: Float64Array;
  readonly durationSeconds: Float32Array;
  readonly hidden: Uint8Array;
  readonly deleted: Uint8Array;
  readonly known: Uint8Array;
  readonly authorHash: Uint32Array;
}

/**
 * Little endian: 4 x u32 category row + 1, f64 published, f64 expires, f32 duration, u32 author
 * hash, u8 flags, 15 B zero. A row of zeros is an unknown item without categories. With the
 * table's own 8 bytes a row is one cache line.
 */
export const itemAttributeBytes = 56;

const at = { published: 16, expires: 24, duration: 32, author: 36, flags: 40 } as const;
const flag = { hidden: 1, deleted: 2, known: 4 } as const;
const categoriesMax = limits.itemCategoriesMax;
const wordsPerRow = itemAttributeBytes / 4;

export function itemColumns(items: number): ItemColumns {
  return {
    categories: new Int32Array(items * categoriesMax),
    publishedAtMs: new Float64Array(items),
    expiresAtMs: new Float64Array(items),
    durationSeconds: new Float32Array(items),
    hidden: new Uint8Array(items),
    deleted: new Uint8Array(items),
    known: new Uint8Array(items),
    authorHash: new Uint32Array(items),
  };
}

export function encodeItemAttributes(values: ItemAttributes): Uint8Array {
  const { categories, hidden, deleted, known } = values;
  assert(categories.length <= categoriesMax, "an item has at most itemCategoriesMax categories");
  const bytes = new Uint8Array(itemAttributeBytes);
  const view = viewOf(bytes);
  for (const [i, row] of categories.entries()) view.setUint32(4 * i, row + 1, true);
  view.setFloat64(at.published, values.publishedAtMs, true);
  view.setFloat64(at.expires, values.expiresAtMs, true);
  view.setFloat32(at.duration, values.durationSeconds, true);
  view.setUint32(at.author, values.authorHash, true);
  const flags = (hidden ? flag.hidden : 0) | (deleted ? flag.deleted : 0);
  view.setUint8(at.flags, flags | (known ? flag.known : 0));
  return bytes;
}

/** The attribute rows of all items, shared by all threads; a thread holds one of its own. */
export class ItemAttributeTable {
  readonly table: RowTable;
  #rows = viewsOf(64);
  readonly #row = new Int32Array(1);

  /** `table` has rows of `itemAttributeBytes`. */
  constructor(table: RowTable) {
    assert(table.rowBytes === itemAttributeBytes, "the table holds item attributes");
    this.table = table;
  }

  /** Main thread only. */
  write(row: number, values: ItemAttributes): void {
    this.table.write(row, encodeItemAttributes(values));
  }

  /** Attributes of `count` rows; of an item that was never written (or row -1): zeros, none. */
  read(rows: Int32Array | Uint32Array, count: number, out: ItemColumns): void {
    const fetched = this.#fetch(rows, count);
    for (let i = 0; i < count; i++) decodeInto(fetched, i, out);
  }

  /** Category rows of an item into `out`; returns how many it has. */
  categoriesOf(row: number, out: Int32Array): number {
    this.#row[0] = row;
    const { words } = this.#fetch(this.#row, 1);
    let count = 0;
    for (let c = 0; c < categoriesMax; c++) {
      if (words[c] !== 0) out[count++] = words[c] - 1;
    }
    return count;
  }

  #fetch(rows: Int32Array | Uint32Array, count: number): Rows {
    if (this.#rows.words.length < count * wordsPerRow) this.#rows = viewsOf(2 * count);
    this.table.read(rows, count, this.#rows.bytes);
    return this.#rows;
  }
}

/** The same memory in every type that a row has. */
interface Rows {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly floats: Float32Array;
  readonly doubles: Float64Array;
}

function viewsOf(rows: number): Rows {
  const buffer = new ArrayBuffer(rows * itemAttributeBytes);
  return {
    bytes: new Uint8Array(buffer),
    words: new Uint32Array(buffer),
    floats: new Float32Array(buffer),
    doubles: new Float64Array(buffer),
  };
}

function decodeInto(rows: Rows, i: number, out: ItemColumns): void {
  const word = i * wordsPerRow;
  const { words, floats, doubles } = rows;
  for (let c = 0; c < categoriesMax; c++) {
    out.categories[i * categoriesMax + c] = words[word + c] - 1;
  }
  out.publishedAtMs[i] = doubles[(word * 4 + at.published) / 8];
  out.expiresAtMs[i] = doubles[(word * 4 + at.expires) / 8];
  out.durationSeconds[i] = floats[word + at.duration / 4];
  out.authorHash[i] = words[word + at.author / 4];
  const flags = words[word + at.flags / 4];
  out.hidden[i] = (flags & flag.hidden) === 0 ? 0 : 1;
  out.deleted[i] = (flags & flag.deleted) === 0 ? 0 : 1;
  out.known[i] = (flags & flag.known) === 0 ? 0 : 1;
}
