import { limits } from "../../models/limits.ts";
import type { ItemMetadata } from "../../models/recall/metadata-vectors.ts";
import { type ItemColumns, itemColumns } from "../stores/item-attributes.ts";
import type { ItemCatalog } from "./recall-core.ts";

/** The part of the shared state that says what items there are. */
export interface CatalogState {
  readonly items: { readonly size: number };
  readAttributes(rows: Int32Array, count: number, out: ItemColumns): void;
}

/** Rows that are read at once: columns for all would be a second copy of the catalog. */
const chunkRows = 4_096;
const perItem = limits.itemCategoriesMax;

/** Item metadata from the attribute rows of shared memory. */
export function sharedItemCatalog(state: CatalogState): ItemCatalog {
  return {
    rows: () => state.items.size,
    metadata(rows) {
      const metadata: ItemMetadata = {
        rows,
        perItem,
        categories: new Int32Array(rows * perItem),
        authors: new Uint32Array(rows),
        unavailable: new Uint8Array(rows),
      };
      const columns = itemColumns(chunkRows);
      for (let from = 0; from < rows; from += chunkRows) {
        const count = Math.min(chunkRows, rows - from);
        state.readAttributes(
          Int32Array.from({ length: count }, (_, i) => from + i),
          count,
          columns,
        );
        copyColumns(columns, { from, count }, metadata);
      }
      return metadata;
    },
  };
}

function copyColumns(
  columns: ItemColumns,
  { from, count }: { from: number; count: number },
  into: ItemMetadata,
): void {
  into.categories.set(columns.categories.subarray(0, count * perItem), from * perItem);
  into.authors.set(columns.authorHash.subarray(0, count), from);
  for (let i = 0; i < count; i++) {
    into.unavailable[from + i] = columns.hidden[i] | columns.deleted[i];
  }
}
