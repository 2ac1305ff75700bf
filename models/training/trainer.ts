import { assert } from "../core/assert.ts";
import { sigmoid } from "../core/numbers.ts";
import { HeadLosses, uncertaintyCoefficients } from "../layers/head-losses.ts";
import { ownRows } from "../layers/id-rows.ts";
import type { Ranker } from "../ranking/ranker.ts";
import { secondsScale } from "../ranking/seconds-scale.ts";
import { BatchModel, type ModelVersion, type TrainerTables } from "./batch-model.ts";
import { type EmbeddingOptions, EmbeddingUpdates } from "./embedding-updates.ts";
import { InputMoments } from "./input-moments.ts";
import { fakeNegativeScales, takeBackNegatives } from "./late-labels.ts";
import { adamDefault, DenseOptimizer, type OptimizerOptions } from "./optimizer.ts";
import { type HeadMetrics, ProgressiveValidation } from "./progressive.ts";
import type { Sample } from "./sample.ts";
import type { SampleBatch } from "./sample-batch.ts";
import { constantSchedule, rateScaleAt, type ScheduleOptions } from "./schedule.ts";
import type { ModelScores } from "./scores.ts";
import { calibrateSeconds } from "./seconds-calibration.ts";
import {
  copyColumn,
  packColumns,
  packNumbers,
  unpackColumns,
  unpackNumbers,
} from "./state-codec.ts";

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

const dayMs = 24 * 3_600_000;
const rowDefaults = { learningRate: 0.05, epsilon: 0.05, decay: 1, expiryMs: 30 * dayMs };

export const trainerDefaults: TrainerOptions = {
  optimizer: adamDefault,
  schedule: constantSchedule,
  userEmbedding: { ...rowDefaults, admission: 2 },
  itemEmbedding: { ...rowDefaults, admission: 10 },
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

/** Rows by table; where rows are handed out, the ids of those that changed hands. */
export interface TouchedRows {
  readonly users: Uint32Array;
  readonly items: Uint32Array;
  readonly userIndex: Uint32Array;
  readonly itemIndex: Uint32Array;
}

/** A state to go back to: weights and input moments. Rows and optimizer state are not in it. */
export interface GoodState {
  readonly weights: Float32Array;
  readonly userMoments: Float64Array;
  readonly itemMoments: Float64Array;
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
  readonly #moments: InputMoments;
  readonly #users: EmbeddingUpdates;
  readonly #items: EmbeddingUpdates;
  readonly #lossColumns: Float32Array;
  readonly #rowWeights: Float32Array;
  /** By head and row, where a head asks for fake-negative weighting. */
  readonly #scales: Float32Array | null;
  readonly #coefficients: Float64Array;
  /** Since the beginning; the optimizer's steps stand here while the state is saved. */
  readonly #counters = { steps: 0, samples: 0, refused: 0, skippedSteps: 0, rateShare: 1 };

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
    this.#progressive = new ProgressiveValidation(this.heads, all.metricsWindow);
    this.#moments = new InputMoments(layout, all.momentsHorizon, initial);
    const { users = ownRows, items = ownRows } = tables.ids ?? {};
    const user = { width: layout.userVector, rowsMax, ids: users };
    const item = { width: layout.itemVector, rowsMax, ids: items };
    this.#users = new EmbeddingUpdates(tables.users, user, all.userEmbedding);
    this.#items = new EmbeddingUpdates(tables.items, item, all.itemEmbedding);
    this.#lossColumns = new Float32Array(rowsMax * layout.heads);
    this.#rowWeights = new Float32Array(rowsMax);
    const isScaled = layout.fakeNegative.includes(true);
    this.#scales = isScaled ? new Float32Array(rowsMax * layout.heads) : null;
    this.#coefficients = new Float64Array(layout.heads);
  }

  get steps(): number {
    return this.#optimizer.steps;
  }

  get heads(): readonly { readonly name: string; readonly seconds: boolean }[] {
    const { headNames, seconds } = this.#ranker.layout;
    return headNames.map((name, h) => ({ name, seconds: seconds[h]! }));
  }

  get batchMax(): number {
    return this.#options.batchMax;
  }

  /** All samples learned from, refused, and steps skipped since the beginning. */
  get totals(): LearnReport {
    const { samples, refused, skippedSteps } = this.#counters;
    return { samples, refused, skippedSteps };
  }

  /**
   * Scores the samples, notes how well (progressive validation), then learns from them: one
   * optimizer step per `batchMax` samples. Call it with lists cut by sample offset.
   */
  learn(samples: readonly Sample[]): LearnReport {
    const before = this.totals;
    for (let from = 0; from < samples.length; from += this.#options.batchMax) {
      this.load(samples.slice(from, from + this.#options.batchMax));
      this.learnLoaded();
    }
    const after = this.totals;
    return {
      samples: after.samples - before.samples,
      refused: after.refused - before.refused,
      skippedSteps: after.skippedSteps - before.skippedSteps,
    };
  }

  /** Checks at most `batchMax` samples and takes them as the batch to score and to learn from. */
  load(samples: readonly Sample[]): SampleBatch {
    assert(samples.length <= this.#options.batchMax, "a batch has at most `batchMax` samples");
    this.#counters.refused += this.#model.load(samples);
    return this.#model.batch;
  }

  /** Rows that the loaded batch may teach, some of them more than once. */
  get loadedRows(): { readonly users: Uint32Array; readonly items: Uint32Array } {
    return this.#model.vectorRows;
  }

  /**
   * One step on the loaded batch. `share` (0 to 1) scales the rate of all but the vectors of ids:
   * of a batch that lost samples before it was loaded, what was left of it. Adam's step does not
   * depend on how many samples ask for it: few in each of many batches would move weights further.
   */
  learnLoaded(share = 1): void {
    if (this.#model.batch.rows > 0) this.#learnBatch(share);
  }

  /** Per head, over the last `metricsWindow` samples. */
  metrics(): HeadMetrics[] {
    return this.#progressive.metrics();
  }

  /**
   * Ends the training on a history: goes on from `weights` (such as the mean of several epochs') at
   * `rateShare` of the learning rate at most, from here on and after a restore too, since single
   * batches would pull away what many epochs have fitted. Takes what an optimizer owns, and keeps
   * what it knows of the gradients, the input moments and the rows.
   */
  settle(weights: Float32Array, rateShare: number): void {
    const { trainedFrom, floats } = this.#ranker.layout;
    assert(weights.length >= floats, "settled weights need `floats` floats");
    assert(rateShare > 0 && rateShare <= 1, "a share of the learning rate is in (0, 1]");
    this.weights.set(weights.subarray(trainedFrom, floats), trainedFrom);
    this.#counters.rateShare = rateShare;
  }

  /** Writes weights (the working ones) and their serving form into a model slot. */
  fillSlot(slot: Float32Array, weights = this.weights): void {
    this.#ranker.fillSlot(weights, slot);
  }

  /** Copies what `goBack` needs; into an earlier state where one is given. */
  copyState(into?: GoodState): GoodState {
    const [user, item] = this.#moments.state;
    if (into === undefined) {
      const weights = this.weights.slice();
      return { weights, userMoments: user.slice(), itemMoments: item.slice() };
    }
    into.weights.set(this.weights);
    into.userMoments.set(user);
    into.itemMoments.set(item);
    return into;
  }

  /** Goes on from an earlier state, with a fresh optimizer; rows are their table's. */
  goBack({ weights, userMoments, itemMoments }: GoodState): void {
    this.weights.set(weights);
    this.#moments.state[0].set(userMoments);
    this.#moments.state[1].set(itemMoments);
    this.#optimizer.reset();
  }

  /** Norm of what an optimizer owns; NaN where any weight is not finite. */
  normOf(weights: Float32Array): number {
    const { kernels, floats, layout } = this.#ranker;
    const all = kernels.squareSum(weights, floats);
    const trained = weights.subarray(layout.trainedFrom, floats);
    return Number.isFinite(all) ? Math.sqrt(kernels.squareSum(trained, trained.length)) : NaN;
  }

  /**
   * Sets all embedding rows back to zeros, and their counts: for each epoch over the same samples,
   * so that no row has learned from the sample that it is read for, as in serving. Rows that have
   * seen a sample vouch for it, and the layers above come to trust them too much.
   */
  forgetRows(): void {
    this.#users.forget();
    this.#items.forget();
  }

  /** Rows of the tables that changed since the last call: publish them. */
  takeTouched(): TouchedRows {
    const [users, items] = [this.#users.takeTouched(), this.#items.takeTouched()];
    const indexes = { userIndex: users.ids, itemIndex: items.ids };
    return { users: users.rows, items: items.rows, ...indexes };
  }

  /** Rows given since the last call to ids that had none, and had learned nothing before. */
  takeHandedOut(): { readonly users: Uint32Array; readonly items: Uint32Array } {
    return { users: this.#users.takeHandedOut(), items: this.#items.takeHandedOut() };
  }

  #learnBatch(share: number): void {
    const rows = this.#model.batch.rows;
    this.#model.forward();
    this.#observe();
    const learned = this.#step(rows, share);
    if (!learned) this.#counters.skippedSteps += 1;
    // After prediction: a sample is never normalised by moments that include it.
    this.#moments.update(this.#model.batch, this.#model.batch.primaries, this.weights);
    this.#calibrate();
    this.#counters.samples += rows;
  }

  #calibrate(): void {
    const { layout } = this.#ranker;
    const { labels, weights, primaries: rows } = this.#model.batch;
    const { logits, rowsMax: stride } = this.#model.network;
    calibrateSeconds(layout, this.weights, { logits, labels, weights, rows, stride });
  }

  /** Progressive validation of the primary rows, by the logits just computed. */
  #observe(): void {
    const { layout } = this.#ranker;
    const stride = this.#model.network.rowsMax;
    const { labels, primaries, weights, userRows } = this.#model.batch;
    const logits = this.#model.network.logits;
    for (let h = 0; h < layout.heads; h++) {
      const given = layout.givenHead[h]!;
      const scale = secondsScale(layout, this.weights, h);
      for (let r = 0; r < primaries; r++) {
        const label = labels[h * stride + r]!;
        if (Number.isNaN(label)) continue;
        const z = logits[h * stride + r]!;
        const p = layout.seconds[h] ? Math.log1p(scale * Math.expm1(Math.max(0, z))) : sigmoid(z);
        const prediction = given < 0 ? p : p * sigmoid(logits[given * stride + r]!);
        const [weight, user] = [weights[r]!, userRows[r]!];
        this.#progressive.add(h, { prediction, label, weight, user });
      }
    }
  }

  /** Losses, gradients and one step; false where something was not finite and nothing changed. */
  #step(rows: number, share: number): boolean {
    const { layout, kernels } = this.#ranker;
    this.#setCoefficients();
    const { primaries, labels, previous, weights: importance } = this.#model.batch;
    const stride = this.#model.network.rowsMax;
    for (let r = 0; r < rows; r++) this.#rowWeights[r] = importance[r]! / rows;
    const { logits, logitsGradient: gradients } = this.#model.network;
    const batch = { primaries, rows, stride, labels, logits };
    const [coefficients, rowWeights] = [this.#coefficients, this.#rowWeights];
    const scales = this.#scales;
    if (scales !== null) fakeNegativeScales(layout, batch, scales);
    const columns = { ...batch, losses: this.#lossColumns, gradients, weights: rowWeights, scales };
    this.#losses.compute(columns, rows, coefficients);
    const weighed = { rowWeights, coefficients, previous };
    takeBackNegatives(layout, { ...batch, ...weighed, logitsGradient: gradients });
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
      rateScale: share * this.#rateScale(),
    });
    this.#applyEmbeddings(rows, gradientScale);
    return true;
  }

  #rateScale(): number {
    const { samples, rateShare } = this.#counters;
    const at = { step: this.#optimizer.steps, samples };
    return Math.min(rateShare, rateScaleAt(this.#options.schedule, at));
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
    const { users, items } = this.#model.keys;
    const shared = { count: rows, scale, timeMs: this.#model.batch.timeMs };
    this.#users.apply({ ...shared, keys: users, gradients: userVectorGradient.values });
    this.#items.apply({ ...shared, keys: items, gradients: itemVectorGradient.values });
  }

  /**
   * What any version says of the loaded batch. Changes no state. With position biases, as in
   * training.
   */
  score(model: ModelVersion, out: ModelScores): void {
    const { batch } = this.#model;
    if (batch.rows === 0) return;
    const { layout } = this.#ranker;
    const logits = this.#model.logitsOf(model);
    const columns = { logits, labels: batch.labels, weights: batch.weights };
    const losses = { losses: out.headLosses, gradients: null, stride: batch.rowsMax };
    this.#losses.compute({ ...columns, ...losses }, batch.rows, this.#coefficients);
    out.losses.fill(0, 0, batch.rows);
    for (let h = 0; h < layout.heads; h++) {
      const given = layout.givenHead[h]!;
      for (let r = 0; r < batch.rows; r++) {
        const at = h * batch.rowsMax + r;
        const rate = given < 0 ? 1 : sigmoid(logits[given * batch.rowsMax + r]!);
        out.predictions[at] = layout.seconds[h] ? logits[at]! : rate * sigmoid(logits[at]!);
        out.losses[r]! += out.headLosses[at]!;
      }
    }
  }

  /** Columns whose size does not depend on what was learned. */
  #fixedColumns() {
    const rings = this.#progressive;
    return [
      this.weights,
      ...this.#optimizer.arrays,
      ...this.#moments.state,
      rings.added,
      ...rings.predictions,
      ...rings.labels,
      ...rings.weights,
      ...rings.users,
    ];
  }

  /** Occurrences since the last call of ids that were admitted and found no row to take. */
  takeWaiting(): number {
    return this.#users.takeWaiting() + this.#items.takeWaiting();
  }

  /** Who has which row of tables whose rows are handed out; null where none are. */
  saveOwners(): Uint8Array | null {
    const columns = [...this.#users.saveOwners(), ...this.#items.saveOwners()];
    return columns.length === 0 ? null : packColumns(columns);
  }

  restoreOwners(bytes: Uint8Array): void {
    const ofUsers = this.#users.ownerColumns;
    const columns = unpackColumns(bytes, ofUsers + this.#items.ownerColumns);
    this.#users.restoreOwners(columns.slice(0, ofUsers));
    this.#items.restoreOwners(columns.slice(ofUsers));
  }

  /** All state but the tables' and the owners of their rows. */
  save(): Uint8Array {
    this.#counters.steps = this.#optimizer.steps;
    const own = [packNumbers(this.#counters), ...this.#fixedColumns()];
    return packColumns([...own, ...this.#users.save(), ...this.#items.save()]);
  }

  /**
   * Continues bit for bit where `save` stood; throws REC_TRAINER_STATE for a state of another
   * shape, before anything has changed but columns of the same size.
   */
  restore(bytes: Uint8Array): void {
    const counters = packNumbers(this.#counters);
    const fixed = [counters, ...this.#fixedColumns()];
    const ofUsers = this.#users.save().length;
    const columns = unpackColumns(bytes, fixed.length + ofUsers + this.#items.save().length);
    for (const [i, column] of fixed.entries()) copyColumn(columns[i]!, column);
    this.#users.restore(columns.slice(fixed.length, fixed.length + ofUsers));
    this.#items.restore(columns.slice(fixed.length + ofUsers));
    unpackNumbers(counters, this.#counters);
    this.#optimizer.steps = this.#counters.steps;
  }
}
