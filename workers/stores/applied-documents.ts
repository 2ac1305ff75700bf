import type { RowTable } from "../../native/index.ts";

/** f64 offset that all of is applied, f64 offset that is being applied. */
export const appliedDocumentsBytes = 16;

/**
 * How far topic `items` has been applied to shared memory, for readers that note what they read:
 * changes before `applied` are in what is read after it; what was read before `begun` has no change
 * from there on.
 */
export class AppliedDocuments {
  readonly table: RowTable;
  readonly #row = Int32Array.of(0);
  readonly #offsets = new Float64Array(2);
  readonly #bytes = new Uint8Array(this.#offsets.buffer);

  constructor(table: RowTable) {
    this.table = table;
  }

  /** Main thread only: changes to before `offset` are about to be applied. */
  begin(offset: number): void {
    this.table.read(this.#row, 1, this.#bytes);
    this.#offsets[1] = offset;
    this.table.write(0, this.#bytes);
  }

  /** Main thread only: they are. */
  end(offset: number): void {
    this.#offsets.fill(offset);
    this.table.write(0, this.#bytes);
  }

  applied(): number {
    this.table.read(this.#row, 1, this.#bytes);
    return this.#offsets[0];
  }

  begun(): number {
    this.table.read(this.#row, 1, this.#bytes);
    return this.#offsets[1];
  }
}
