import { inputClip } from "../../native/index.ts";
import { type IdRows, meanVectors, ownRows } from "../layers/id-rows.ts";
import { RowIndex } from "../layers/row-index.ts";
import { createNetwork } from "../ranking/create-network.ts";
import type { RankerNetwork } from "../ranking/network.ts";
import type { Ranker } from "../ranking/ranker.ts";
import type { VectorRows } from "./embedding-updates.ts";
import { PositionBias } from "./position-bias.ts";
import type { Sample } from "./sample.ts";
import { SampleBatch } from "./sample-batch.ts";

export interface TrainerTables {
  readonly users: VectorRows;
  readonly items: VectorRows;
  /** Which rows are an id's; default: its own. */
  readonly ids?: { readonly users: IdRows; readonly items: IdRows };
}

/** Embedding rows of some version; `noRow` reads as zeros. */
export interface RowReader {
  gather(rows: Uint32Array, count: number, out: Float32Array): void;
}

export interface ModelVersion {
  readonly weights: Float32Array;
  /** Its embeddings; null takes the working ones. */
  readonly rows: { readonly users: RowReader; readonly items: RowReader } | null;
}

/** One batch of samples under a model: inputs, forward, backward, and logits of other versions. */
export class BatchModel {
  readonly batch: SampleBatch;
  readonly network: RankerNetwork;
  readonly #ranker: Ranker;
  readonly #tables: TrainerTables;
  readonly #weights: Float32Array;
  readonly #gradients: Float32Array;
  readonly #positionBias: PositionBias;
  readonly #users: BatchVectors;
  readonly #items: BatchVectors;
  readonly #otherLogits: Float32Array;

  constructor(options: {
    ranker: Ranker;
    tables: TrainerTables;
    weights: Float32Array;
    gradients: Float32Array;
    rowsMax: number;
  }) {
    const { ranker, weights, gradients, rowsMax } = options;
    const { layout, kernels } = ranker;
    this.#ranker = ranker;
    this.#tables = options.tables;
    this.#weights = weights;
    this.#gradients = gradients;
    this.batch = new SampleBatch(layout, rowsMax);
    this.network = createNetwork({ kernels, weights, gradients, rowsMax }, layout);
    this.#positionBias = new PositionBias(layout);
    const { users = ownRows, items = ownRows } = options.tables.ids ?? {};
    this.#users = new BatchVectors(users, { rowsMax, width: layout.userVector });
    this.#items = new BatchVectors(items, { rowsMax, width: layout.itemVector });
    this.#otherLogits = new Float32Array(rowsMax * layout.heads);
  }

  /** Takes the samples as the batch; returns how many it refused. */
  load(samples: readonly Sample[]): number {
    const { batch } = this;
    const refused = batch.fill(samples);
    this.#users.load(batch.userRows, batch.rows);
    this.#items.load(batch.itemRows, batch.rows);
    return refused;
  }

  /** Rows of the vectors that the batch reads and may teach, sample by sample. */
  get vectorRows(): { readonly users: Uint32Array; readonly items: Uint32Array } {
    return { users: this.#users.rows, items: this.#items.rows };
  }

  /** What occurrences are counted of: see EmbeddingBatch. */
  get keys(): { readonly users: Uint32Array; readonly items: Uint32Array } {
    return { users: this.#users.keys, items: this.#items.keys };
  }

  #gather(version: ModelVersion["rows"]): void {
    const { users, items } = this.#tables;
    this.#users.gather(version === null ? gathered(users) : version.users);
    this.#items.gather(version === null ? gathered(items) : version.items);
  }

  /** Logits of the batch with position biases, in network.logits. */
  forward(): void {
    const { layout } = this.#ranker;
    const { batch, network } = this;
    this.#gather(null);
    this.#join({
      dense: batch.userDense,
      width: layout.userDense,
      mean: layout.userMean,
      scale: layout.userScale,
      vector: this.#users.values,
      out: network.userInput,
    });
    this.#join({
      dense: batch.itemDense,
      width: layout.itemDense,
      mean: layout.itemMean,
      scale: layout.itemScale,
      vector: this.#items.values,
      out: network.itemInput,
    });
    network.forward(batch.rows);
    this.#positionBias.add(this.#weights, batch, network.logits, network.rowsMax);
  }

  #join(part: InputPart): void {
    const rows = this.batch.rows;
    const { values, row } = part.out;
    this.#ranker.kernels.normalise({
      values: part.dense,
      mean: this.#weights.subarray(part.mean),
      scale: this.#weights.subarray(part.scale),
      clip: inputClip,
      rows,
      width: part.width,
      out: values,
      outRow: row,
    });
    copyVectors(part.vector, { values, row, from: part.width, rows });
  }

  /** From network.logitsGradient: all parameter gradients but the log variances', left at 0. */
  backward(): void {
    const { batch, network } = this;
    this.#gradients.fill(0, this.#ranker.layout.positionBias);
    const { logitsGradient, rowsMax } = network;
    this.#positionBias.backward(this.#gradients, batch, logitsGradient, rowsMax);
    network.backward(batch.rows);
  }

  /** Logits of the batch under any version, heads x rowsMax; changes no weights. */
  logitsOf({ weights, rows }: ModelVersion): Float32Array {
    const { batch } = this;
    const logits = this.#otherLogits;
    this.#gather(rows);
    const dense = { userDense: batch.userDense, itemDense: batch.itemDense };
    const vectors = { userVector: this.#users.values, itemVectors: this.#items.values };
    const input = { weights, ...dense, ...vectors, count: batch.rows, userRows: batch.rows };
    this.#ranker.logits(input, logits);
    // Columns of `rows` become columns of `rowsMax`, last first: they do not run over.
    for (let h = this.#ranker.layout.heads - 1; h > 0; h--) {
      logits.copyWithin(h * batch.rowsMax, h * batch.rows, (h + 1) * batch.rows);
    }
    this.#positionBias.add(weights, batch, logits, batch.rowsMax);
    return logits;
  }
}

function gathered(table: VectorRows): RowReader {
  return { gather: (rows, count, out) => table.gatherWorking(rows, count, out) };
}

/** The vectors of a batch's ids. */
class BatchVectors {
  /** rowsMax x width. */
  readonly values: Float32Array;
  readonly #ids: IdRows;
  readonly #width: number;
  readonly #rows: Uint32Array;
  /** One for each row; the same as `values` where an id has one row. */
  readonly #parts: Float32Array;
  #loaded: Uint32Array = new Uint32Array(0);
  #count = 0;

  constructor(ids: IdRows, { rowsMax, width }: { rowsMax: number; width: number }) {
    this.#ids = ids;
    this.#width = width;
    this.#rows = new Uint32Array(rowsMax * ids.perId);
    this.values = new Float32Array(rowsMax * width);
    this.#parts = ids.perId === 1 ? this.values : new Float32Array(rowsMax * ids.perId * width);
  }

  get rows(): Uint32Array {
    return this.#rows.subarray(0, this.#count * this.#ids.perId);
  }

  get keys(): Uint32Array {
    return this.#ids instanceof RowIndex ? this.#loaded : this.rows;
  }

  load(ids: Uint32Array, count: number): void {
    this.#loaded = ids;
    this.#count = count;
    this.#ids.rowsOf(ids, count, this.#rows);
  }

  gather(reader: RowReader): void {
    if (this.#width === 0) return;
    const { perId } = this.#ids;
    const count = this.#count;
    reader.gather(this.#rows, count * perId, this.#parts);
    if (perId > 1) meanVectors(this.#parts, { count, perId, width: this.#width }, this.values);
  }
}

interface InputPart {
  readonly dense: Float32Array;
  readonly width: number;
  readonly mean: number;
  readonly scale: number;
  readonly vector: Float32Array;
  readonly out: { readonly values: Float32Array; readonly row: number };
}

/** Copies vectors (rows x width) into the columns from `from` on. */
function copyVectors(
  vectors: Float32Array,
  into: { values: Float32Array; row: number; from: number; rows: number },
): void {
  const width = into.row - into.from;
  for (let r = 0; r < into.rows; r++) {
    const at = r * into.row + into.from;
    for (let j = 0; j < width; j++) into.values[at + j] = vectors[r * width + j]!;
  }
}
