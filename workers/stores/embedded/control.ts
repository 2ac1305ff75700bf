import { RecError } from "../../../models/core/errors.ts";
import { limits } from "../../../models/limits.ts";
import { type LogReader, logReaders, type Topic, topics as topicOrder } from "../event-log.ts";

/** Partitions of each topic. A topic that is not named has none. */
export type Topics = Readonly<Partial<Record<Topic, number>>>;

export interface PartitionName {
  readonly topic: Topic;
  readonly partition: number;
  /** Its place in the control block. */
  readonly slot: number;
}

/** All partitions, in the order of their slots. */
export function partitionsOf(topics: Topics): PartitionName[] {
  const names: PartitionName[] = [];
  for (const topic of topicOrder) {
    for (let partition = 0; partition < (topics[topic] ?? 0); partition++) {
      names.push({ topic, partition, slot: names.length });
    }
  }
  return names;
}

/** What threads that share a control block must agree on. */
export interface ControlShape {
  /** Partitions of all topics. */
  readonly slots: number;
  /** Partitions of users, each with a joiner that reads the events of all. */
  readonly joiners: number;
}

/** Words of a reader: one for each partition of users, as one joiner of each reads all events. */
const partsMax = limits.logPartitionsMax;
const neededLong = 3;
/** Whole cache lines. */
const slotBytes = 64 * Math.ceil((neededLong + logReaders.length * partsMax) / 8);
const magic = 0x52434c48;

/**
 * The shared memory of a log that is open in several threads, by partition: i64 end offset, i64
 * start offset, i32 notify, i32 writer, and for each reader, and each part of it, i64 the offset
 * before which it needs nothing. The first slot is the header: u32
 * magic, u32 partitions. The end offset is stored after the bytes are in the file (and synced,
 * where that is asked for), so a reader that sees it finds them.
 */
export class Control {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #offsets: BigInt64Array;
  readonly #joiners: number;

  private constructor(buffer: SharedArrayBuffer, { joiners }: ControlShape) {
    this.buffer = buffer;
    this.#joiners = joiners;
    this.#words = new Int32Array(buffer);
    this.#offsets = new BigInt64Array(buffer);
  }

  static create(shape: ControlShape): Control {
    const control = new Control(new SharedArrayBuffer(slotBytes * (shape.slots + 1)), shape);
    control.#words[0] = magic;
    control.#words[1] = shape.slots;
    return control;
  }

  static attach(buffer: SharedArrayBuffer, shape: ControlShape): Control {
    const control = new Control(buffer, shape);
    if (control.#words[0] !== magic || control.#words[1] !== shape.slots) {
      throw new RecError("REC_LOG_CONTROL", "the control block is of a log with other topics");
    }
    return control;
  }

  endOffset(slot: number): number {
    return Number(Atomics.load(this.#offsets, this.#long(slot)));
  }

  startOffset(slot: number): number {
    return Number(Atomics.load(this.#offsets, this.#long(slot) + 1));
  }

  setStartOffset(slot: number, offset: number): void {
    Atomics.store(this.#offsets, this.#long(slot) + 1, BigInt(offset));
  }

  letGo(slot: number, reader: LogReader, { offset, part }: { offset: number; part: number }): void {
    Atomics.store(this.#offsets, this.#neededWord(slot, reader) + part, BigInt(offset));
  }

  /** None of these readers needs what stands before it; 0 until all of them have said so. */
  neededOffset(slot: number, readers: readonly LogReader[]): number {
    const offsets = readers.flatMap((reader) => {
      const first = this.#neededWord(slot, reader);
      const parts = reader === "joiner" ? this.#joiners : 1;
      return Array.from({ length: parts }, (_, part) =>
        Number(Atomics.load(this.#offsets, first + part)),
      );
    });
    return Math.min(Number.MAX_SAFE_INTEGER, ...offsets);
  }

  /** Readers see records below `offset` from here on, and those who wait are woken. */
  publish(slot: number, offset: number): void {
    Atomics.store(this.#offsets, this.#long(slot), BigInt(offset));
    this.wake(slot);
  }

  /** Wakes waiting threads; they look for themselves whether anything came. */
  wake(slot: number): void {
    const word = this.#word(slot);
    Atomics.add(this.#words, word, 1);
    Atomics.notify(this.#words, word);
  }

  /** The state of the notify word, to be passed to `changed`. */
  seen(slot: number): number {
    return Atomics.load(this.#words, this.#word(slot));
  }

  /** Resolves when the word is no longer `seen`, or after `timeoutMs`. Keeps no thread alive. */
  async changed(slot: number, seen: number, timeoutMs: number): Promise<void> {
    const wait = Atomics.waitAsync(this.#words, this.#word(slot), seen, timeoutMs);
    if (wait.async) await wait.value;
  }

  /** Makes the caller the writer of the partition; false while another one is. */
  claim(slot: number): boolean {
    return Atomics.compareExchange(this.#words, this.#word(slot) + 1, 0, 1) === 0;
  }

  release(slot: number): void {
    Atomics.store(this.#words, this.#word(slot) + 1, 0);
  }

  #neededWord(slot: number, reader: LogReader): number {
    return this.#long(slot) + neededLong + partsMax * logReaders.indexOf(reader);
  }

  #long(slot: number): number {
    return (slotBytes / 8) * (slot + 1);
  }

  #word(slot: number): number {
    return (slotBytes / 4) * (slot + 1) + 4;
  }
}
