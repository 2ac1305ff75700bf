import type { Clock } from "../../models/core/clock.ts";
import { messageOf, RecError } from "../../models/core/errors.ts";
import type { StopSignal } from "../loop.ts";
import type { CheckpointStore, SavedCheckpoint } from "../stores/checkpoint-store.ts";
import { encodeCommit } from "../stores/commit-record.ts";
import type { LogPoint, TailedLog } from "../stores/event-log.ts";
import type { LogSource } from "../stores/log-source.ts";
import { clearWindows, restoreWindows, saveWindows } from "./checkpoint.ts";
import { LateTopic } from "./late-topic.ts";
import { Redo } from "./redo.ts";
import type { PrefaultRows } from "./tables.ts";
import type { Trending } from "./trending.ts";
import type { WindowsCore } from "./windows.ts";

export interface WindowsRoleOptions {
  readonly log: TailedLog;
  readonly core: WindowsCore;
  /** Of users, that the core takes in, and of `commits`, that the role writes. Default 0. */
  readonly partition?: number;
  readonly clock: Clock;
  /** Null: the state is rebuilt from the whole log at every start. */
  readonly checkpoints: CheckpointStore | null;
  readonly trending?: Trending;
  readonly prefault?: PrefaultRows;
  /** Bytes read from one source in a step. */
  readonly readBytes?: number;
  /** So much log is read again by a start, and what comes while a checkpoint is written. */
  readonly checkpointEveryRecords?: number;
  readonly checkpointEveryBytes?: number;
  readonly trendingEveryMs?: number;
  /** Told of what went wrong and did not stop the role. */
  readonly warn?: (message: string) => void;
}

/** A start that has read fewer records again leaves it at that. */
const caughtUpLeast = 20_000;
/** A start that has much to read is held up by few checkpoints: one for so many usual ones. */
const rarerWhileBehind = 4;

/**
 * Reads the log, commits what it is about to take in, calls the core, keeps checkpoints. Steppable:
 * it has no timer of its own. After a refused commit `step` throws and has taken nothing in.
 */
export class WindowsRole {
  readonly core: WindowsCore;
  readonly #options: WindowsRoleOptions;
  /** Ends of the sources when the role was opened. */
  readonly #endsAtOpen: readonly number[];
  #redo: Redo;
  #lastCheckpoint = 0;
  #bytesSince = 0;
  /** What was in the log when the role was opened is being read. */
  #catchingUp = true;
  #lastTrendingMs = 0;
  #saving: Promise<void> | null = null;
  #late: LateTopic | null = null;

  private constructor(options: WindowsRoleOptions) {
    this.core = options.core;
    this.#options = options;
    this.#endsAtOpen = options.core.sources.map(({ topic, partition }) =>
      options.log.endOffset(topic, partition),
    );
    this.#redo = this.#redoFrom(0);
  }

  #redoFrom(from: number): Redo {
    const { log, core, partition = 0, warn = () => {} } = this.#options;
    return new Redo({ log, core, partition, from, warn });
  }

  /** Restores the newest checkpoint; `step` then replays what came after it. */
  static async open(options: WindowsRoleOptions): Promise<WindowsRole> {
    // What a dead thread had written and not shown yet is shown: it is part of what to redo.
    options.log.openWriter("commits", options.partition ?? 0);
    const role = new WindowsRole(options);
    await role.#openLate();
    clearWindows(options.core);
    const saved = (await options.checkpoints?.open()) ?? null;
    options.log.letGo("windows", options.checkpoints?.needed() ?? []);
    if (saved !== null) role.#restore(saved);
    role.#lastCheckpoint = options.core.sequence;
    return role;
  }

  #restore(saved: SavedCheckpoint): void {
    const { core, trending, prefault, warn } = this.#options;
    try {
      if (!restoreWindows(core, saved, prefault)) {
        warn?.("the windows' checkpoint is of another version: the log is read from its start");
        return;
      }
      trending?.restore(saved);
    } finally {
      saved.close();
    }
    this.#mindLostRecords();
    this.#redo = this.#redoFrom(core.commits);
  }

  /** Where the log has no such topic nothing is told. */
  async #openLate(): Promise<void> {
    const { log, core, partition = 0 } = this.#options;
    if (log.partitions("late") <= partition) return;
    this.#late = await LateTopic.open(log, partition);
    core.late = this.#late;
  }

  /** A log that lost its unsynced tail goes on below the checkpoint: new records must count. */
  #mindLostRecords(): void {
    for (const source of this.core.sources) {
      const { topic, partition, offset } = source;
      const end = this.#options.log.endOffset(topic, partition);
      if (offset <= end) continue;
      this.#options.warn?.(`${topic}/${partition} ends at ${end}, ${offset} had been applied`);
      source.offset = end;
    }
  }

  /** Applies what is there, up to `readBytes` of each source; returns how many records. */
  async step(): Promise<number> {
    const before = this.core.sequence;
    if (!this.#redo.done) this.#bytesSince += await this.#redo.step();
    else for (const source of this.core.sources) await this.#read(source);
    this.#late?.advance();
    if (this.#late?.isFull) await this.#late.flush();
    this.#refreshTrending();
    this.#maybeCheckpoint();
    return this.core.sequence - before;
  }

  async #read(source: LogSource): Promise<void> {
    const { log, readBytes = 1 << 20 } = this.#options;
    const { topic, partition } = source;
    const from = Math.max(source.offset, log.startOffset(topic, partition));
    if (log.endOffset(topic, partition) <= from) return;
    const batch = await log.read(topic, partition, from, readBytes);
    const first = Math.max(from, batch.firstOffset);
    const count = batch.firstOffset + batch.count - first;
    const commit = { topic, partition, first, count, sequence: this.core.sequence };
    await log.append("commits", this.#options.partition ?? 0, [encodeCommit(commit)]);
    this.core.commits++;
    // What was served before this role began to read is noted by nobody else.
    const { seen } = this.core;
    const end = this.#endsAtOpen[this.core.sources.indexOf(source)] ?? 0;
    if (seen !== null) seen.replaying = first < end;
    this.core.apply(source, batch);
    this.#bytesSince += batch.data.length;
  }

  #refreshTrending(): void {
    const { trending, trendingEveryMs = 250, clock } = this.#options;
    const nowMs = clock.nowMs();
    if (trending === undefined || nowMs - this.#lastTrendingMs < trendingEveryMs) return;
    this.#lastTrendingMs = nowMs;
    trending.refresh();
  }

  #maybeCheckpoint(): void {
    if (this.#options.checkpoints === null || this.#saving !== null) return;
    if (!this.#isCheckpointDue()) return;
    this.#saving = this.checkpoint()
      .catch((error) => this.#options.warn?.(`windows checkpoint: ${messageOf(error)}`))
      .finally(() => {
        this.#saving = null;
      });
  }

  #isCheckpointDue(): boolean {
    const { checkpointEveryRecords = 500_000, checkpointEveryBytes = 256 << 20 } = this.#options;
    const records = this.core.sequence - this.#lastCheckpoint;
    if (this.#catchingUp && this.caughtUp) {
      this.#catchingUp = false;
      // The next start shall not read again what this one had to.
      return records >= Math.min(caughtUpLeast, checkpointEveryRecords);
    }
    const times = this.#catchingUp ? rarerWhileBehind : 1;
    const isLong = this.#bytesSince >= times * checkpointEveryBytes;
    return isLong || records >= times * checkpointEveryRecords;
  }

  /** Saves the state as it is now; steps may go on meanwhile (saveWindows). */
  async checkpoint(): Promise<void> {
    const { checkpoints, trending, log } = this.#options;
    if (checkpoints === null) return;
    this.#lastCheckpoint = this.core.sequence;
    this.#bytesSince = 0;
    const sections = [...saveWindows(this.core), ...(trending?.save() ?? [])];
    const needed = this.#points();
    try {
      // What was late must not come again.
      if (this.#late?.isBusy) await this.#late.flush();
      // What its rows have taken in must outlive it: also what came while they were written.
      await checkpoints.save(sections, needed, () => log.flush());
    } finally {
      this.core.ids.release();
    }
    log.letGo("windows", checkpoints.needed());
  }

  /** What comes next, of the inputs and of what was committed. */
  #points(): LogPoint[] {
    const { sources, commits } = this.core;
    const inputs = sources.map(({ topic, partition, offset }) => ({ topic, partition, offset }));
    return [
      ...inputs,
      { topic: "commits", partition: this.#options.partition ?? 0, offset: commits },
    ];
  }

  /** Everything that is in the log is in the tables. */
  get caughtUp(): boolean {
    const { log } = this.#options;
    if (!this.#redo.done) return false;
    return this.core.sources.every(
      ({ topic, partition, offset }) => log.endOffset(topic, partition) <= offset,
    );
  }

  /** Returns once a source has more, or after `timeoutMs`. */
  async waitForMore(timeoutMs: number): Promise<void> {
    await this.#options.log.waitForAny(this.core.sources, timeoutMs);
  }

  /** Waits for a checkpoint that is being written, then writes the last one. */
  async close(): Promise<void> {
    await this.#saving;
    await this.checkpoint();
  }
}

/**
 * Steps the roles of a thread, each of a partition of its own, once caught up, until told to stop;
 * `afterStep` sees each step that applied. A refused commit is tried again a little later.
 */
export async function runWindows(
  roles: readonly WindowsRole[],
  stop: StopSignal,
  told: { afterStep: (role: WindowsRole) => void; warn: (message: string) => void },
): Promise<void> {
  const run = async (role: WindowsRole) => {
    while (!stop.stopped) {
      try {
        if ((await role.step()) === 0) await role.waitForMore(100);
        else told.afterStep(role);
      } catch (error) {
        if (!(error instanceof RecError)) throw error;
        told.warn(`windows: ${error.message}`);
        await stop.sleep(100);
      }
    }
    await role.close();
  };
  // Side by side: one's counting goes on while another's commit waits for the disk.
  await Promise.all(roles.map(run));
}
