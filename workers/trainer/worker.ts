import type { Clock } from "../../models/core/clock.ts";
import { RecError } from "../../models/core/errors.ts";
import type { Refusal, Verdict } from "../../models/training/guard.ts";
import type { HeadMetrics } from "../../models/training/progressive.ts";
import { decodeSample } from "../../models/training/sample.ts";
import type { SharedMetrics } from "../../native/index.ts";
import type { StopSignal } from "../loop.ts";
import type { CounterName } from "../metrics.ts";
import type { RoleCommand } from "../role-messages.ts";
import { recordOf, type TailedLog } from "../stores/event-log.ts";
import type { ModelSnapshots } from "./model-snapshots.ts";
import { RareWarnings } from "./rare-warnings.ts";
import type { BatchOutcome, OnlineTrainer } from "./trainer.ts";
import { WeightsFreshness } from "./weights-freshness.ts";

/** What is read of the log. */
export type SampleLog = Pick<
  TailedLog,
  "startOffset" | "endOffset" | "read" | "waitForMore" | "letGo"
>;

export interface TrainerRoleOptions {
  readonly log: SampleLog;
  readonly trainer: OnlineTrainer;
  /** Null: nothing is kept; a start learns from the whole log again. */
  readonly snapshots: ModelSnapshots | null;
  readonly clock: Clock;
  readonly metrics: SharedMetrics;
  readonly warn: (text: string) => void;
  /** Another model serves: the newest snapshot goes live for its embeddings, and stands still. */
  readonly rests?: boolean;
  readonly readBytes?: number;
  readonly snapshotEveryMs?: number;
}

const refusalCounters: Readonly<Record<Refusal, CounterName>> = {
  "not finite": 'rec_model_publishes_refused_total{reason="not-finite"}',
  norm: 'rec_model_publishes_refused_total{reason="norm"}',
  "worse than live": 'rec_model_publishes_refused_total{reason="worse-than-live"}',
  "worse than anchor": 'rec_model_publishes_refused_total{reason="worse-than-anchor"}',
  calibration: 'rec_model_publishes_refused_total{reason="calibration"}',
  "labels contradict the elder": 'rec_model_publishes_refused_total{reason="labels"}',
};

/** Between two snapshots of weights that were taken back. */
const reloadSnapshotMs = 10_000;
/** How long a publish that was asked for waits for pins. */
const pinnedMsMax = 10_000;

/** Reads samples, trains, publishes, keeps snapshots. Steppable: it has no timer of its own. */
export class TrainerRole {
  readonly #options: TrainerRoleOptions;
  readonly #freshness: WeightsFreshness;
  readonly #warnings: RareWarnings;
  #savedMs: number;
  #savedOffset = 0;
  #verdict: Verdict | null = null;
  /** Steps and commands take turns: one between a read and its learning would shift offsets. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(options: TrainerRoleOptions) {
    this.#options = options;
    this.#warnings = new RareWarnings(options.clock, options.warn);
    this.#savedMs = options.clock.nowMs();
    this.#freshness = new WeightsFreshness(options.metrics, this.#savedMs);
  }

  /**
   * Restores the newest snapshot and serves what was good in it. What came after it is judged,
   * published and learned in steps as ever.
   */
  static async open(options: TrainerRoleOptions): Promise<TrainerRole> {
    const role = new TrainerRole(options);
    const { trainer, snapshots } = options;
    snapshots?.restoreNewest(trainer);
    role.#letGo();
    role.#savedOffset = trainer.offset;
    await role.#unpinned(() => trainer.resume());
    return role;
  }

  /** What is trained. */
  get trainer(): OnlineTrainer {
    return this.#options.trainer;
  }

  /** Per head, over the latest samples as they were before they were learned. */
  metrics(): HeadMetrics[] {
    return this.#options.trainer.metrics();
  }

  /** Learns from what is there, up to `readBytes`; returns how many samples it read. */
  step(): Promise<number> {
    return this.#inTurn(() => this.#step());
  }

  async #step(): Promise<number> {
    const { log, trainer, readBytes = 1 << 20 } = this.#options;
    const start = log.startOffset("samples", 0);
    if (start > trainer.readOffset) trainer.skipTo(start);
    const from = trainer.readOffset;
    if (log.endOffset("samples", 0) <= from) return 0;
    const batch = await log.read("samples", 0, from, readBytes);
    for (let i = 0; i < batch.count; i++) {
      const sample = decodeSample(recordOf(batch, i));
      this.#freshness.take(sample);
      const outcome = trainer.take(sample);
      if (outcome !== null) this.#note(outcome);
    }
    this.#maybeSnapshot();
    return batch.count;
  }

  #note(outcome: BatchOutcome): void {
    const { metrics, clock } = this.#options;
    this.#freshness.learned(outcome.published, clock.nowMs());
    metrics.add("rec_model_samples_total", outcome.learned);
    metrics.add("rec_model_samples_refused_total", outcome.refused);
    metrics.add("rec_model_samples_capped_total", outcome.capped);
    metrics.add("rec_model_ids_waiting_total", outcome.waiting);
    const { verdict } = outcome;
    if (verdict === null) return;
    this.#verdict = verdict;
    if (outcome.published) {
      metrics.add("rec_model_swaps_total", 1);
    } else if (verdict.accepted) {
      metrics.add("rec_model_publishes_merged_total", 1);
    } else if (verdict.reason === "probation") {
      metrics.add("rec_model_publishes_held_total", 1);
    } else if (verdict.reason !== "fine") {
      this.#refused(outcome.version, verdict.reason, verdict);
    }
  }

  #refused(version: number, reason: Refusal, verdict: Verdict): void {
    const { metrics, trainer, clock } = this.#options;
    const { refusals } = trainer;
    const { detail, reload, toElder } = verdict;
    metrics.add(refusalCounters[reason], 1);
    const count = refusals === 1 ? "" : ` (${refusals} refusals in a row)`;
    const what = `version ${version} was refused${count}`;
    this.#warnings.warn(reason, `trainer: ${what}: ${reason}: ${detail}`);
    if (!reload) return;
    metrics.add("rec_model_reloads_total", 1);
    const good = toElder ? "elder's weights, which answer again" : "last good weights";
    this.#warnings.warn(toElder ? "elder" : "reload", `trainer: went back to the ${good}`);
    // While refusals go on this is all that is kept; written each time it would take the disk from
    // the log. What came since the last is learned again by a start.
    if (clock.nowMs() - this.#savedMs >= reloadSnapshotMs) this.snapshot();
  }

  #maybeSnapshot(): void {
    const { clock, trainer, snapshotEveryMs = 60_000 } = this.#options;
    if (clock.nowMs() - this.#savedMs < snapshotEveryMs || !this.#isWorthKeeping) return;
    if (trainer.offset !== this.#savedOffset) this.snapshot();
  }

  /** What is under suspicion is not written over what is good: a start learns it again. */
  get #isWorthKeeping(): boolean {
    return this.#options.trainer.refusals === 0;
  }

  snapshot(): void {
    const { clock, trainer, snapshots, warn } = this.#options;
    // A thread that started again goes on below what is live: rows are published ahead of what it
    // has learned, and a start from such a snapshot could publish nothing below them.
    if (trainer.version < trainer.liveVersion) return;
    this.#savedMs = clock.nowMs();
    try {
      snapshots?.save(trainer, clock.nowMs());
      this.#savedOffset = trainer.offset;
      this.#letGo();
    } catch (error) {
      if (!(error instanceof RecError)) throw error;
      warn(`trainer: no snapshot was written: ${error.message}`);
    }
  }

  #letGo(): void {
    const { log, snapshots, rests } = this.#options;
    const offset = rests === true ? Number.MAX_SAFE_INTEGER : (snapshots?.neededOffset ?? 0);
    log.letGo("trainer", [{ topic: "samples", partition: 0, offset }]);
  }

  /** Answers a command of the models' routes with JSON text. */
  command(command: RoleCommand): Promise<string> {
    return this.#inTurn(async () => {
      if (command.name !== "list") await this.#promote(command);
      return this.#list();
    });
  }

  async #promote(command: RoleCommand): Promise<void> {
    const { trainer, snapshots, rests } = this.#options;
    if (rests === true) {
      const message = "a model from a file serves (RANK_ONNX); its versions are not the trainer's";
      throw new RecError("REC_MODEL_CONFLICT", message);
    }
    const version = command.name === "promote" ? command.version : snapshots?.before;
    if (version == null || snapshots === null) {
      throw new RecError("REC_MODEL_UNKNOWN", "there is no earlier snapshot to go back to");
    }
    snapshots.promote(trainer, version);
    this.#verdict = null;
    await this.#unpinned(() => trainer.publishNow());
    this.snapshot();
  }

  #list(): string {
    const { trainer, snapshots } = this.#options;
    return JSON.stringify({
      live: trainer.liveVersion,
      working: trainer.version,
      samples: trainer.offset,
      guard: { refusals: trainer.refusals, verdict: this.#verdict },
      progressive: trainer.metrics(),
      snapshots: snapshots?.list() ?? [],
    });
  }

  async #unpinned(publish: () => boolean): Promise<void> {
    for (let waitedMs = 0; !publish(); waitedMs++) {
      if (waitedMs >= pinnedMsMax) {
        throw new RecError("REC_MODEL_PINNED", "a request holds an old version: try again");
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async waitForMore(timeoutMs: number): Promise<void> {
    const offset = this.#options.trainer.readOffset;
    await this.#options.log.waitForMore("samples", 0, offset, timeoutMs);
  }

  close(): void {
    const { trainer } = this.#options;
    if (trainer.offset !== this.#savedOffset && this.#isWorthKeeping) this.snapshot();
  }
}

const tellEveryMs = 5_000;

/** Runs the role until it is told to stop; `tell` gets how well the model does now and then. */
export async function runTrainer(
  role: TrainerRole,
  stop: StopSignal,
  tell: (heads: readonly HeadMetrics[]) => void,
): Promise<void> {
  let toldMs = Number.NEGATIVE_INFINITY;
  while (!stop.stopped) {
    const learned = await role.step();
    if (learned > 0 && performance.now() - toldMs > tellEveryMs) {
      tell(role.metrics());
      toldMs = performance.now();
    }
    if (learned === 0) await role.waitForMore(100);
    // Commands of the thread come in between steps.
    else await new Promise((resolve) => setImmediate(resolve));
  }
  role.close();
}

/** Learns nothing until it is told to stop. */
export async function restTrainer(stop: StopSignal): Promise<void> {
  while (!stop.stopped) await stop.sleep(60_000);
}
