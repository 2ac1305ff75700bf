import { loadNative } from "./load.ts";

interface Functions {
  rowTableCreate(rows: number, rowBytes: number): number;
  rowTableShape(handle: number, out: Uint32Array): void;
  rowTableWrite(handle: number, row: number, bytes: Uint8Array): void;
  rowTableRead(
    handle: number,
    rows: Int32Array | Uint32Array,
    count: number,
    out: Uint8Array,
  ): void;
  sharedRelease(handle: number): void;
}

export interface RowTableOptions {
  readonly rows: number;
  /** At most 4,096. */
  readonly rowBytes: number;
}

/** Rows of bytes. A reader sees a row as one write left it, never a mixture. */
export class RowTable {
  readonly handle: number;
  readonly rows: number;
  readonly rowBytes: number;
  readonly #native = loadNative<Functions>();

  private constructor(handle: number) {
    const shape = new Uint32Array(4);
    this.#native.rowTableShape(handle, shape);
    this.handle = handle;
    this.rows = shape[0];
    this.rowBytes = shape[1];
  }

  static create(options: RowTableOptions): RowTable {
    return new RowTable(loadNative<Functions>().rowTableCreate(options.rows, options.rowBytes));
  }

  static attach(handle: number): RowTable {
    return new RowTable(handle);
  }

  /** `bytes` holds exactly `rowBytes`. */
  write(row: number, bytes: Uint8Array): void {
    this.#native.rowTableWrite(this.handle, row, bytes);
  }

  /** `count` rows of `rowBytes` into `out`; zeros where none was written or the row is -1. */
  read(rows: Int32Array | Uint32Array, count: number, out: Uint8Array): void {
    this.#native.rowTableRead(this.handle, rows, count, out);
  }

  /** Frees the memory. Only when no thread uses the table any more. */
  release(): void {
    this.#native.sharedRelease(this.handle);
  }
}
