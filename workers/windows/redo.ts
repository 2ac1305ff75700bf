import { type CommitRecord, decodeCommit, isOf } from "../stores/commit-record.ts";
import { type LogBatch, recordOf, type TailedLog } from "../stores/event-log.ts";
import type { LogSource } from "../stores/log-source.ts";
import type { WindowsCore } from "./windows.ts";

const readBytes = 1 << 20;
/** Commits that one step takes in: between steps the role can be told to stop. */
const commitsAtOnce = 1_024;

export interface RedoOptions {
  readonly log: TailedLog;
  readonly core: WindowsCore;
  /** Of the role's topic `commits`. */
  readonly partition: number;
  /** Offset of the first commit that the core has not got. */
  readonly from: number;
  readonly warn: (message: string) => void;
}

/**
 * Takes in what was taken in before a stop, in the same order, so that every record gets the
 * sequence number that it had: a row's offset then means the same for as long as the log is kept.
 */
export class Redo {
  readonly #options: RedoOptions;
  readonly #to: number;
  #next: number;
  /** The last read of each source: commits are often smaller than a read. */
  readonly #batches = new Map<LogSource, LogBatch>();

  constructor(options: RedoOptions) {
    const { log, partition, from } = options;
    this.#options = options;
    this.#to = log.endOffset("commits", partition);
    this.#next = Math.max(from, log.startOffset("commits", partition));
  }

  get done(): boolean {
    return this.#next >= this.#to;
  }

  /** Returns the bytes of what it took in. */
  async step(): Promise<number> {
    const { log, partition } = this.#options;
    const batch = await log.read("commits", partition, this.#next, readBytes);
    const count = Math.min(batch.count, commitsAtOnce);
    let bytes = 0;
    for (let i = 0; i < count; i++) bytes += await this.#take(decodeCommit(recordOf(batch, i)));
    this.#next += count;
    if (this.done) this.#batches.clear();
    return bytes;
  }

  async #take(commit: CommitRecord): Promise<number> {
    let bytes = 0;
    const { core, log, warn } = this.#options;
    const source = core.sources.find((one) => isOf(commit, one));
    const end = commit.first + commit.count;
    if (source !== undefined) {
      const kept = Math.min(end, log.endOffset(commit.topic, commit.partition));
      const dropped = log.startOffset(commit.topic, commit.partition);
      let at = Math.max(commit.first, source.offset, dropped);
      while (at < kept) {
        const batch = partOf(await this.#batchAt(source, at), at, kept);
        core.sequence = commit.sequence + (at - commit.first);
        core.apply(source, batch);
        at += batch.count;
        bytes += batch.bounds[batch.count] - batch.bounds[0];
      }
      if (kept < end) warn(`${commit.topic}/${commit.partition}: ${end - kept} records are lost`);
    }
    core.sequence = commit.sequence + commit.count;
    core.commits++;
    return bytes;
  }

  async #batchAt(source: LogSource, offset: number): Promise<LogBatch> {
    const known = this.#batches.get(source);
    if (known !== undefined && offset >= known.firstOffset) {
      if (offset < known.firstOffset + known.count) return known;
    }
    const { topic, partition } = source;
    const batch = await this.#options.log.read(topic, partition, offset, readBytes);
    this.#batches.set(source, batch);
    return batch;
  }
}

/** Records `from` to before `to` of a batch, as far as it has them. */
function partOf(batch: LogBatch, from: number, to: number): LogBatch {
  const count = Math.min(to, batch.firstOffset + batch.count) - from;
  const bounds = batch.bounds.subarray(from - batch.firstOffset);
  return { firstOffset: from, count, data: batch.data, bounds };
}
