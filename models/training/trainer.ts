import { inputClip } from "../../native/index.ts";
import { assert } from "../core/assert.ts";
import { HeadLosses, uncertaintyCoefficients } from "../layers/head-losses.ts";
import { RunningMoments } from "../layers/normaliser.ts";
import { MmoeNetwork } from "../ranking/mmoe.ts";
import type { Ranker } from "../ranking/ranker.ts";
import { type EmbeddingOptions, EmbeddingUpdates, type VectorRows } from "./embedding-updates.ts";
import { adamDefault, DenseOptimizer, type OptimizerOptions } from "./optimizer.ts";
import { PositionBias } from "./position-bias.ts";
import { type HeadMetrics, ProgressiveValidation } from "./progressive.ts";
import type { Sample } from "./sample.ts";
import { SampleBatch } from "./sample-batch.ts";
import { constantSchedule, rateScaleAt, type ScheduleOptions } from "./schedule.ts";
import { copyColumn, packColumns, unpackColumns } from "./state-codec.ts";

export interface TrainerOptions {
  readonly optimizer: OptimizerOptions;
  readonly schedule: ScheduleOptions;
  readonly userEmbedding: EmbeddingOptions;
  readonly itemEmbedding: EmbeddingOptions;
  /** Learned log variances, or one fixed weight a head. */
  readonly lossWeights: "uncertainty" | readonly number[];
  /** Bound on the gradient's norm over all dense parameters. */
  readonly clipNorm: number;
  /** Samples of one step at most; `learn` cuts longer lists. */
  readonly batchMax: number;
  /** Samples that progressive metrics look back on. */
  readonly metricsWindow: number;
  /** Samples after which input moments fade. */
  readonly momentsHorizon: number;
}

export const trainerDefaults: TrainerOptions = {
  optimizer: adamDefault,
  schedule: constantSchedule,
  userEmbedding: { learningRate: 0.05, epsilon: 0.05, admission: 2 },
  itemEmbedding: { learningRate: 0.05, epsilon: 0.05, admission: 10 },
  lossWeights: "uncertainty",
  clipNorm: 5,
  batchMax: 1_024,
  metricsWindow: 10_000,
  momentsHorizon: 1_000_000,
};

export interface LearnReport {
  /** Samples learned from. */
  readonly samples: number;
  /** Samples refused: not finite, out of range, or of another definition's shape. */
  readonly refused: number;
  /** Steps left out because a loss or gradient was not finite. */
  readonly skippedSteps: number;
}

export interface TrainerTables {
  readonly users: VectorRows;
  readonly items: VectorRows;
}

/**
 * Learns a ranker from samples in their order, on a single thread and without a clock: the same
 * samples in the same batches give the same weights, bit for bit. Holds working weights, optimizer
 * state and input moments; embeddings live in their tables, whose working values it alone changes.
 */
export class RankTrainer {
  /** Working weights, `ranker.floats` floats; copy them into a slot to publish. */
  readonly weights: Float32Array;
  readonly #ranker: Ranker;
  readonly #tables: TrainerTables;
  readonly #options: TrainerOptions;
  readonly #gradients: Float32Array;
  readonly #network: MmoeNetwork;
  readonly #optimizer: DenseOptimizer;
  readonly #batch: SampleBatch;
  readonly #losses: HeadLosses;
  readonly #positionBias: PositionBias;
  readonly #progressive: ProgressiveValidation;
  readonly #userMoments: RunningMoments;
  readonly #itemMoments: RunningMoments;
  readonly #users: EmbeddingUpdates;
  readonly #items: EmbeddingUpdates;
  readonly #vectors: { user: Float32Array; item: Float32Array };
  readonly #lossColumns: Float32Array;
  readonly #rowWeights: Float32Array;
  readonly #coefficients: Float64Array;
  readonly #evaluationLogits: Float32Array;
  /** steps, samples, refused, skipped steps: saved with the state. */
  readonly #counters = new Float64Array(4);

  constructor(
    ranker: Ranker,
    tables: TrainerTables,
    initial: Float32Array,
    options: Partial<TrainerOptions> = {},
  ) {
    const all = { ...trainerDefaults, ...options };
    const { layout, kernels } = ranker;
    const rowsMax = all.batchMax;
    assert(initial.length >= ranker.floats, "initial weights need `floats` floats");
    assert(
      all.lossWeights === "uncertainty" || all.lossWeights.length === layout.heads,
      "fixed loss weights: one a head",
    );
    this.#ranker = ranker;
    this.#tables = tables;
    this.#options = all;
    this.weights = initial.slice(0, ranker.floats);
    this.#gradients = new Float32Array(ranker.floats);
    const network = { kernels, layout, weights: this.weights, gradients: this.#gradients };
    this.#network = new MmoeNetwork({ ...network, rowsMax });
    const trained = ranker.floats - layout.trainedFrom;
    this.#optimizer = new DenseOptimizer(kernels, all.optimizer, trained);
    this.#batch = new SampleBatch(layout, rowsMax);
    this.#losses = new HeadLosses(kernels, layout, rowsMax);
    this.#positionBias = new PositionBias(layout);
    const heads = layout.headNames.map((name, h) => ({ name, seconds: layout.seconds[h]! }));
    this.#progressive = new ProgressiveValidation(heads, all.metricsWindow);
    this.#userMoments = new RunningMoments(layout.userDense, all.momentsHorizon);
    this.#itemMoments = new RunningMoments(layout.itemDense, all.momentsHorizon);
    const user = { width: layout.userVector, rowsMax };
    const item = { width: layout.itemVector, rowsMax };
    this.#users = new EmbeddingUpdates(tables.users, user, all.userEmbedding);
    this.#items = new EmbeddingUpdates(tables.items, item, all.itemEmbedding);
    this.#vectors = {
      user: new Float32Array(rowsMax * layout.userVector),
      item: new Float32Array(rowsMax * layout.itemVector),
    };
    this.#lossColumns = new Float32Array(rowsMax * layout.heads);
    this.#rowWeights = new Float32Array(rowsMax);
    this.#coefficients = new Float64Array(layout.heads);
    this.#evaluationLogits = new Float32Array(rowsMax * layout.heads);
  }

  get steps(): number {
    return this.#optimizer.steps;
  }

  /** All samples learned from, refused, and steps skipped since the beginning. */
  get totals(): LearnReport {
    const [, samples = 0, refused = 0, skippedSteps = 0] = this.#counters;
    return { samples, refused, skippedSteps };
  }

  /**
   * Scores the samples, notes how well (progressive validation), then learns from them: one
   * optimizer step per `batchMax` samples. Call it with lists cut by sample offset.
   */
  learn(samples: readonly Sample[]): LearnReport {
    const before = this.totals;
    for (let from = 0; from < samples.length; from += this.#options.batchMax) {
      const part = samples.slice(from, from + this.#options.batchMax);
      this.#counters[2]! += this.#batch.fill(part);
      if (this.#batch.rows > 0) this.#learnBatch();
    }
    const after = this.totals;
    return {
      samples: after.samples - before.samples,
      refused: after.refused - before.refused,
      skippedSteps: after.skippedSteps - before.skippedSteps,
    };
  }

  /** Per head, over the last `metricsWindow` samples. */
  metrics(): HeadMetrics[] {
    return this.#progressive.metrics();
  }

  /** Rows of the embedding tables that changed since the last call: publish them. */
  takeTouched(): { users: Uint32Array; items: Uint32Array } {
    return { users: this.#users.takeTouched(), items: this.#items.takeTouched() };
  }

  #learnBatch(): void {
    const rows = this.#batch.rows;
    this.#forward(rows);
    this.#observe();
    const learned = this.#step(rows);
    if (!learned) this.#counters[3]! += 1;
    // After prediction: a sample is never normalised by moments that include it.
    this.#userMoments.update(this.#batch.userDense, this.#batch.primaries);
    this.#itemMoments.update(this.#batch.itemDense, this.#batch.primaries);
    this.#writeMoments();
    this.#counters[1]! += rows;
  }

  #writeMoments(): void {
    const { userMean, userScale, itemMean, itemScale } = this.#ranker.layout;
    const from = (at: number) => this.weights.subarray(at);
    this.#userMoments.write(from(userMean), from(userScale));
    this.#itemMoments.write(from(itemMean), from(itemScale));
  }

  #gather(pinVersion: number | null): void {
    const { layout } = this.#ranker;
    const { rows, userRows, itemRows } = this.#batch;
    const parts = [
      [this.#tables.users, userRows, this.#vectors.user, layout.userVector],
      [this.#tables.items, itemRows, this.#vectors.item, layout.itemVector],
    ] as const;
    for (const [table, ids, out, width] of parts) {
      if (width === 0) continue;
      if (pinVersion === null) table.gatherWorking(ids, rows, out);
      else table.gather(ids, rows, pinVersion, out);
    }
  }

  #forward(rows: number): void {
    const { layout } = this.#ranker;
    const batch = this.#batch;
    this.#gather(null);
    this.#join({
      dense: batch.userDense,
      width: layout.userDense,
      mean: layout.userMean,
      scale: layout.userScale,
      vector: this.#vectors.user,
      out: this.#network.userInput,
    });
    this.#join({
      dense: batch.itemDense,
      width: layout.itemDense,
      mean: layout.itemMean,
      scale: layout.itemScale,
      vector: this.#vectors.item,
      out: this.#network.itemInput,
    });
    this.#network.forward(rows);
    const stride = this.#network.rowsMax;
    this.#positionBias.add(this.weights, batch, this.#network.logits, stride);
  }

  #join(part: InputPart): void {
    const rows = this.#batch.rows;
    const { values, row } = part.out;
    this.#ranker.kernels.normalise({
      values: part.dense,
      mean: this.weights.subarray(part.mean),
      scale: this.weights.subarray(part.scale),
      clip: inputClip,
      rows,
      width: part.width,
      out: values,
      outRow: row,
    });
    copyVectors(part.vector, { values, row, from: part.width, rows });
  }

  /** Progressive validation of the primary rows, by the logits just computed. */
  #observe(): void {
    const { layout } = this.#ranker;
    const stride = this.#network.rowsMax;
    const { labels, primaries } = this.#batch;
    const logits = this.#network.logits;
    for (let h = 0; h < layout.heads; h++) {
      const given = layout.givenHead[h]!;
      for (let r = 0; r < primaries; r++) {
        const label = labels[h * stride + r]!;
        if (Number.isNaN(label)) continue;
        const z = logits[h * stride + r]!;
        const p = layout.seconds[h] ? Math.max(0, z) : sigmoid(z);
        const product = given < 0 ? p : p * sigmoid(logits[given * stride + r]!);
        this.#progressive.add(h, product, label);
      }
    }
  }

  /** Losses, gradients and one step; false where something was not finite and nothing changed. */
  #step(rows: number): boolean {
    const { layout, kernels } = this.#ranker;
    this.#setCoefficients();
    const { primaries, labels, weights } = this.#batch;
    const stride = this.#network.rowsMax;
    for (let r = 0; r < rows; r++) this.#rowWeights[r] = weights[r]! / rows;
    const gradients = this.#network.logitsGradient;
    const logits = this.#network.logits;
    const columns = { logits, labels, losses: this.#lossColumns, gradients, stride };
    this.#losses.compute({ ...columns, weights: this.#rowWeights }, rows, this.#coefficients);
    if (primaries < rows) this.#correct(primaries, rows);
    this.#gradients.fill(0, layout.positionBias);
    this.#positionBias.backward(this.#gradients, this.#batch, gradients, stride);
    this.#varianceGradients(rows);
    this.#network.backward(rows);
    const trained = this.#gradients.subarray(layout.trainedFrom);
    const norm = Math.sqrt(kernels.squareSum(trained, trained.length));
    if (!Number.isFinite(norm)) return false;
    const gradientScale = Math.min(1, this.#options.clipNorm / Math.max(norm, 1e-12));
    this.#optimizer.step({
      weights: this.weights.subarray(layout.trainedFrom),
      gradients: trained,
      gradientScale,
      rateScale: rateScaleAt(this.#options.schedule, this.#optimizer.steps),
    });
    this.#applyEmbeddings(rows, gradientScale);
    return true;
  }

  /**
   * A correction takes back the negative that was learned and puts the positive in its place: its
   * gradient is grad(1) - grad(0) = grad(1) / (1 - p), bounded at ten times grad(1).
   */
  #correct(from: number, rows: number): void {
    const { layout } = this.#ranker;
    const stride = this.#network.rowsMax;
    const { logits, logitsGradient } = this.#network;
    for (let h = 0; h < layout.heads; h++) {
      const given = layout.givenHead[h]!;
      if (given < 0) continue;
      for (let r = from; r < rows; r++) {
        const p = sigmoid(logits[h * stride + r]!) * sigmoid(logits[given * stride + r]!);
        const factor = 1 / Math.max(0.1, 1 - p);
        // All other labels of a correction are unknown: the given head's gradient is this one's.
        logitsGradient[h * stride + r]! *= factor;
        logitsGradient[given * stride + r]! *= factor;
      }
    }
  }

  #setCoefficients(): void {
    const { lossWeights } = this.#options;
    const { logVariances, heads } = this.#ranker.layout;
    if (lossWeights === "uncertainty") {
      const variances = this.weights.subarray(logVariances, logVariances + heads);
      uncertaintyCoefficients(variances, this.#coefficients);
    } else {
      this.#coefficients.set(lossWeights);
    }
  }

  /** d/ds of exp(-s) L + s / 2. */
  #varianceGradients(rows: number): void {
    if (this.#options.lossWeights !== "uncertainty") return;
    const { logVariances, heads } = this.#ranker.layout;
    const stride = this.#network.rowsMax;
    for (let h = 0; h < heads; h++) {
      let loss = 0;
      for (let r = 0; r < rows; r++) loss += this.#lossColumns[h * stride + r]!;
      this.#gradients[logVariances + h] = 0.5 - this.#coefficients[h]! * loss;
    }
  }

  #applyEmbeddings(rows: number, gradientScale: number): void {
    // Times rows: a row's step must not depend on how many others share its batch.
    const scale = gradientScale * rows;
    const { userVectorGradient, itemVectorGradient } = this.#network;
    const { userRows, itemRows } = this.#batch;
    const user = { rows: userRows, gradients: userVectorGradient.values };
    const item = { rows: itemRows, gradients: itemVectorGradient.values };
    this.#users.apply({ ...user, count: rows, scale });
    this.#items.apply({ ...item, count: rows, scale });
  }

  /**
   * Loss of each sample, summed over heads with weight 1, under any version: `weights` with the
   * embeddings as of `pinVersion`, or with the working ones where it is null. Writes into `out`,
   * refused samples left out; returns how many. Changes nothing: for the guard.
   */
  lossesOf(samples: readonly Sample[], model: ModelVersion, out: Float64Array): number {
    let written = 0;
    for (let from = 0; from < samples.length; from += this.#options.batchMax) {
      this.#batch.fill(samples.slice(from, from + this.#options.batchMax));
      this.#evaluate(model);
      sumColumns(this.#lossColumns, this.#batch, out.subarray(written));
      written += this.#batch.rows;
    }
    return written;
  }

  #evaluate({ weights, pinVersion }: ModelVersion): void {
    const batch = this.#batch;
    if (batch.rows === 0) return;
    this.#gather(pinVersion);
    const logits = this.#evaluationLogits;
    const dense = { userDense: batch.userDense, itemDense: batch.itemDense };
    const vectors = { userVector: this.#vectors.user, itemVectors: this.#vectors.item };
    const input = { weights, ...dense, ...vectors, count: batch.rows, userRows: batch.rows };
    this.#ranker.logits(input, logits);
    spread(logits, batch, this.#ranker.layout.heads);
    this.#positionBias.add(weights, batch, logits, batch.rowsMax);
    const columns = { logits, labels: batch.labels, weights: batch.weights };
    const losses = { losses: this.#lossColumns, gradients: null, stride: batch.rowsMax };
    this.#losses.compute({ ...columns, ...losses }, batch.rows, this.#coefficients);
  }

  #fixedColumns() {
    const rings = this.#progressive;
    this.#counters[0] = this.#optimizer.steps;
    return [
      this.#counters,
      this.weights,
      ...this.#optimizer.arrays,
      this.#userMoments.state,
      this.#itemMoments.state,
      rings.added,
      ...rings.predictions,
      ...rings.labels,
    ];
  }

  /** All state but the embedding tables', which save themselves. */
  save(): Uint8Array {
    const { seen, touched } = this.#users;
    const items = this.#items;
    return packColumns([...this.#fixedColumns(), seen, touched, items.seen, items.touched]);
  }

  /**
   * Continues bit for bit where `save` stood; throws REC_TRAINER_STATE for a state of another
   * shape, before anything has changed but columns of the same size.
   */
  restore(bytes: Uint8Array): void {
    const fixed = this.#fixedColumns();
    const columns = unpackColumns(bytes, fixed.length + 4);
    for (const [i, column] of fixed.entries()) copyColumn(columns[i]!, column);
    const [userSeen, userTouched, itemSeen, itemTouched] = columns.slice(fixed.length);
    this.#users.restoreSeen(userSeen!);
    this.#users.restoreTouched(new Uint32Array(userTouched!.slice().buffer));
    this.#items.restoreSeen(itemSeen!);
    this.#items.restoreTouched(new Uint32Array(itemTouched!.slice().buffer));
    this.#optimizer.steps = this.#counters[0]!;
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

export interface ModelVersion {
  readonly weights: Float32Array;
  readonly pinVersion: number | null;
}

function sigmoid(z: number): number {
  return 1 / (1 + Math.exp(-z));
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

/** Spreads columns of `rows` to columns of `rowsMax`, last first: they do not run over. */
function spread(columns: Float32Array, batch: SampleBatch, heads: number): void {
  const { rows, rowsMax } = batch;
  for (let h = heads - 1; h > 0; h--) columns.copyWithin(h * rowsMax, h * rows, (h + 1) * rows);
}

function sumColumns(columns: Float32Array, batch: SampleBatch, out: Float64Array): void {
  const heads = columns.length / batch.rowsMax;
  for (let r = 0; r < batch.rows; r++) {
    let total = 0;
    for (let h = 0; h < heads; h++) total += columns[h * batch.rowsMax + r]!;
    out[r] = total;
  }
}
