import { RecError } from "../../models/core/errors.ts";
import type { Random } from "../../models/core/random.ts";
import type {
  AppendOptions,
  LogBatch,
  LogPoint,
  LogReader,
  TailedLog,
  Topic,
} from "./event-log.ts";

/** Where time passes: a simulation passes its own. */
export type Sleep = (ms: number) => Promise<void>;

export interface DelayOptions {
  readonly random: Random;
  readonly sleep: Sleep;
  /** Each call takes 0 to this long. */
  readonly delayMsMax: number;
  /** Share of appends and reads that are refused with REC_LOG_UNAVAILABLE. */
  readonly failureRate: number;
  /** Bytes of records on their way. */
  readonly queueBytesMax: number;
}

/**
 * A log as a network makes it: the one below, late and failing at times. For tests of what stands
 * on the port, and the shape that an adapter to a remote log has to pass the suite in.
 */
export class DelayedEventLog implements TailedLog {
  readonly #below: TailedLog;
  readonly #options: DelayOptions;
  readonly #order = new Map<string, Promise<unknown>>();
  #failures = 0;
  #bytes = 0;

  constructor(below: TailedLog, options: DelayOptions) {
    this.#below = below;
    this.#options = options;
  }

  /** The next append is refused. */
  failNextAppend(): void {
    this.#failures++;
  }

  partitions(topic: Topic): number {
    return this.#below.partitions(topic);
  }

  /** Calls on one partition arrive in the order that they were made, as over one connection. */
  append(
    topic: Topic,
    partition: number,
    records: readonly Uint8Array[],
    options?: AppendOptions,
  ): Promise<number> {
    const bytes = records.reduce((sum, record) => sum + record.length, 0);
    if (this.#bytes + bytes > this.#options.queueBytesMax && this.#bytes > 0) {
      return Promise.reject(new RecError("REC_LOG_FULL", "too many bytes are on their way"));
    }
    this.#bytes += bytes;
    const failing = this.#failures > 0;
    if (failing) this.#failures--;
    const before = this.#order.get(`${topic}/${partition}`) ?? Promise.resolve();
    const arrived = before.then(() => this.#pass(failing));
    this.#order.set(
      `${topic}/${partition}`,
      arrived.catch(() => {}),
    );
    return arrived
      .then(() => this.#below.append(topic, partition, records, options))
      .finally(() => {
        this.#bytes -= bytes;
      });
  }

  async read(topic: Topic, partition: number, offset: number, maxBytes: number): Promise<LogBatch> {
    await this.#pass(false);
    return await this.#below.read(topic, partition, offset, maxBytes);
  }

  startOffset(topic: Topic, partition: number): number {
    return this.#below.startOffset(topic, partition);
  }

  endOffset(topic: Topic, partition: number): number {
    return this.#below.endOffset(topic, partition);
  }

  async waitForMore(
    topic: Topic,
    partition: number,
    offset: number,
    timeoutMs: number,
  ): Promise<void> {
    await this.#below.waitForMore(topic, partition, offset, timeoutMs);
  }

  async waitForAny(points: readonly LogPoint[], timeoutMs: number): Promise<void> {
    await this.#below.waitForAny(points, timeoutMs);
  }

  letGo(reader: LogReader, points: readonly LogPoint[], part?: number): void {
    this.#below.letGo(reader, points, part);
  }

  openWriter(topic: Topic, partition: number): void {
    this.#below.openWriter(topic, partition);
  }

  async lastFrame(topic: Topic, partition: number): Promise<Uint8Array | null> {
    return await this.#below.lastFrame(topic, partition);
  }

  async flush(): Promise<void> {
    await Promise.all(this.#order.values());
    await this.#below.flush();
  }

  async close(): Promise<void> {
    await this.flush();
    await this.#below.close();
  }

  async #pass(failing: boolean): Promise<void> {
    const { random, sleep, delayMsMax, failureRate } = this.#options;
    const fails = failing || random.next() < failureRate;
    await sleep(random.next() * delayMsMax);
    if (fails) throw new RecError("REC_LOG_UNAVAILABLE", "the log did not answer");
  }
}
