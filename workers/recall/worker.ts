import { viewOf } from "../../models/core/bytes.ts";
import type { Clock } from "../../models/core/clock.ts";
import { messageOf } from "../../models/core/errors.ts";
import { eventAt } from "../../models/core/event.ts";
import type { IndexGeneration } from "../../models/recall/generation.ts";
import type { InteractionWeights } from "../../models/recall/interaction-weights.ts";
import type { StopSignal } from "../loop.ts";
import type { CounterName, GaugeName, HistogramName } from "../metrics.ts";
import type { CheckpointStore } from "../stores/checkpoint-store.ts";
import type { LogBatch, LogPoint, TailedLog } from "../stores/event-log.ts";
import { RecallCore, type RecallCoreOptions } from "./recall-core.ts";

export interface RecallRoleOptions {
  readonly log: TailedLog;
  readonly clock: Clock;
  readonly weights: InteractionWeights;
  readonly core: RecallCoreOptions;
  /** Null: nothing is kept, histories are read from the whole log at every start. */
  readonly checkpoints: CheckpointStore | null;
  /** Called with each new generation; readers take it from there. */
  readonly publish: (generation: IndexGeneration) => void;
  /** A step does a whole rebuild, not a slice of it: for virtual time, where nobody waits. */
  readonly rebuildAtOnce?: boolean;
  readonly readBytes?: number;
  readonly checkpointEveryMs?: number;
  readonly warn?: (message: string) => void;
  readonly metrics?: {
    add(name: CounterName, by: number): void;
    observe(name: HistogramName, value: number): void;
    set(name: GaugeName, value: number): void;
  };
}

/** Reads events, rebuilds generations, keeps checkpoints. Steppable: it has no timer of its own. */
export class RecallRole {
  readonly core: RecallCore;
  readonly #options: RecallRoleOptions;
  #savedAtMs = Number.NEGATIVE_INFINITY;
  #savedGeneration = 0;

  private constructor(options: RecallRoleOptions) {
    this.#options = options;
    const core = options.rebuildAtOnce ? { ...options.core, rebuildShare: 1 } : options.core;
    this.core = new RecallCore(core, options.log.partitions("events"));
  }

  /** Takes the newest checkpoint in and publishes its generation at once. */
  static async open(options: RecallRoleOptions): Promise<RecallRole> {
    const role = new RecallRole(options);
    const sections = await options.checkpoints?.load();
    options.log.letGo("recall", options.checkpoints?.needed() ?? []);
    if (!sections) return role;
    try {
      role.core.restore(sections);
    } catch (error) {
      options.warn?.(`recall checkpoint left out: ${messageOf(error)}`);
    }
    const { current } = role.core;
    if (current !== null) options.publish(current);
    role.#savedGeneration = current?.generation ?? 0;
    return role;
  }

  /** Takes in what the log has, then does one slice of a rebuild; gives how much was done. */
  async step(): Promise<number> {
    let done = 0;
    for (let partition = 0; partition < this.core.offsets.length; partition++) {
      done += await this.#read(partition);
    }
    const before = this.core.current;
    const { clock, rebuildAtOnce } = this.#options;
    const worked = this.core.advance(clock, this.caughtUp);
    while (rebuildAtOnce && this.core.rebuilding) this.core.advance(clock, true);
    if (this.core.current !== before) this.#publish();
    await this.#maybeCheckpoint();
    return done + (worked ? 1 : 0);
  }

  #publish(): void {
    const { metrics, publish } = this.#options;
    if (this.core.current !== null) publish(this.core.current);
    metrics?.set("rec_recall_interactions", this.core.interactions);
    metrics?.add("rec_recall_generations_total", 1);
    metrics?.observe("rec_recall_rebuild_duration_ms", this.core.rebuildMs);
  }

  async #read(partition: number): Promise<number> {
    const { log, readBytes = 4 << 20 } = this.#options;
    const { offsets } = this.core;
    const from = Math.max(offsets[partition], log.startOffset("events", partition));
    if (log.endOffset("events", partition) <= from) return 0;
    const batch = await log.read("events", partition, from, readBytes);
    this.#take(batch);
    offsets[partition] = batch.firstOffset + batch.count;
    return batch.count;
  }

  /** Only fixed fields are read: no text is decoded. */
  #take(batch: LogBatch): void {
    const { weights, metrics } = this.#options;
    const { leftOut } = this.core;
    // One view of all: making one for each record costs more than reading it.
    const view = viewOf(batch.data);
    for (let i = 0; i < batch.count; i++) {
      const at = batch.bounds[i];
      const value = view.getFloat32(at + eventAt.value, true);
      const weight = weights.of(view.getUint8(at + eventAt.type), value);
      if (weight <= 0) continue;
      const userRow = view.getUint32(at + eventAt.userRow, true);
      this.core.take(userRow, view.getUint32(at + eventAt.itemRow, true), weight);
    }
    const bit = this.core.leftOut - leftOut;
    if (bit > 0) metrics?.add('rec_limit_reached_total{limit="recallItemsMax"}', bit);
  }

  get caughtUp(): boolean {
    const { log } = this.#options;
    return this.core.offsets.every((offset, partition) => {
      return log.endOffset("events", partition) <= offset;
    });
  }

  async #maybeCheckpoint(): Promise<void> {
    const { clock, checkpointEveryMs = 300_000 } = this.#options;
    const generation = this.core.current?.generation ?? 0;
    if (generation === this.#savedGeneration) return;
    if (clock.nowMs() - this.#savedAtMs < checkpointEveryMs) return;
    try {
      await this.checkpoint();
    } catch (error) {
      this.#options.warn?.(`recall checkpoint: ${messageOf(error)}`);
    }
  }

  /**
   * Keeps the state as it is now. The role takes nothing in meanwhile, so that nothing need be
   * copied: no request waits for it, and a copy would be tens of megabytes now and then.
   */
  async checkpoint(): Promise<void> {
    this.#savedAtMs = this.#options.clock.nowMs();
    this.#savedGeneration = this.core.current?.generation ?? 0;
    const { checkpoints, log } = this.#options;
    if (checkpoints === null) return;
    await checkpoints.save(this.core.save(), this.#points());
    log.letGo("recall", checkpoints.needed());
  }

  #points(): LogPoint[] {
    return this.core.offsets.map((offset, partition) => ({ topic: "events", partition, offset }));
  }

  /** Milliseconds until the rebuild under way goes on; 0 where none is. */
  get restMs(): number {
    return this.core.restMs(this.#options.clock.nowMs());
  }

  async waitForMore(timeoutMs: number): Promise<void> {
    await this.#options.log.waitForAny(this.#points(), timeoutMs);
  }

  /** Writes the last checkpoint, gives the graphs back. Not during a step. */
  async close(): Promise<void> {
    await this.checkpoint();
    this.core.close();
  }
}

/** How long the role sleeps while nothing comes: a rebuild may be due meanwhile. */
const idleMs = 200;

/** Runs the role until it is told to stop; other messages of the thread come in between steps. */
export async function runRecall(role: RecallRole, stop: StopSignal): Promise<void> {
  while (!stop.stopped) {
    const done = await role.step();
    if (done === 0) await role.waitForMore(role.restMs || idleMs);
    else await new Promise((resolve) => setImmediate(resolve));
  }
  await role.close();
}
