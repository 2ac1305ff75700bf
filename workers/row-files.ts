import { join } from "node:path";
import { realFileSystem } from "./stores/file-system.ts";

/** A table whose rows may leave memory. */
interface FiledTable {
  openFile(path: string, recordsMax: number): void;
}

/**
 * Files for rows that leave memory, `rows/<name>.rows` in the data folder. They are scratch: a
 * start makes them anew from the checkpoint and the log.
 */
export class RowFiles {
  readonly #folder: string;

  constructor(dataDir: string) {
    this.#folder = join(dataDir, "rows");
    realFileSystem().makeDirectory(this.#folder);
  }

  /** One that memory has room for needs none. */
  open(
    name: string,
    table: FiledTable,
    room: { readonly rows: number; readonly inMemory: number; readonly filed: number },
  ): void {
    if (room.rows > room.inMemory) {
      table.openFile(join(this.#folder, `${name}.rows`), room.filed);
    }
  }
}
