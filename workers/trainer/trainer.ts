import type { Clock } from "../../models/core/clock.ts";
import { PublishGuard, type Verdict } from "../../models/training/guard.ts";
import type { HeadMetrics } from "../../models/training/progressive.ts";
import type { Sample } from "../../models/training/sample.ts";
import type { RankTrainer } from "../../models/training/trainer.ts";
import type { EmbeddingTable, ModelSlots } from "../../native/index.ts";
import { Publisher } from "./publisher.ts";

export interface OnlineTrainerOptions {
  readonly trainer: RankTrainer;
  readonly slots: ModelSlots;
  readonly users: EmbeddingTable;
  readonly items: EmbeddingTable;
  readonly clock: Clock;
  /** Samples of a batch, and of a version. */
  readonly publishEvery: number;
  /** Age at which the anchor is replaced by the live version. */
  readonly anchorMs?: number;
}

/** What one batch led to. */
export interface BatchOutcome {
  readonly published: boolean;
  readonly verdict: Verdict;
  readonly learned: number;
  readonly refused: number;
}

const hourMs = 3_600_000;

/**
 * The loop of online learning: a candidate, which has learned all earlier batches, is judged on the
 * next batch beside the live version and an anchor an hour old; if it holds, it goes live; then it
 * learns the batch and becomes the next candidate. Batches are cut by sample offset, so the weights
 * are a function of the samples alone; the guard decides what is served, never what is learned.
 *
 * Version = base + batches learned: after a restart the same batches make the same versions.
 */
export class OnlineTrainer {
  readonly #options: OnlineTrainerOptions;
  readonly #publisher: Publisher;
  readonly #guard = new PublishGuard();
  readonly #losses: { candidate: Float64Array; live: Float64Array; anchor: Float64Array };
  #pending: Sample[] = [];
  #anchor: Float32Array | null = null;
  #anchoredMs = Number.NEGATIVE_INFINITY;
  /** Offset of the next sample to learn. */
  offset = 0;
  versionBase = 1;
  /** While it catches up with the log, nothing is judged or published. */
  catchingUp = true;

  constructor(options: OnlineTrainerOptions) {
    const { slots, users, items, publishEvery } = options;
    this.#options = options;
    this.#publisher = new Publisher({ slots, users, items });
    const column = () => new Float64Array(publishEvery);
    this.#losses = { candidate: column(), live: column(), anchor: column() };
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

  get merged(): number {
    return this.#publisher.merged;
  }

  metrics(): HeadMetrics[] {
    return this.#options.trainer.metrics();
  }

  /** Makes the working weights live without a judgement: the first version, or one asked for. */
  publishNow(): boolean {
    this.#publisher.touchAll();
    return this.#publisher.publish(this.#options.trainer, this.version);
  }

  /** Takes the sample at `readOffset`; a full batch is judged, published and learned. */
  take(sample: Sample): BatchOutcome | null {
    this.#pending.push(sample);
    if (this.readOffset % this.#options.publishEvery !== 0) return null;
    const batch = this.#pending;
    this.#pending = [];
    return this.#batch(batch);
  }

  #batch(batch: readonly Sample[]): BatchOutcome {
    const { trainer } = this.#options;
    const verdict = this.#judge(batch);
    const published = verdict.accepted && !this.catchingUp && this.#publish();
    const { samples, refused } = trainer.learn(batch);
    this.#publisher.touch(trainer.takeTouched());
    this.offset += batch.length;
    return { published, verdict, learned: samples, refused };
  }

  #publish(): boolean {
    const { slots, trainer } = this.#options;
    if (this.version <= slots.current().version) return false;
    return this.#publisher.publish(trainer, this.version);
  }

  #judge(batch: readonly Sample[]): Verdict {
    const { trainer, slots, clock } = this.#options;
    const { slot, version } = slots.current();
    if (slot < 0 || this.catchingUp) {
      return this.#guard.judge(trainer.weights, { candidate: [], live: [], anchor: [] });
    }
    const live = slots.weights(slot);
    if (clock.nowMs() - this.#anchoredMs > hourMs) {
      this.#anchor = live.slice();
      this.#anchoredMs = clock.nowMs();
    }
    const losses = this.#losses;
    const rows = trainer.lossesOf(
      batch,
      { weights: trainer.weights, pinVersion: null },
      losses.candidate,
    );
    trainer.lossesOf(batch, { weights: live, pinVersion: version }, losses.live);
    trainer.lossesOf(batch, { weights: this.#anchor ?? live, pinVersion: version }, losses.anchor);
    return this.#guard.judge(trainer.weights, {
      candidate: losses.candidate.subarray(0, rows),
      live: losses.live.subarray(0, rows),
      anchor: losses.anchor.subarray(0, rows),
    });
  }

  /** Samples that wait for their batch are read again after a restore. */
  forgetPending(): void {
    this.#pending = [];
  }
}
