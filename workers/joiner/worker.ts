import { RecError } from "../../models/core/errors.ts";
import type { StopSignal } from "../loop.ts";
import { type LogPoint, recordOf, type TailedLog } from "../stores/event-log.ts";
import type { LogSource } from "../stores/log-source.ts";
import { decodeFrame, encodeFrame, type JoinerFrame } from "./frame.ts";
import type { JoinerCore } from "./joiner.ts";
import { eventsUntilMs } from "./pace.ts";
import type { LateSample } from "./samples.ts";

export interface JoinerRoleOptions {
  readonly log: TailedLog;
  readonly core: JoinerCore;
  /** Partition of `samples` that this role writes. */
  readonly partition?: number;
  /** Bytes read from one source in a step. */
  readonly readBytes?: number;
  /** A commit without samples is made after so many records, to bound the rebuild. */
  readonly commitEveryRecords?: number;
}

interface Commit {
  readonly samples: Uint8Array[];
  readonly frame: Uint8Array;
  readonly rebuildFrom: readonly LogPoint[];
}

/**
 * Reads slates and events, calls the core, commits samples with the frame that stands for them.
 * Steppable: it has no timer of its own. After a failed commit `step` tries the same commit again
 * and reads nothing new; a restart rebuilds from the last frame that was kept.
 */
export class JoinerRole {
  readonly core: JoinerCore;
  readonly #options: JoinerRoleOptions;
  #unsent: Commit | null = null;
  /** What the frame before the newest rebuilds from: the newest may turn out to be damaged. */
  #neededBefore: readonly LogPoint[] = [];
  #sinceCommit = 0;

  private constructor(options: JoinerRoleOptions) {
    this.core = options.core;
    this.#options = options;
  }

  static async open(options: JoinerRoleOptions): Promise<JoinerRole> {
    const role = new JoinerRole(options);
    role.#letGoOfOthers();
    await role.#rebuild();
    return role;
  }

  /** Slates of other partitions are never read here. */
  #letGoOfOthers(): void {
    const { log, core, partition = 0 } = this.#options;
    const own = core.sources.filter(({ topic }) => topic === "served");
    const served = Array.from({ length: log.partitions("served") }, (_, p) => p);
    const others = served.filter((p) => !own.some((source) => source.partition === p));
    const points = others.map((p) => {
      return { topic: "served" as const, partition: p, offset: Number.MAX_SAFE_INTEGER };
    });
    log.letGo("joiner", points, partition);
  }

  async #rebuild(): Promise<void> {
    const { log, partition = 0 } = this.#options;
    log.openWriter("samples", partition);
    const bytes = await log.lastFrame("samples", partition);
    if (bytes === null) return;
    const frame = decodeFrame(bytes);
    for (const { source, to } of this.core.beginReplay(frame)) {
      while (source.offset < to && (await this.#read(source, { to })) > 0);
    }
    this.core.endReplay(frame);
  }

  /** Takes in what is there, up to `readBytes` of each source; returns how many records. */
  async step(): Promise<number> {
    if (this.#unsent !== null) await this.#send();
    const ends = this.#ends();
    const records = (await this.#readSlates()) + (await this.#readEvents(ends));
    this.core.advance(this.#caughtUp);
    this.#sinceCommit += records;
    await this.#commit();
    return records;
  }

  readonly #caughtUp = ({ topic, partition, offset }: LogSource): boolean =>
    this.#options.log.endOffset(topic, partition) <= offset;

  async #readSlates(): Promise<number> {
    let records = 0;
    for (const source of this.core.sources) {
      if (source.topic !== "served" || !this.core.mayTakeSlates(source, this.#caughtUp)) continue;
      records += await this.#read(source);
    }
    return records;
  }

  /** Ends of the sources before anything of this step is read. */
  #ends(): number[] {
    return this.core.sources.map(({ topic, partition }) =>
      this.#options.log.endOffset(topic, partition),
    );
  }

  /**
   * Events that were in the log before its slates were read: one that came while they were could
   * belong to a slate that came with it, and would be taken for an older one's.
   */
  async #readEvents(ends: readonly number[]): Promise<number> {
    const untilMs = eventsUntilMs(this.core.sources, this.#caughtUp);
    let records = 0;
    for (const [i, source] of this.core.sources.entries()) {
      if (source.topic !== "events") continue;
      records += await this.#read(source, { untilMs, to: ends[i]! });
    }
    return records;
  }

  async #read(source: LogSource, bounds: { to?: number; untilMs?: number } = {}): Promise<number> {
    const { log, readBytes = 1 << 20 } = this.#options;
    const { topic, partition } = source;
    const from = Math.max(source.offset, log.startOffset(topic, partition));
    const end = Math.min(log.endOffset(topic, partition), bounds.to ?? Number.POSITIVE_INFINITY);
    if (end <= from) return 0;
    this.core.take(source, await log.read(topic, partition, from, readBytes), bounds);
    return source.offset - from;
  }

  async #commit(): Promise<void> {
    const { commitEveryRecords = 10_000 } = this.#options;
    const { samples, late } = this.core.emission.drain();
    for (const one of late) {
      const sample = await this.#lateSample(one);
      if (sample !== null) samples.push(sample);
    }
    if (samples.length === 0 && this.#sinceCommit < commitEveryRecords) return;
    const frame = this.core.frame();
    this.#unsent = { samples, frame: encodeFrame(frame), rebuildFrom: this.#pointsOf(frame) };
    await this.#send();
  }

  async #lateSample(late: LateSample): Promise<Uint8Array | null> {
    try {
      const batch = await this.#options.log.read("served", late.partition, late.offset, 1);
      return this.core.emission.sampleOf(recordOf(batch, 0), late);
    } catch (error) {
      if (!(error instanceof RecError) || error.code !== "REC_LOG_GONE") throw error;
      this.core.counts.recordsGone++;
      return null;
    }
  }

  async #send(): Promise<void> {
    const { log, partition = 0 } = this.#options;
    if (this.#unsent === null) return;
    const { samples, frame, rebuildFrom } = this.#unsent;
    await log.append("samples", partition, samples, { frame });
    this.#letGo(rebuildFrom);
    this.#unsent = null;
    this.#sinceCommit = 0;
  }

  #pointsOf({ rebuildFrom }: JoinerFrame): LogPoint[] {
    return this.core.sources.map(({ topic, partition }, i) => {
      return { topic, partition, offset: rebuildFrom[i]! };
    });
  }

  #letGo(rebuildFrom: readonly LogPoint[]): void {
    const { log, partition = 0 } = this.#options;
    log.letGo("joiner", this.#neededBefore, partition);
    this.#neededBefore = rebuildFrom;
  }

  /** Returns once a source has more, or after `timeoutMs`. */
  async waitForMore(timeoutMs: number): Promise<void> {
    await this.#options.log.waitForAny(this.core.sources, timeoutMs);
  }
}

/**
 * Runs the roles of a thread, each of a partition of its own, until told to stop. A refused commit
 * is tried again a little later.
 */
export async function runJoiners(
  roles: readonly JoinerRole[],
  stop: StopSignal,
  told: { afterStep: (role: JoinerRole) => void; warn: (message: string) => void },
): Promise<void> {
  const run = async (role: JoinerRole) => {
    while (!stop.stopped) {
      try {
        if ((await role.step()) === 0) await role.waitForMore(100);
        told.afterStep(role);
      } catch (error) {
        if (!(error instanceof RecError)) throw error;
        told.warn(`joiner: ${error.message}`);
        await stop.sleep(100);
      }
    }
  };
  await Promise.all(roles.map(run));
}
