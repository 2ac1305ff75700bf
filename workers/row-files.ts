import { join } from "node:path";
import type { ScopeName } from "../models/definition/define.ts";
import type { PaneTable } from "../native/index.ts";
import { realFileSystem } from "./stores/file-system.ts";

/** Scopes of more than one row. */
type FiledScope = Exclude<ScopeName, "global">;

export interface RowFilesOptions {
  /** The data folder. */
  readonly folder: string;
  /** Of users. */
  readonly partition: number;
  /** Rows of a file at most. */
  readonly rows: Readonly<Record<FiledScope, number>>;
}

/**
 * Gives each table a file for the rows that leave memory. They are scratch: a start makes them
 * anew from the checkpoint and the log.
 */
export function openRowFiles(
  tables: Readonly<Record<FiledScope, PaneTable>>,
  { folder, partition, rows }: RowFilesOptions,
): void {
  const inside = join(folder, "rows");
  realFileSystem().makeDirectory(inside);
  for (const scope of ["user", "item", "category", "userCategory"] as const) {
    tables[scope].openFile(join(inside, `${scope}-${partition}.rows`), rows[scope]);
  }
}
