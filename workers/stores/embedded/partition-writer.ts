import { messageOf, RecError } from "../../../models/core/errors.ts";
import type { AppendOptions } from "../event-log.ts";
import type { File, FileSystem } from "../file-system.ts";
import { type Append, AppendQueue } from "./append-queue.ts";
import { CommitEncoder, commitBytesMax, groupTargetBytes, type LogHead } from "./commit.ts";
import type { Control, PartitionName } from "./control.ts";
import { recoverPartition } from "./recovery.ts";
import { type Retention, segmentsToDrop } from "./retention.ts";
import { groupBytesMax, segmentPath } from "./segment.ts";

/** `async`: answers before the sync; a power loss (not a `kill -9`) loses the last moments. */
export type Durability = "fsync" | "async";

/** What happens to a commit, in its order: a test holds that no answer leaves before the sync. */
export type TraceStep = "written" | "synced" | "visible" | "resolved";
export type Trace = (step: TraceStep, name: PartitionName, endOffset: number) => void;

/** What a writer needs from the log that it belongs to. */
export interface WriterContext {
  readonly fileSystem: FileSystem;
  readonly control: Control;
  readonly durability: Durability;
  readonly segmentBytes: number;
  readonly queueBytesMax: number;
  /** How long appends that do not wait for the disk may gather before a sync. */
  readonly lingerMs: number;
  readonly retention: Retention;
  readonly nowMs: () => number;
  readonly report: (message: string) => void;
  readonly trace: Trace | null;
}

/** The one writer of a partition: joins what waits, writes it, syncs once, then answers. */
export class PartitionWriter {
  readonly #name: PartitionName;
  readonly #directory: string;
  readonly #context: WriterContext;
  readonly #queue: AppendQueue;
  readonly #encoder = new CommitEncoder();
  #segments: number[];
  #file: File | null;
  /** Committed bytes of the last segment. */
  #position: number;
  #head: LogHead;
  /** A write or a sync failed: what stands behind `#position` is cut before the next write. */
  #suspect = false;
  #failing = false;
  #unsynced = false;
  #rolled = false;
  #running: Promise<void> | null = null;
  #hurry: (() => void) | null = null;
  #flushing = 0;
  #closed = false;

  /** Recovers the partition. The caller has claimed it. */
  constructor(name: PartitionName, directory: string, context: WriterContext) {
    this.#name = name;
    this.#directory = directory;
    this.#context = context;
    const bytesMax = context.queueBytesMax;
    this.#queue = new AppendQueue({ bytesMax, appendBytesMax: groupBytesMax });
    const { control, fileSystem, report } = context;
    const shownOffset = control.endOffset(name.slot);
    const tail = recoverPartition({ fileSystem, directory, report, shownOffset });
    this.#segments = tail.segments;
    this.#file = tail.file;
    this.#position = tail.fileBytes;
    this.#head = tail;
    control.setStartOffset(name.slot, tail.segments[0] ?? 0);
    control.publish(name.slot, tail.nextOffset);
  }

  get lastFrame(): Uint8Array | null {
    return this.#head.lastFrame;
  }

  append(records: readonly Uint8Array[], options: AppendOptions): Promise<number> {
    const frame = options.frame ?? null;
    const durable = options.durable ?? true;
    let recordBytes = 0;
    for (const record of records) recordBytes += record.length;
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new RecError("REC_LOG_CLOSED", "the log is closed");
      this.#queue.push({ records, recordBytes, frame, durable, resolve, reject });
      if (durable || this.#queue.bytes > groupTargetBytes) this.#hurry?.();
      this.#running ??= this.#run();
    });
  }

  /** Everything appended so far is on disk, or was refused. */
  async flush(): Promise<void> {
    this.#flushing++;
    this.#hurry?.();
    try {
      while (this.#running !== null) await this.#running;
      if (this.#unsynced) await this.#sync();
    } finally {
      this.#flushing--;
    }
  }

  /** Closes a writer that has not written: for a partition that was only to be recovered. */
  abandon(): void {
    this.#closed = true;
    this.#file?.close();
    this.#file = null;
    this.#context.control.release(this.#name.slot);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.flush();
      if (this.#suspect) this.#repair();
    } finally {
      this.#file?.close();
      this.#file = null;
      this.#context.control.release(this.#name.slot);
    }
  }

  async #run(): Promise<void> {
    // Appends of the same turn of the event loop go into one group.
    await null;
    while (this.#queue.length > 0) {
      if (!this.#queue.urgent) await this.#linger();
      const appends = this.#queue.take(commitBytesMax);
      try {
        await this.#commit(appends);
        this.#tell(null);
      } catch (error) {
        this.#suspect = true;
        this.#tell(error);
        const refusal = this.#refusal(error);
        for (const append of appends) append.reject(refusal);
      }
      if (this.#rolled) this.#dropOld();
    }
    this.#running = null;
  }

  /** Waits for more to join, until somebody hurries. */
  #linger(): Promise<void> {
    const { durability, lingerMs } = this.#context;
    const wanted = this.#queue.bytes > groupTargetBytes || this.#flushing > 0;
    if (durability === "async" || lingerMs === 0 || wanted) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#hurry?.(), lingerMs);
      this.#hurry = () => {
        clearTimeout(timer);
        this.#hurry = null;
        resolve();
      };
    });
  }

  async #commit(appends: readonly Append[]): Promise<void> {
    if (this.#suspect) this.#repair();
    const file = await this.#segmentForWriting();
    const options = { startsSegment: this.#position === 0, timeMs: this.#context.nowMs() };
    const encoded = this.#encoder.encode(appends, this.#head, options);
    file.write(encoded.bytes, this.#position);
    this.#trace("written", encoded.nextOffset);
    this.#unsynced = true;
    if (this.#context.durability === "fsync") {
      await this.#sync();
      this.#trace("synced", encoded.nextOffset);
    }
    const { nextOffset, lastCrc, lastFrame } = encoded;
    const firstOffset = this.#head.nextOffset;
    this.#position += encoded.bytes.length;
    this.#head = { nextOffset, lastCrc, lastFrame };
    this.#context.control.publish(this.#name.slot, nextOffset);
    this.#trace("visible", nextOffset);
    this.#answer(appends, firstOffset);
  }

  #answer(appends: readonly Append[], firstOffset: number): void {
    let offset = firstOffset;
    for (const append of appends) {
      append.resolve(offset);
      offset += append.records.length;
    }
    this.#trace("resolved", offset);
  }

  async #sync(): Promise<void> {
    this.#unsynced = false;
    await this.#file?.sync();
  }

  /**
   * After a failed write or sync the kernel may count lost pages as clean. Cutting back to what was
   * acknowledged and syncing that makes the next write dirty its pages again.
   */
  #repair(): void {
    this.#file?.truncate(this.#position);
    this.#file?.syncNow();
    this.#suspect = false;
  }

  async #segmentForWriting(): Promise<File> {
    if (this.#file !== null && this.#position < this.#context.segmentBytes) return this.#file;
    return await this.#roll();
  }

  /** The old segment is on disk before the new one exists: only the last one can be torn. */
  async #roll(): Promise<File> {
    if (this.#unsynced) await this.#sync();
    const { fileSystem } = this.#context;
    const path = segmentPath(this.#directory, this.#head.nextOffset);
    if (this.#file?.path === path) return this.#replaceByFrame(path);
    const file = fileSystem.open(path, "create");
    fileSystem.syncDirectory(this.#directory);
    this.#useFile(file, 0);
    this.#segments.push(this.#head.nextOffset);
    this.#rolled = true;
    return file;
  }

  /** A segment full of frames without a record: only the newest frame matters. */
  #replaceByFrame(path: string): File {
    const { fileSystem, nowMs } = this.#context;
    const head = { ...this.#head, lastCrc: 0 };
    const rest = { durable: true, resolve: () => {}, reject: () => {} };
    const append = { records: [], recordBytes: 0, frame: this.#head.lastFrame, ...rest };
    const options = { startsSegment: true, timeMs: nowMs() };
    const encoded = this.#encoder.encode([append], head, options);
    const file = fileSystem.open(`${path}.new`, "create");
    file.write(encoded.bytes, 0);
    file.syncNow();
    file.close();
    fileSystem.rename(`${path}.new`, path);
    fileSystem.syncDirectory(this.#directory);
    this.#useFile(fileSystem.open(path, "write"), encoded.bytes.length);
    this.#head = { ...this.#head, lastCrc: encoded.lastCrc };
    return this.#file ?? fileSystem.open(path, "write");
  }

  #useFile(file: File, position: number): void {
    this.#file?.close();
    this.#file = file;
    this.#position = position;
    if (position === 0) this.#head = { ...this.#head, lastCrc: 0 };
  }

  /** After the new segment's first commit, which holds the newest frame. */
  #dropOld(): void {
    this.#rolled = false;
    try {
      const { control, retention } = this.#context;
      const neededOffset = control.neededOffset(this.#name.slot, retention.heldBy ?? []);
      const context = { ...this.#context, neededOffset };
      const count = segmentsToDrop(this.#directory, this.#segments, context);
      const dropped = this.#segments.slice(0, count);
      this.#segments = this.#segments.slice(count);
      // Readers are told first: a missing file is then explained by the start offset.
      control.setStartOffset(this.#name.slot, this.#segments[0] ?? 0);
      for (const first of dropped) {
        this.#context.fileSystem.remove(segmentPath(this.#directory, first));
      }
    } catch (error) {
      this.#context.report(`${this.#directory}: old segments stay: ${messageOf(error)}`);
    }
  }

  #trace(step: TraceStep, endOffset: number): void {
    this.#context.trace?.(step, this.#name, endOffset);
  }

  #refusal(cause: unknown): RecError {
    const { topic, partition } = this.#name;
    const message = `${topic}/${partition} cannot be written now: try again`;
    const fix = cause instanceof RecError ? cause.fix : undefined;
    return new RecError("REC_LOG_FAILED", message, fix === undefined ? { cause } : { cause, fix });
  }

  /** The first failure in a row, and its end: a full disk must not fill the server's own log. */
  #tell(failure: unknown): void {
    if (this.#failing === (failure !== null)) return;
    this.#failing = failure !== null;
    const path = this.#file?.path ?? this.#directory;
    const fix = failure instanceof RecError && failure.fix !== undefined ? `: ${failure.fix}` : "";
    const what = this.#failing
      ? `appends are refused until it can be written again: ${messageOf(failure)}${fix}`
      : "appends are taken again";
    this.#context.report(`${path}: ${what}`);
  }
}
