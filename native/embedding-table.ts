import { loadNative } from "./load.ts";

type Rows = Int32Array | Uint32Array;

interface Functions {
  embeddingTableCreate(path: string | null, rows: number, dim: number): number;
  embeddingTableShape(handle: number, out: Uint32Array): void;
  embeddingTableGather(h: number, rows: Rows, count: number, pin: number, out: Float32Array): void;
  embeddingTableGatherWorking(h: number, rows: Rows, count: number, out: Float32Array): void;
  embeddingTableInitialise(h: number, rows: Rows, count: number, values: Float32Array): void;
  embeddingTableApplyAdagrad(
    handle: number,
    rows: Rows,
    count: number,
    gradients: Float32Array,
    learningRate: number,
    epsilon: number,
    decay: number,
  ): void;
  embeddingTablePublish(handle: number, rows: Rows, count: number, version: number): void;
  embeddingTableSave(handle: number, firstRow: number, count: number, out: Uint8Array): void;
  embeddingTableLoad(h: number, first: number, count: number, data: Uint8Array, all: number): void;
  sharedRelease(handle: number): void;
}

/** How a row steps by its gradient. */
export interface RowStep {
  readonly learningRate: number;
  readonly epsilon: number;
  /** What is kept of the accumulator at each step; 1 keeps all. */
  readonly decay: number;
}

export interface EmbeddingTableOptions {
  /** A scratch file, emptied at creation; null for anonymous memory. */
  readonly path: string | null;
  readonly rows: number;
  readonly dim: number;
}

/**
 * Embedding rows of `dim` f32: a working value with its Adagrad accumulator, which the trainer's
 * thread alone touches, and two published values with versions, which any thread reads. In all
 * batch calls a row of -1 (noRow) is skipped, or reads as zeros.
 */
export class EmbeddingTable {
  readonly handle: number;
  readonly rows: number;
  readonly dim: number;
  /** Bytes of a row in memory and in `save`. */
  readonly rowBytes: number;
  readonly #native = loadNative<Functions>();

  private constructor(handle: number) {
    const shape = new Uint32Array(4);
    this.#native.embeddingTableShape(handle, shape);
    this.handle = handle;
    this.rows = shape[0];
    this.dim = shape[1];
    this.rowBytes = shape[2];
  }

  static create(options: EmbeddingTableOptions): EmbeddingTable {
    const { path, rows, dim } = options;
    return new EmbeddingTable(loadNative<Functions>().embeddingTableCreate(path, rows, dim));
  }

  static attach(handle: number): EmbeddingTable {
    return new EmbeddingTable(handle);
  }

  /** One more than the largest row that was written: what a snapshot has to save. */
  get usedRows(): number {
    const shape = new Uint32Array(4);
    this.#native.embeddingTableShape(this.handle, shape);
    return shape[3];
  }

  /** The newest published value with version <= `pinVersion`; zeros where there is none. */
  gather(rows: Rows, count: number, pinVersion: number, out: Float32Array): void {
    this.#native.embeddingTableGather(this.handle, rows, count, pinVersion, out);
  }

  /** Trainer's thread only. */
  gatherWorking(rows: Rows, count: number, out: Float32Array): void {
    this.#native.embeddingTableGatherWorking(this.handle, rows, count, out);
  }

  /** Sets working values and clears their accumulators. Trainer's thread only. */
  initialise(rows: Rows, count: number, values: Float32Array): void {
    this.#native.embeddingTableInitialise(this.handle, rows, count, values);
  }

  /**
   * Row-wise Adagrad on working values: a = decay x a + mean(g^2), w -= learningRate x g /
   * (sqrt(a) + epsilon). A row that occurs again is applied again, in order. Trainer's thread only.
   */
  applyAdagrad(rows: Rows, count: number, gradients: Float32Array, options: RowStep): void {
    const { learningRate, epsilon, decay } = options;
    const { handle } = this;
    const { embeddingTableApplyAdagrad: apply } = this.#native;
    apply(handle, rows, count, gradients, learningRate, epsilon, decay);
  }

  /**
   * Copies working values over the older of the two published ones. `version` is >= 1 and not
   * below any version of these rows, else it throws and changes nothing. The caller first makes
   * sure that no reader pins a version older than the previous one.
   */
  publish(rows: Rows, count: number, version: number): void {
    this.#native.embeddingTablePublish(this.handle, rows, count, version);
  }

  /** Whole rows (accumulator, working and published values), bit for bit. Trainer's thread. */
  save(firstRow: number, count: number, out: Uint8Array): void {
    this.#native.embeddingTableSave(this.handle, firstRow, count, out);
  }

  load(firstRow: number, count: number, data: Uint8Array): void {
    this.#native.embeddingTableLoad(this.handle, firstRow, count, data, 1);
  }

  /** Of saved rows the working values and accumulators alone: what readers see stays. */
  loadWorking(firstRow: number, count: number, data: Uint8Array): void {
    this.#native.embeddingTableLoad(this.handle, firstRow, count, data, 0);
  }

  /** Frees the memory. Only when no thread uses the table any more. */
  release(): void {
    this.#native.sharedRelease(this.handle);
  }
}
