import { assert } from "../../../models/core/assert.ts";
import type { Clock } from "../../../models/core/clock.ts";
import { RecError } from "../../../models/core/errors.ts";
import { limits } from "../../../models/limits.ts";
import type {
  AppendOptions,
  LogBatch,
  LogPoint,
  LogReader,
  TailedLog,
  Topic,
} from "../event-log.ts";
import type { FileSystem } from "../file-system.ts";
import { Control, type PartitionName, partitionsOf, type Topics } from "./control.ts";
import { PartitionReader } from "./partition-reader.ts";
import {
  type Durability,
  PartitionWriter,
  type Trace,
  type WriterContext,
} from "./partition-writer.ts";
import type { Retention } from "./retention.ts";
import { Tailers } from "./tailers.ts";

export interface SegmentLogOptions {
  readonly directory: string;
  readonly fileSystem: FileSystem;
  /** Partitions of each topic: the same in every thread. */
  readonly topics: Topics;
  /** Of the thread that opened the log first (`log.control`). Without it, this is that thread. */
  readonly control?: SharedArrayBuffer;
  /** Default `fsync`: what readers see and what is answered is on disk. */
  readonly durability?: Durability;
  /** Default: keeps everything. */
  readonly retention?: Readonly<Partial<Record<Topic, Retention>>>;
  readonly segmentBytes?: number;
  readonly queueBytesMax?: number;
  /** How long `durable: false` appends may gather before their sync. Default 5; 0 does not wait. */
  readonly lingerMs?: number;
  /** For the time of groups and retention by age. */
  readonly clock?: Clock;
  /** Told what was cut at opening. Default: standard error. */
  readonly report?: (message: string) => void;
  /** For tests: the order of write, sync, visibility and answer. */
  readonly trace?: Trace;
}

interface Partition {
  readonly name: PartitionName;
  readonly directory: string;
  readonly reader: PartitionReader;
  writer: PartitionWriter | null;
}

const wallClock: Clock = { nowMs: () => Date.now() };

/** The event log in segment files: see the README beside for the layout and what it promises. */
export class SegmentLog implements TailedLog {
  /** Hand this to the threads that open the same log. */
  readonly control: SharedArrayBuffer;
  readonly #options: SegmentLogOptions;
  readonly #control: Control;
  readonly #partitions: Partition[];
  readonly #tailers: Tailers;
  #closed = false;

  constructor(options: SegmentLogOptions) {
    const names = partitionsOf(options.topics);
    this.#options = options;
    const shape = { slots: names.length, joiners: options.topics.samples ?? 1 };
    this.#control =
      options.control === undefined
        ? Control.create(shape)
        : Control.attach(options.control, shape);
    this.control = this.#control.buffer;
    this.#tailers = new Tailers(this.#control);
    this.#partitions = names.map((name) => this.#openPartition(name));
    if (options.control === undefined) for (const one of this.#partitions) this.#recover(one);
  }

  partitions(topic: Topic): number {
    return this.#options.topics[topic] ?? 0;
  }

  async append(
    topic: Topic,
    partition: number,
    records: readonly Uint8Array[],
    options: AppendOptions = {},
  ): Promise<number> {
    this.#requireOpen();
    return await this.#writer(this.#at(topic, partition)).append(records, options);
  }

  async read(topic: Topic, partition: number, offset: number, maxBytes: number): Promise<LogBatch> {
    this.#requireOpen();
    const { reader, name } = this.#at(topic, partition);
    return reader.read(offset, this.#control.endOffset(name.slot), maxBytes);
  }

  startOffset(topic: Topic, partition: number): number {
    return this.#control.startOffset(this.#at(topic, partition).name.slot);
  }

  endOffset(topic: Topic, partition: number): number {
    return this.#control.endOffset(this.#at(topic, partition).name.slot);
  }

  /**
   * From where a replay of what was written since `timeMs` (epoch milliseconds) begins: the first
   * offset of that time or later, the end where there is none.
   */
  offsetAt(topic: Topic, partition: number, timeMs: number): number {
    this.#requireOpen();
    const { reader, name } = this.#at(topic, partition);
    const slot = name.slot;
    const found = reader.offsetAt(timeMs, this.#control.endOffset(slot));
    return Math.max(found, this.#control.startOffset(slot));
  }

  async waitForMore(
    topic: Topic,
    partition: number,
    offset: number,
    timeoutMs: number,
  ): Promise<void> {
    await this.waitForAny([{ topic, partition, offset }], timeoutMs);
  }

  async waitForAny(points: readonly LogPoint[], timeoutMs: number): Promise<void> {
    const slots = points.map((point) => ({
      slot: this.#at(point.topic, point.partition).name.slot,
      offset: point.offset,
    }));
    await this.#tailers.wait(slots, timeoutMs);
  }

  async lastFrame(topic: Topic, partition: number): Promise<Uint8Array | null> {
    this.#requireOpen();
    const { writer, reader, name } = this.#at(topic, partition);
    if (writer !== null) return writer.lastFrame;
    return reader.lastFrame(this.#control.endOffset(name.slot));
  }

  letGo(reader: LogReader, points: readonly LogPoint[], part = 0): void {
    for (const { topic, partition, offset } of points) {
      this.#control.letGo(this.#at(topic, partition).name.slot, reader, { offset, part });
    }
  }

  /** Of this thread's appends. */
  async flush(): Promise<void> {
    await Promise.all(this.#partitions.map((one) => one.writer?.flush()));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#tailers.close();
    const closing = this.#partitions.map((one) => one.writer?.close());
    const results = await Promise.allSettled(closing);
    for (const one of this.#partitions) one.reader.close();
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  /** Else the first append does it, and pays for reading the last segment. */
  openWriter(topic: Topic, partition: number): void {
    this.#requireOpen();
    this.#writer(this.#at(topic, partition));
  }

  /** Lets another thread write the partition. Only once the thread that wrote it is surely gone. */
  releaseWriter(topic: Topic, partition: number): void {
    const { name, writer } = this.#at(topic, partition);
    assert(writer === null, "the log's own writers are released by close");
    this.#control.release(name.slot);
  }

  #openPartition(name: PartitionName): Partition {
    const { fileSystem, directory: root } = this.#options;
    const directory = `${root}/${name.topic}/${name.partition}`;
    const startOffset = () => this.#control.startOffset(name.slot);
    const reader = new PartitionReader({ fileSystem, directory, startOffset });
    return { name, directory, reader, writer: null };
  }

  /** Cuts torn ends and shows what is there; the partition is then anyone's to write. */
  #recover(partition: Partition): void {
    const writer = this.#writer(partition);
    partition.writer = null;
    writer.abandon();
  }

  #writer(partition: Partition): PartitionWriter {
    if (partition.writer !== null) return partition.writer;
    const { name, directory } = partition;
    if (!this.#control.claim(name.slot)) {
      const message = `${name.topic}/${name.partition} is written by another thread`;
      throw new RecError("REC_LOG_WRITER", message);
    }
    try {
      partition.writer = new PartitionWriter(name, directory, this.#context(name.topic));
    } catch (error) {
      this.#control.release(name.slot);
      throw error;
    }
    return partition.writer;
  }

  #context(topic: Topic): WriterContext {
    const options = this.#options;
    return {
      fileSystem: options.fileSystem,
      control: this.#control,
      durability: options.durability ?? "fsync",
      segmentBytes: options.segmentBytes ?? limits.segmentBytes,
      queueBytesMax: options.queueBytesMax ?? limits.appendQueueBytesMax,
      lingerMs: options.lingerMs ?? 5,
      retention: options.retention?.[topic] ?? {},
      nowMs: () => (options.clock ?? wallClock).nowMs(),
      report: options.report ?? ((message) => void process.stderr.write(`${message}\n`)),
      trace: options.trace ?? null,
    };
  }

  #at(topic: Topic, partition: number): Partition {
    const found = this.#partitions.find(
      ({ name }) => name.topic === topic && name.partition === partition,
    );
    assert(found !== undefined, `the log has a partition ${topic}/${partition}`);
    return found;
  }

  #requireOpen(): void {
    if (this.#closed) throw new RecError("REC_LOG_CLOSED", "the log is closed");
  }
}

/** Opens, and in the first thread recovers, the log. Throws RecError where files cannot be used. */
export function openSegmentLog(options: SegmentLogOptions): SegmentLog {
  return new SegmentLog(options);
}
