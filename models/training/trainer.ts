import { assert } from "../core/assert.ts";
import { HeadLosses, uncertaintyCoefficients, watchBeta } from "../layers/head-losses.ts";
import { RunningMoments } from "../layers/normaliser.ts";
import type { Ranker } from "../ranking/ranker.ts";
import { BatchModel, type ModelVersion, type TrainerTables } from "./batch-model.ts";
import { type EmbeddingOptions, EmbeddingUpdates } from "./embedding-updates.ts";
import { adamDefault, DenseOptimizer, type OptimizerOptions } from "./optimizer.ts";
import { type HeadMetrics, ProgressiveValidation } from "./progressive.ts";
import type { Sample } from "./sample.ts";
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

export type { ModelVersion, TrainerTables } from "./batch-model.ts";

/**
 * Learns a ranker from samples in their order, on a single thread and without a clock: the same
 * samples in the same batches give the same weights, bit for bit. Holds working weights, optimizer
 * state and input moments; embeddings live in their tables, whose working values it alone changes.
 */
export class RankTrainer {
  /** Working weights, `ranker.floats` floats; `fillSlot` publishes them. */
  readonly weights: Float32Array;
  readonly #ranker: Ranker;
  readonly #options: TrainerOptions;
  readonly #gradients: Float32Array;
  readonly #model: BatchModel;
  readonly #optimizer: DenseOptimizer;
  readonly #losses: HeadLosses;
  readonly #progressive: ProgressiveValidation;
  readonly #userMoments: RunningMoments;
  readonly #itemMoments: RunningMoments;
  readonly #users: EmbeddingUpdates;
  readonly #items: EmbeddingUpdates;
  readonly #lossColumns: Float32Array;
  readonly #rowWeights: Float32Array;
  readonly #coefficients: Float64Array;
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
    this.#options = all;
    this.weights = initial.slice(0, ranker.floats);
    this.#gradients = new Float32Array(ranker.floats);
    const flat = { weights: this.weights, gradients: this.#gradients };
    this.#model = new BatchModel({ ranker, tables, ...flat, rowsMax });
    const trained = ranker.floats - layout.trainedFrom;
    this.#optimizer = new DenseOptimizer(kernels, all.optimizer, trained);
    this.#losses = new HeadLosses(kernels, layout, rowsMax);
    const heads = layout.headNames.map((name, h) => ({ name, seconds: layout.seconds[h]! }));
    this.#progressive = new ProgressiveValidation(heads, all.metricsWindow);
    const { userDense, itemDense, userMean, itemMean } = layout;
    const { momentsHorizon } = all;
    const meansAt = (at: number) => initial.subarray(at);
    this.#userMoments = new RunningMoments(userDense, momentsHorizon, meansAt(userMean));
    this.#itemMoments = new RunningMoments(itemDense, momentsHorizon, meansAt(itemMean));
    const user = { width: layout.userVector, rowsMax };
    const item = { width: layout.itemVector, rowsMax };
    this.#users = new EmbeddingUpdates(tables.users, user, all.userEmbedding);
    this.#items = new EmbeddingUpdates(tables.items, item, all.itemEmbedding);
    this.#lossColumns = new Float32Array(rowsMax * layout.heads);
    this.#rowWeights = new Float32Array(rowsMax);
    this.#coefficients = new Float64Array(layout.heads);
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
      this.#counters[2]! += this.#model.batch.fill(part);
      if (this.#model.batch.rows > 0) this.#learnBatch();
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

  /**
   * Goes on from other weights (the last good ones, after the guard has refused): takes what an
   * optimizer owns, with a fresh optimizer, and keeps the input moments as they are now.
   */
  adopt(weights: Float32Array): void {
    const { trainedFrom, floats } = this.#ranker.layout;
    assert(weights.length >= floats, "adopted weights need `floats` floats");
    this.weights.set(weights.subarray(trainedFrom, floats), trainedFrom);
    this.#optimizer.reset();
  }

  /** Writes the working weights and their serving form into a model slot. */
  fillSlot(slot: Float32Array): void {
    this.#ranker.fillSlot(this.weights, slot);
  }

  /** Rows of the embedding tables that changed since the last call: publish them. */
  takeTouched(): { users: Uint32Array; items: Uint32Array } {
    return { users: this.#users.takeTouched(), items: this.#items.takeTouched() };
  }

  #learnBatch(): void {
    const rows = this.#model.batch.rows;
    this.#model.forward();
    this.#observe();
    const learned = this.#step(rows);
    if (!learned) this.#counters[3]! += 1;
    // After prediction: a sample is never normalised by moments that include it.
    this.#userMoments.update(this.#model.batch.userDense, this.#model.batch.primaries);
    this.#itemMoments.update(this.#model.batch.itemDense, this.#model.batch.primaries);
    this.#writeMoments();
    this.#counters[1]! += rows;
  }

  #writeMoments(): void {
    const { userMean, userScale, itemMean, itemScale } = this.#ranker.layout;
    const from = (at: number) => this.weights.subarray(at);
    this.#userMoments.write(from(userMean), from(userScale));
    this.#itemMoments.write(from(itemMean), from(itemScale));
  }

  /** Progressive validation of the primary rows, by the logits just computed. */
  #observe(): void {
    const { layout } = this.#ranker;
    const stride = this.#model.network.rowsMax;
    const { labels, primaries } = this.#model.batch;
    const logits = this.#model.network.logits;
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
    const { primaries, labels, weights } = this.#model.batch;
    const stride = this.#model.network.rowsMax;
    for (let r = 0; r < rows; r++) this.#rowWeights[r] = weights[r]! / rows;
    const gradients = this.#model.network.logitsGradient;
    const logits = this.#model.network.logits;
    const columns = { logits, labels, losses: this.#lossColumns, gradients, stride };
    this.#losses.compute({ ...columns, weights: this.#rowWeights }, rows, this.#coefficients);
    if (primaries < rows) this.#correct(primaries, rows);
    this.#model.backward();
    this.#varianceGradients(rows);
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
   * A correction takes back the negative that was learned and puts what came in its place: its
   * gradient is grad(label) - grad(0). Binary heads: grad(1) / (1 - p), bounded at ten times
   * grad(1). A correction has one label: a given head's gradient is its own or the product's.
   */
  #correct(from: number, rows: number): void {
    const { layout } = this.#ranker;
    for (let h = 0; h < layout.heads; h++) {
      for (let r = from; r < rows; r++) {
        if (Number.isNaN(this.#model.batch.labels[h * this.#model.network.rowsMax + r]!)) continue;
        if (layout.seconds[h]) this.#takeBackSeconds(h, r);
        else this.#takeBackNegative(h, r);
      }
    }
  }

  #takeBackNegative(h: number, r: number): void {
    const { logits, logitsGradient, rowsMax } = this.#model.network;
    const given = this.#ranker.layout.givenHead[h]!;
    const at = h * rowsMax + r;
    const rate = given < 0 ? 1 : sigmoid(logits[given * rowsMax + r]!);
    const factor = 1 / Math.max(0.1, 1 - rate * sigmoid(logits[at]!));
    logitsGradient[at]! *= factor;
    if (given >= 0) logitsGradient[given * rowsMax + r]! *= factor;
  }

  #takeBackSeconds(h: number, r: number): void {
    const { logits, logitsGradient, rowsMax } = this.#model.network;
    const at = h * rowsMax + r;
    const ofZero = Math.min(1, Math.max(-1, logits[at]! / watchBeta));
    logitsGradient[at]! -= this.#coefficients[h]! * this.#rowWeights[r]! * ofZero;
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
    const stride = this.#model.network.rowsMax;
    for (let h = 0; h < heads; h++) {
      let loss = 0;
      for (let r = 0; r < rows; r++) loss += this.#lossColumns[h * stride + r]!;
      this.#gradients[logVariances + h] = 0.5 - this.#coefficients[h]! * loss;
    }
  }

  #applyEmbeddings(rows: number, gradientScale: number): void {
    // Times rows: a row's step must not depend on how many others share its batch.
    const scale = gradientScale * rows;
    const { userVectorGradient, itemVectorGradient } = this.#model.network;
    const { userRows, itemRows } = this.#model.batch;
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
      this.#model.batch.fill(samples.slice(from, from + this.#options.batchMax));
      this.#evaluate(model);
      sumColumns(this.#lossColumns, this.#model.batch, out.subarray(written));
      written += this.#model.batch.rows;
    }
    return written;
  }

  #evaluate(model: ModelVersion): void {
    const { batch } = this.#model;
    if (batch.rows === 0) return;
    const logits = this.#model.logitsOf(model);
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

function sigmoid(z: number): number {
  return 1 / (1 + Math.exp(-z));
}

/** Sum over heads of each row. */
function sumColumns(
  columns: Float32Array,
  batch: { readonly rows: number; readonly rowsMax: number },
  out: Float64Array,
): void {
  const heads = columns.length / batch.rowsMax;
  for (let r = 0; r < batch.rows; r++) {
    let total = 0;
    for (let h = 0; h < heads; h++) total += columns[h * batch.rowsMax + r]!;
    out[r] = total;
  }
}
