import { assert } from "../../models/core/assert.ts";
import type { AppendOptions, LogBatch, LogPoint, TailedLog, Topic } from "./event-log.ts";

/** One partition of the fake. */
interface Partition {
  readonly records: Uint8Array[];
  frame: Uint8Array | null;
}

/**
 * An event log in memory for tests. Reads copy, so that nobody leans on shared buffers; `failing`
 * names a topic whose appends are refused.
 */
export class FakeEventLog implements TailedLog {
  /** Appends to this topic fail as a whole, as a crash before the commit would make them. */
  failing: Topic | null = null;
  readonly #partitions: Readonly<Record<Topic, Partition[]>>;

  constructor(partitions: Partial<Record<Topic, number>> = {}) {
    const make = (topic: Topic): Partition[] =>
      Array.from({ length: partitions[topic] ?? 1 }, () => ({ records: [], frame: null }));
    this.#partitions = {
      events: make("events"),
      served: make("served"),
      samples: make("samples"),
      items: make("items"),
      commits: make("commits"),
      late: make("late"),
    };
  }

  #of(topic: Topic, partition: number): Partition {
    const found = this.#partitions[topic][partition];
    assert(found !== undefined, `no partition ${partition} of ${topic}`);
    return found;
  }

  partitions(topic: Topic): number {
    return this.#partitions[topic].length;
  }

  async append(
    topic: Topic,
    partition: number,
    records: readonly Uint8Array[],
    options: AppendOptions = {},
  ): Promise<number> {
    if (this.failing === topic) throw new Error("crashed before the commit");
    const of = this.#of(topic, partition);
    const first = of.records.length;
    of.records.push(...records.map((record) => record.slice()));
    if (options.frame !== undefined) of.frame = options.frame.slice();
    return first;
  }

  async read(topic: Topic, partition: number, offset: number, maxBytes: number): Promise<LogBatch> {
    const { records } = this.#of(topic, partition);
    const bounds = [0];
    let size = 0;
    for (let i = offset; i < records.length && (i === offset || size < maxBytes); i++) {
      size += records[i].length;
      bounds.push(size);
    }
    const data = new Uint8Array(size);
    for (let i = 0; i + 1 < bounds.length; i++) data.set(records[offset + i], bounds[i]);
    const count = bounds.length - 1;
    return { firstOffset: offset, count, data, bounds: Uint32Array.from(bounds) };
  }

  startOffset(): number {
    return 0;
  }

  endOffset(topic: Topic, partition: number): number {
    return this.#of(topic, partition).records.length;
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
    const until = performance.now() + timeoutMs;
    const passed = (point: LogPoint) => this.endOffset(point.topic, point.partition) > point.offset;
    while (!points.some(passed) && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  letGo(): void {}

  openWriter(): void {}

  async lastFrame(topic: Topic, partition: number): Promise<Uint8Array | null> {
    return this.#of(topic, partition).frame;
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {}
}
