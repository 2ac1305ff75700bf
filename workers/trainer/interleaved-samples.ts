import { text, utf8 } from "../../models/core/bytes.ts";
import { type CommitRecord, decodeCommit, encodeCommit } from "../stores/commit-record.ts";
import {
  type LogBatch,
  type LogPoint,
  type LogReader,
  recordOf,
  type TailedLog,
} from "../stores/event-log.ts";
import type { SampleLog } from "./worker.ts";

/** Samples that one partition gives before the next has its turn. */
const turnSamples = 1_000;
/** Read of commits at once. */
const commitsBytes = 1 << 16;

/** Beside the newest commit: where each partition of samples goes on. */
interface Frame {
  readonly taken: readonly number[];
}

/** A commit and where it stands. */
interface Place {
  readonly commit: CommitRecord;
  readonly offset: number;
}

/**
 * Samples of several partitions as the one sequence that training is a function of. Partitions take
 * turns; what is taken next is committed before it is given out, with its numbers in the sequence,
 * so whoever reads again gets every sample at the number that it had. The commits stand in the
 * partition of `commits` behind those of the users' partitions.
 */
export class InterleavedSamples implements SampleLog {
  readonly #log: TailedLog;
  readonly #partitions: number;
  /** Next sample of each partition that no commit has. */
  readonly #taken: number[];
  /** Number after the last committed sample. */
  #end = 0;
  #last = -1;
  /** The first number from which everything is kept, as long as the log begins at `starts`. */
  #start = 0;
  #starts = "";
  /** The number that a start goes on from, once it was said and is not told to the log yet. */
  #needed: number | null = null;
  /** The commit that was read last, and its offset. */
  #at: Place | null = null;
  readonly #commits: boolean;

  private constructor(log: TailedLog, commits: boolean) {
    this.#log = log;
    this.#commits = commits;
    this.#partitions = log.partitions("samples");
    this.#taken = new Array<number>(this.#partitions).fill(0);
  }

  /** `commits`: false for who only reads what was committed, beside the trainer. */
  static async open(log: TailedLog, { commits = true } = {}): Promise<InterleavedSamples> {
    const samples = new InterleavedSamples(log, commits);
    if (commits) log.openWriter("commits", samples.#own);
    const frame = await log.lastFrame("commits", samples.#own);
    if (frame === null) return samples;
    const { taken }: Frame = JSON.parse(text(frame));
    for (const [partition, offset] of taken.entries()) samples.#taken[partition] = offset;
    const { commit } = await samples.#commitAt(log.endOffset("commits", samples.#own) - 1);
    samples.#end = commit.sequence + commit.count;
    samples.#last = commit.partition;
    await samples.#findStart();
    return samples;
  }

  /** Partition of `commits` that this writes. */
  get #own(): number {
    return this.#partitions;
  }

  /** Older ones were dropped by retention, or what says in which order they came. */
  startOffset(): number {
    return this.#start;
  }

  async #findStart(): Promise<void> {
    const offset = this.#log.startOffset("commits", this.#own);
    const starts = this.#taken.map((_, p) => this.#log.startOffset("samples", p));
    const key = [offset, ...starts].join();
    if (key === this.#starts || offset === this.#log.endOffset("commits", this.#own)) return;
    let number = (await this.#commitAt(offset)).commit.sequence;
    const whole = new Set<number>();
    for await (const { partition, first, count, sequence } of this.#commitsFrom(offset)) {
      const gone = starts[partition]! - first;
      if (gone > 0) number = sequence + Math.min(count, gone);
      else whole.add(partition);
      if (whole.size === this.#partitions) break;
    }
    this.#start = number;
    this.#starts = key;
  }

  async *#commitsFrom(from: number): AsyncGenerator<CommitRecord> {
    const end = this.#log.endOffset("commits", this.#own);
    for (let offset = from; offset < end; ) {
      const batch = await this.#log.read("commits", this.#own, offset, commitsBytes);
      for (let i = 0; i < batch.count; i++) yield decodeCommit(recordOf(batch, i));
      offset += batch.count;
    }
  }

  /** Committed or not. */
  endOffset(): number {
    let end = this.#end;
    for (let partition = 0; this.#commits && partition < this.#partitions; partition++) {
      end += this.#waiting(partition);
    }
    return end;
  }

  #waiting(partition: number): number {
    return Math.max(0, this.#log.endOffset("samples", partition) - this.#nextOf(partition));
  }

  /** Where a trainer rested, samples that it never took may have been dropped. */
  #nextOf(partition: number): number {
    return Math.max(this.#taken[partition]!, this.#log.startOffset("samples", partition));
  }

  async read(
    _topic: "samples",
    _partition: number,
    offset: number,
    maxBytes: number,
  ): Promise<LogBatch> {
    await this.#findStart();
    await this.#tellNeeded();
    // A snapshot may know of samples whose commits a power loss took: they come again, and count.
    while (this.#end < offset) await this.#takeNext(maxBytes);
    if (offset === this.#end) return await this.#takeNext(maxBytes);
    const { partition, first, count, sequence } = (await this.#placeOf(offset)).commit;
    const from = first + (offset - sequence);
    const batch = await this.#log.read("samples", partition, from, maxBytes);
    return firstOf(batch, first + count - from, offset);
  }

  /** The next partition that has some, from the one after the last on. */
  async #takeNext(maxBytes: number): Promise<LogBatch> {
    for (let turn = 1; turn <= this.#partitions; turn++) {
      const partition = (this.#last + turn) % this.#partitions;
      if (this.#waiting(partition) === 0) continue;
      const first = this.#nextOf(partition);
      const read = await this.#log.read("samples", partition, first, maxBytes);
      const batch = firstOf(read, turnSamples, this.#end);
      await this.#commit({ partition, first, count: batch.count, sequence: this.#end });
      return batch;
    }
    return {
      firstOffset: this.#end,
      count: 0,
      data: new Uint8Array(0),
      bounds: new Uint32Array(1),
    };
  }

  async #commit(commit: Omit<CommitRecord, "topic">): Promise<void> {
    const { partition, first, count } = commit;
    const taken = this.#taken.map((offset, p) => (p === partition ? first + count : offset));
    const frame: Frame = { taken };
    const record = encodeCommit({ topic: "samples", ...commit });
    const options = { frame: utf8(JSON.stringify(frame)) };
    await this.#log.append("commits", this.#own, [record], options);
    this.#taken[partition] = first + count;
    this.#end += count;
    this.#last = partition;
  }

  /** The commit that has a number below the end, and its offset. */
  async #placeOf(number: number): Promise<Place> {
    let from = this.#log.startOffset("commits", this.#own);
    let to = this.#log.endOffset("commits", this.#own) - 1;
    if (this.#at !== null && number >= this.#at.commit.sequence) {
      from = this.#at.offset;
      // Read on from there, as nearly always: the same commit or the next.
      if (number >= this.#at.commit.sequence + this.#at.commit.count) from++;
      const near = await this.#commitAt(from);
      if (number < near.commit.sequence + near.commit.count) return near;
    }
    while (from < to) {
      const middle = Math.floor((from + to) / 2);
      const { sequence, count } = (await this.#commitAt(middle)).commit;
      if (number < sequence + count) to = middle;
      else from = middle + 1;
    }
    return await this.#commitAt(from);
  }

  async #commitAt(offset: number): Promise<Place> {
    if (this.#at?.offset === offset) return this.#at;
    const batch = await this.#log.read("commits", this.#own, offset, 1);
    this.#at = { commit: decodeCommit(recordOf(batch, 0)), offset };
    return this.#at;
  }

  /** Of a number; what it means for each partition is told to the log with the next read. */
  letGo(_reader: LogReader, [point]: readonly LogPoint[]): void {
    this.#needed = point?.offset ?? 0;
    if (this.#needed < Number.MAX_SAFE_INTEGER) return;
    // Who needs nothing reads nothing more either.
    const none = this.#taken.map(() => Number.MAX_SAFE_INTEGER);
    this.#log.letGo("trainer", this.#points(none, Number.MAX_SAFE_INTEGER));
    this.#needed = null;
  }

  async #tellNeeded(): Promise<void> {
    const number = this.#needed;
    if (number === null) return;
    const next = [...this.#taken];
    let commits = Math.max(0, this.#log.endOffset("commits", this.#own) - 1);
    if (number < this.#end) {
      commits = (await this.#placeOf(number)).offset;
      const met = new Set<number>();
      for await (const { partition, first, sequence } of this.#commitsFrom(commits)) {
        if (!met.has(partition)) next[partition] = first + Math.max(0, number - sequence);
        if (met.add(partition).size === this.#partitions) break;
      }
    }
    this.#log.letGo("trainer", this.#points(next, commits));
    this.#needed = null;
  }

  #points(samples: readonly number[], commits: number): LogPoint[] {
    const of = samples.map((offset, partition) => ({
      topic: "samples" as const,
      partition,
      offset,
    }));
    return [...of, { topic: "commits", partition: this.#own, offset: commits }];
  }

  async waitForMore(
    _topic: "samples",
    _partition: number,
    _offset: number,
    timeoutMs: number,
  ): Promise<void> {
    const points = this.#taken.map((offset, partition) => ({
      ...{ topic: "samples" as const, partition, offset },
    }));
    await this.#log.waitForAny(points, timeoutMs);
  }
}

/** At most `count` records of a batch, under numbers from `number` on. */
function firstOf(batch: LogBatch, count: number, number: number): LogBatch {
  const kept = Math.min(batch.count, count);
  return { ...batch, firstOffset: number, count: kept };
}

/** What a trainer reads: one partition as it stands, several in the order that it commits. */
export async function openSamples(log: TailedLog): Promise<SampleLog> {
  return log.partitions("samples") === 1 ? log : await InterleavedSamples.open(log);
}
