import { PublishGuard, type Verdict } from "../../models/training/guard.ts";
import type { HeadMetrics } from "../../models/training/progressive.ts";
import type { Sample } from "../../models/training/sample.ts";
import type { SampleBatch } from "../../models/training/sample-batch.ts";
import { type ModelScores, modelScores } from "../../models/training/scores.ts";
import {
  packColumns,
  packNumbers,
  unpackColumns,
  unpackNumbers,
} from "../../models/training/state-codec.ts";
import type { GoodState, RankTrainer } from "../../models/training/trainer.ts";
import type { ModelSlots } from "../../native/index.ts";
import { GoodRows } from "./good-rows.ts";
import { type PublishedTables, Publisher } from "./publisher.ts";
import { UserCap } from "./user-cap.ts";

export interface OnlineTrainerOptions extends PublishedTables {
  readonly trainer: RankTrainer;
  readonly slots: ModelSlots;
  /** Samples of a version. They are learned in batches of `learnEvery` or, if fewer, of these. */
  readonly publishEvery: number;
  /** Off: whatever was learned is served, from whomever it came. To see what the guard is for. */
  readonly guarded?: boolean;
  /** Time of samples before which no anchor judges labels; default: an hour. */
  readonly matureMs?: number;
}

/** What one batch led to. */
export interface BatchOutcome {
  /** Of the candidate that was judged. */
  readonly version: number;
  readonly published: boolean;
  /** Null where no publish was due. */
  readonly verdict: Verdict | null;
  readonly learned: number;
  readonly refused: number;
  /** Left out because their user has had too many. */
  readonly capped: number;
  /** Occurrences of ids that would be learned, had a row been free. */
  readonly waiting: number;
}

/** Samples of a batch, at most. */
const learnEvery = 100;
/** Age of the anchor that candidates are held against, in time of samples. */
const anchorMs = 3_600_000;
/** Of the elder that labels are held against: in an hour too few may turn to be seen. */
const elderMs = 24 * anchorMs;
/** Refused for so many ages, other labels are how the world is: neither must hold for ever. */
const agesMax = 2;
/**
 * Before so many samples, and before it has an hour of them behind it, a model is no elder to
 * judge labels by, and is replaced often: in a new world what is clicked changes as slates improve.
 */
const matureSamples = 10_000;
const youngElderPairs = 2_000;

/** Numbers that a restart has to know. Times are those of samples, epoch milliseconds. */
const noMarks = {
  elderMs: 0,
  /** Judged by the elder. */
  elderPairs: 0,
  /** 1: the elder judges labels. */
  elderIsMature: 0,
  /** Versions that were judged and that were good last; 0 for none. */
  judged: 0,
  good: 0,
  /** Of the first sample that was learned; 0 before it. */
  firstMs: 0,
};

/** A model of earlier, and when it was taken. */
interface Anchor {
  readonly takenMs: number;
  readonly weights: Float32Array;
}

const noWeights = new Float32Array(0);
/** Of a saved state: the guard's, all, and all of one from before anchor and elder were two. */
const guardColumns = 4;
const stateColumns = { now: 12, once: 10 } as const;

const nothingDue = { published: false, verdict: null } as const;

/** Samples of a batch where a version has so many. */
export function batchSizeOf(publishEvery: number): number {
  return Math.min(publishEvery, learnEvery);
}

/**
 * The loop of online learning: a candidate, which has learned all earlier batches, is judged on the
 * next batch beside the live version and an anchor an hour old, and the batch's labels beside an
 * elder of up to a day; if it holds, it goes live; then it learns the batch and becomes the next
 * candidate. Batches are cut by sample offset and time is that of samples, so weights and verdicts
 * are functions of the samples alone. Refusals that go on take the candidate back to the last state
 * that was good.
 *
 * Version = base + batches learned: after a restart the same batches make the same versions.
 */
export class OnlineTrainer {
  readonly #options: OnlineTrainerOptions;
  readonly #publisher: Publisher;
  readonly #goodRows: { readonly users: GoodRows; readonly items: GoodRows };
  readonly #guard: PublishGuard;
  readonly #scores: Readonly<Record<"candidate" | "live" | "anchor" | "elder", ModelScores>>;
  readonly #batchSize: number;
  readonly #cap: UserCap;
  #pending: Sample[] = [];
  /** As it was when it was last accepted. */
  #good: GoodState | null = null;
  #anchor: Anchor | null = null;
  #elder: Float32Array | null = null;
  readonly #marks = { ...noMarks };
  /** Offset of the next sample to learn. */
  offset = 0;
  versionBase = 1;

  constructor(options: OnlineTrainerOptions) {
    const { slots, users, items, publishEvery, trainer } = options;
    this.#options = options;
    this.#publisher = new Publisher(slots, options);
    this.#goodRows = { users: new GoodRows(users), items: new GoodRows(items) };
    this.#guard = new PublishGuard(trainer.heads);
    const scores = () => modelScores(trainer.heads.length, trainer.batchMax);
    this.#scores = { candidate: scores(), live: scores(), anchor: scores(), elder: scores() };
    this.#batchSize = batchSizeOf(publishEvery);
    this.#cap = new UserCap(trainer.heads);
  }

  /** The version that the working weights are, or would be. */
  get version(): number {
    return this.versionBase + Math.floor(this.offset / this.#options.publishEvery);
  }

  /** The offset of the next sample to read: behind it, some may wait for their batch. */
  get readOffset(): number {
    return this.offset + this.#pending.length;
  }

  get trainer(): RankTrainer {
    return this.#options.trainer;
  }

  /** Refusals since a candidate was last accepted. */
  get refusals(): number {
    return this.#guard.refusals;
  }

  get liveVersion(): number {
    return this.#options.slots.current().version;
  }

  metrics(): HeadMetrics[] {
    return this.#options.trainer.metrics();
  }

  /**
   * Makes the last good weights live without a judgement, or the working ones where none are known:
   * the first version, or one asked for. False while a pin is in the way.
   */
  publishNow(): boolean {
    this.#publisher.touchAll();
    this.#good ??= this.trainer.copyState();
    if (this.liveVersion >= this.version) return true;
    const slot = this.#fill(this.#good.weights);
    if (slot < 0) return false;
    this.#publisher.flip(slot, this.version);
    this.#acceptRows();
    this.#marks.good = this.version;
    return true;
  }

  /**
   * After a restore: what was good then answers again, under its version and with the rows as they
   * were published. What is live and newer stays: a thread that starts again goes on below it.
   */
  resume(): boolean {
    const { good: goodVersion } = this.#marks;
    if (this.#good === null || goodVersion === 0) return this.publishNow();
    this.#publisher.touchAll();
    return this.#serveGood();
  }

  /** With the rows as they were published; false while a pin is in the way. */
  #serveGood(): boolean {
    const { good: goodVersion } = this.#marks;
    if (this.#good === null || this.liveVersion >= goodVersion) return true;
    const slot = this.#fill(this.#good.weights);
    if (slot >= 0) this.#options.slots.publish(slot, goodVersion);
    return slot >= 0;
  }

  #fill(weights: Float32Array): number {
    return this.#publisher.fill({ fillSlot: (slot) => this.trainer.fillSlot(slot, weights) });
  }

  /** Another model from here on: what the guard knows is of the one before; the world is not. */
  forgetVerdicts(): void {
    const { firstMs } = this.#marks;
    this.#guard.clear();
    this.#anchor = null;
    this.#elder = null;
    Object.assign(this.#marks, { ...noMarks, firstMs });
  }

  /** The log begins later than what is to be read: what is missing was never learned. */
  skipTo(offset: number): void {
    this.#pending = [];
    this.offset = offset;
  }

  /** Takes the sample at `readOffset`; a full batch is judged, published and learned. */
  take(sample: Sample): BatchOutcome | null {
    this.#pending.push(sample);
    if (this.readOffset % this.#batchSize !== 0) return null;
    const batch = this.#pending;
    this.#pending = [];
    return this.#batch(batch);
  }

  #batch(all: readonly Sample[]): BatchOutcome {
    const { trainer, guarded = true } = this.#options;
    const { version } = this;
    const before = trainer.totals;
    const kept = guarded ? this.#cap.apply(all) : all;
    const batch = trainer.load(kept);
    const { published, verdict } = this.#isDue ? this.#consider(batch, all) : nothingDue;
    const { users, items } = trainer.loadedRows;
    this.#goodRows.users.remember(users);
    this.#goodRows.items.remember(items);
    trainer.learnLoaded(batch.rows / all.length);
    const handedOut = trainer.takeHandedOut();
    this.#goodRows.users.forget(handedOut.users);
    this.#goodRows.items.forget(handedOut.items);
    this.#publisher.touch(trainer.takeTouched());
    this.offset += all.length;
    const learned = trainer.totals.samples - before.samples;
    const refused = trainer.totals.refused - before.refused;
    const capped = all.length - kept.length;
    const waiting = trainer.takeWaiting();
    return { version, published, verdict, learned, refused, capped, waiting };
  }

  /** The candidate is a version that has not been judged. */
  get #isDue(): boolean {
    return this.version !== this.#marks.judged;
  }

  #consider(batch: SampleBatch, samples: readonly Sample[]) {
    const { guarded = true } = this.#options;
    this.#marks.judged = this.version;
    const { slot, verdict } = this.#judge(batch, samples.at(-1)?.emittedMs ?? 0);
    const published = (verdict.accepted || !guarded) && this.#accept(slot);
    if (verdict.reload && guarded) this.#goBack(verdict);
    return { published, verdict };
  }

  /** Fills a slot with the candidate and scores the batch with it; slot -1: a pin left none. */
  #judge(batch: SampleBatch, timeMs: number): { slot: number; verdict: Verdict } {
    const { trainer, slots } = this.#options;
    const slot = this.#fill(trainer.weights);
    const weights = slot < 0 ? trainer.weights : slots.weights(slot);
    const good = this.#good ?? trainer.copyState();
    this.#good = good;
    const elder = this.#elderAt(timeMs, good.weights);
    const anchor = this.#anchorAt(timeMs, good.weights);
    const rows = this.#goodRows;
    const scores = { ...this.#scores };
    trainer.score({ weights, rows: null }, scores.candidate);
    trainer.score({ weights: good.weights, rows }, scores.live);
    trainer.score({ weights: anchor, rows }, scores.anchor);
    if (elder === anchor) scores.elder = scores.anchor;
    else trainer.score({ weights: elder, rows }, scores.elder);
    this.#marks.elderPairs += batch.primaries;
    const verdict = this.#guard.judge({
      ...{ rows: batch.primaries, stride: batch.rowsMax, users: batch.userRows },
      labels: batch.labels,
      ...{ weights: batch.weights, ...scores },
      candidateNorm: trainer.normOf(weights),
      anchorNorm: trainer.normOf(anchor),
    });
    return { slot, verdict };
  }

  /** The elder; the live version takes its place, and the anchor's, when it is due. */
  #elderAt(timeMs: number, live: Float32Array): Float32Array {
    const marks = this.#marks;
    if (marks.firstMs === 0) marks.firstMs = timeMs;
    const age = timeMs - marks.elderMs;
    const hasPairs = marks.elderPairs >= youngElderPairs;
    const isDue = marks.elderIsMature === 1 ? age > elderMs : hasPairs;
    const isKept = !(isDue && this.refusals === 0) && age <= agesMax * elderMs;
    if (this.#elder !== null && isKept) return this.#elder;
    const { matureMs = anchorMs } = this.#options;
    const isOld = timeMs - marks.firstMs >= matureMs;
    const isMature = isOld && hasPairs && this.trainer.totals.samples >= matureSamples;
    this.#guard.elderTaken(isMature);
    Object.assign(marks, { elderMs: timeMs, elderPairs: 0, elderIsMature: isMature ? 1 : 0 });
    this.#elder = live.slice();
    return this.#takeAnchor(timeMs, this.#elder);
  }

  /** The anchor, likewise. */
  #anchorAt(timeMs: number, live: Float32Array): Float32Array {
    const age = timeMs - (this.#anchor?.takenMs ?? 0);
    const isKept = !(age > anchorMs && this.refusals === 0) && age <= agesMax * anchorMs;
    if (this.#anchor !== null && isKept) return this.#anchor.weights;
    return this.#takeAnchor(timeMs, live.slice());
  }

  #takeAnchor(takenMs: number, weights: Float32Array): Float32Array {
    this.#guard.anchorTaken();
    this.#anchor = { takenMs, weights };
    return weights;
  }

  #accept(slot: number): boolean {
    const { trainer } = this.#options;
    this.#good = trainer.copyState(this.#good ?? undefined);
    this.#acceptRows();
    this.#marks.good = this.version;
    if (slot < 0 || this.version <= this.liveVersion) return false;
    this.#publisher.flip(slot, this.version);
    return true;
  }

  #acceptRows(): void {
    this.#goodRows.users.accept();
    this.#goodRows.items.accept();
  }

  /** To the last good state; where that is in doubt the elder's weights are, and go live. */
  #goBack({ toElder }: Verdict): void {
    const good = this.#good;
    if (good !== null && this.#anchor !== null && this.#elder !== null && toElder) {
      good.weights.set(this.#elder);
      // What the anchor has learned of the labels is in doubt as well.
      this.#anchor = { ...this.#anchor, weights: this.#elder };
      this.#marks.good = this.version;
    }
    if (good !== null) this.trainer.goBack(good);
    this.#goodRows.users.takeBack();
    this.#goodRows.items.takeBack();
    this.#serveGood();
  }

  /** What there is beside the trainer's own state and the tables. */
  save(): Uint8Array {
    const good = this.#good ?? this.trainer.copyState();
    const { weights, userMoments, itemMoments } = good;
    const elder = this.#elder ?? noWeights;
    const marks = packNumbers(this.#marks);
    const columns = [weights, userMoments, itemMoments, elder, marks, this.#cap.save()];
    const { takenMs = 0, weights: anchor = elder } = this.#anchor ?? {};
    const younger = [Float64Array.of(takenMs), anchor === elder ? noWeights : anchor];
    return packColumns([...columns, ...this.#guard.save(), ...younger]);
  }

  /** Continues where `save` stood; the trainer and the tables have been restored. */
  restore(bytes: Uint8Array): void {
    const columns = unpackColumns(bytes, stateColumns.now, stateColumns.once).map(
      (column) => column.slice().buffer,
    );
    const [weights, userMoments, itemMoments, elder, marks, cap, ...guard] = columns;
    const [takenMs, anchor] = guard.splice(guardColumns);
    this.#good = {
      weights: new Float32Array(weights!),
      userMoments: new Float64Array(userMoments!),
      itemMoments: new Float64Array(itemMoments!),
    };
    this.#elder = elder!.byteLength === 0 ? null : new Float32Array(elder!);
    this.#restoreAnchor(new Float64Array(takenMs ?? 1), new Float32Array(anchor ?? 0));
    unpackNumbers(new Float64Array(marks!), this.#marks);
    this.#cap.restore(new Uint32Array(cap!));
    this.#guard.restore(guard.map((column) => new Float64Array(column)));
  }

  /** Without weights of its own it is the elder. */
  #restoreAnchor([takenMs = 0]: Float64Array, own: Float32Array): void {
    const weights = own.length === 0 ? this.#elder : own;
    this.#anchor = weights === null ? null : { takenMs, weights };
  }

  /** Embedding rows as they were when they were good, where they are others now. */
  saveRows(): Uint8Array {
    return packColumns([...this.#goodRows.users.save(), ...this.#goodRows.items.save()]);
  }

  restoreRows(bytes: Uint8Array): void {
    const columns = unpackColumns(bytes, 4).map((column) => column.slice().buffer);
    const [users, userValues, items, itemValues] = columns;
    this.#goodRows.users.restore(new Uint32Array(users!), new Float32Array(userValues!));
    this.#goodRows.items.restore(new Uint32Array(items!), new Float32Array(itemValues!));
  }

  /** Nothing is known to be good: the working weights are the first version. */
  restoreNothing(): void {
    this.#good = null;
    this.#acceptRows();
    this.forgetVerdicts();
    this.#marks.firstMs = 0;
  }

  /** Samples that wait for their batch are read again after a restore. */
  forgetPending(): void {
    this.#pending = [];
  }
}
