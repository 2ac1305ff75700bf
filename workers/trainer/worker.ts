import type { Clock } from "../../models/core/clock.ts";
import { RecError } from "../../models/core/errors.ts";
import type { HeadMetrics } from "../../models/training/progressive.ts";
import { decodeSample } from "../../models/training/sample.ts";
import type { SharedMetrics } from "../../native/index.ts";
import type { StopSignal } from "../loop.ts";
import type { RoleCommand } from "../role-messages.ts";
import { recordOf, type TailedLog } from "../stores/event-log.ts";
import type { ModelSnapshots } from "./model-snapshots.ts";
import type { BatchOutcome, OnlineTrainer } from "./trainer.ts";

export interface TrainerRoleOptions {
  readonly log: TailedLog;
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

/** Reads samples, trains, publishes, keeps snapshots. Steppable: it has no timer of its own. */
export class TrainerRole {
  readonly #options: TrainerRoleOptions;
  #savedMs: number;
  #savedOffset = 0;

  private constructor(options: TrainerRoleOptions) {
    this.#options = options;
    this.#savedMs = options.clock.nowMs();
  }

  /** Restores the newest snapshot, learns what came after it, and publishes. */
  static async open(options: TrainerRoleOptions): Promise<TrainerRole> {
    const role = new TrainerRole(options);
    const { trainer, snapshots } = options;
    snapshots?.restoreNewest(trainer);
    role.#savedOffset = trainer.offset;
    trainer.catchingUp = true;
    while (options.rests !== true && (await role.step()) > 0);
    trainer.catchingUp = false;
    trainer.publishNow();
    return role;
  }

  /** Per head, over the latest samples as they were before they were learned. */
  metrics(): HeadMetrics[] {
    return this.#options.trainer.metrics();
  }

  /** Learns from what is there, up to `readBytes`; returns how many samples it read. */
  async step(): Promise<number> {
    const { log, trainer, readBytes = 1 << 20 } = this.#options;
    const from = Math.max(trainer.readOffset, log.startOffset("samples", 0));
    if (log.endOffset("samples", 0) <= from) return 0;
    const batch = await log.read("samples", 0, from, readBytes);
    for (let i = 0; i < batch.count; i++) {
      const sample = decodeSample(recordOf(batch, i));
      const outcome = trainer.take(sample);
      if (outcome !== null) this.#note(outcome, sample.emittedMs);
    }
    this.#maybeSnapshot();
    return batch.count;
  }

  #note(outcome: BatchOutcome, emittedMs: number): void {
    const { metrics, clock, trainer, warn } = this.#options;
    metrics.add("rec_model_samples_total", outcome.learned);
    metrics.add("rec_model_samples_refused_total", outcome.refused);
    if (trainer.catchingUp) return;
    if (outcome.published) {
      metrics.add("rec_model_swaps_total", 1);
      metrics.observe("rec_freshness_sample_to_weights_ms", clock.nowMs() - emittedMs);
    } else if (!outcome.verdict.accepted) {
      metrics.add("rec_model_publishes_refused_total", 1);
      warn(`trainer: version ${trainer.version} was refused: ${outcome.verdict.reason}`);
    } else {
      metrics.add("rec_model_publishes_merged_total", 1);
    }
  }

  #maybeSnapshot(): void {
    const { clock, trainer, snapshotEveryMs = 60_000 } = this.#options;
    if (clock.nowMs() - this.#savedMs < snapshotEveryMs) return;
    if (trainer.offset !== this.#savedOffset) this.snapshot();
  }

  snapshot(): void {
    const { clock, trainer, snapshots, warn } = this.#options;
    this.#savedMs = clock.nowMs();
    try {
      snapshots?.save(trainer, clock.nowMs());
      this.#savedOffset = trainer.offset;
    } catch (error) {
      if (!(error instanceof RecError)) throw error;
      warn(`trainer: no snapshot was written: ${error.message}`);
    }
  }

  /** Answers a command of the models' routes with JSON text. */
  async command(command: RoleCommand): Promise<string> {
    const { trainer, snapshots, rests } = this.#options;
    const manifests = snapshots?.list() ?? [];
    if (command.name === "list") return this.#list();
    if (rests === true) {
      const message = "a model from a file serves (RANK_ONNX); its versions are not the trainer's";
      throw new RecError("REC_MODEL_CONFLICT", message);
    }
    const version = command.name === "promote" ? command.version : manifests[1]?.version;
    if (version === undefined || snapshots === null) {
      throw new RecError("REC_MODEL_UNKNOWN", "there is no earlier snapshot to go back to");
    }
    snapshots.promote(trainer, version);
    while (!trainer.publishNow()) await new Promise((resolve) => setTimeout(resolve, 1));
    this.snapshot();
    return this.#list();
  }

  #list(): string {
    const { trainer, snapshots } = this.#options;
    return JSON.stringify({
      working: trainer.version,
      samples: trainer.offset,
      progressive: trainer.metrics(),
      snapshots: snapshots?.list() ?? [],
    });
  }

  async waitForMore(timeoutMs: number): Promise<void> {
    const offset = this.#options.trainer.readOffset;
    await this.#options.log.waitForMore("samples", 0, offset, timeoutMs);
  }

  close(): void {
    const { trainer } = this.#options;
    if (trainer.offset !== this.#savedOffset) this.snapshot();
  }
}

/** Runs the role until it is told to stop. */
export async function runTrainer(role: TrainerRole, stop: StopSignal): Promise<void> {
  while (!stop.stopped) {
    if ((await role.step()) === 0) await role.waitForMore(100);
    // Commands of the thread come in between steps.
    else await new Promise((resolve) => setImmediate(resolve));
  }
  role.close();
}

/** Learns nothing until it is told to stop. */
export async function restTrainer(stop: StopSignal): Promise<void> {
  while (!stop.stopped) await stop.sleep(60_000);
}
