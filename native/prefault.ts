import type { IdTable } from "./id-table.ts";
import { loadNative } from "./load.ts";
import type { PaneTable } from "./pane-table.ts";

interface Functions {
  prefaultStart(expected: Int32Array): number;
  sharedRelease(handle: number): void;
}

/** Rows 0 to `rows` - 1 that a table will be given, so many of them with a full row. */
export interface ExpectedRows {
  readonly table: PaneTable | IdTable;
  readonly rows: number;
  readonly fullRows?: number;
}

/**
 * A thread that makes memory present which is about to be written: of at most 16 tables from the
 * end of the last to the beginning of the first, while its maker loads them in that order; a table
 * of ids, which is written all over, is best the last. Rows stay as they are. On kernels before
 * Linux 5.14 it does nothing.
 */
export class Prefault {
  readonly #handle: number;
  readonly #native = loadNative<Functions>();

  /** Throws for more rows than a table has. */
  constructor(expected: readonly ExpectedRows[]) {
    const of = ({ table, rows, fullRows = 0 }: ExpectedRows) => [table.handle, rows, fullRows];
    this.#handle = this.#native.prefaultStart(Int32Array.from(expected.flatMap(of)));
  }

  /** Ends the thread, which takes a few milliseconds. Before the tables are released. */
  stop(): void {
    this.#native.sharedRelease(this.#handle);
  }
}
