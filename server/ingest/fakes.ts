import { assert } from "../../models/core/assert.ts";
import { RecError } from "../../models/core/errors.ts";
import { counterNames, histogramNames } from "../../workers/metrics.ts";
import type {
  DocumentKind,
  DocumentStore,
  StoredDocument,
} from "../../workers/stores/document-store.ts";
import type { AppendOptions, LogBatch, Topic } from "../../workers/stores/event-log.ts";
import type { AppliedSink, ItemAttributeSink, ItemAttributeValues, RowIds } from "./state.ts";

/** Small in-memory stand-ins for the tests of the door and of ingest. */

const counters = new Set<string>(counterNames);
const histograms = new Set<string>(histogramNames);

export class FakeIds implements RowIds {
  readonly #rows = new Map<string, number>();
  readonly #capacity: number;

  constructor(capacity = 1e6) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#rows.size;
  }

  get ids(): string[] {
    return [...this.#rows.keys()];
  }

  intern(id: string): number {
    const known = this.#rows.get(id);
    if (known !== undefined) return known;
    if (this.#rows.size === this.#capacity) throw new RecError("REC_IDS_FULL", "no row is left");
    this.#rows.set(id, this.#rows.size);
    return this.#rows.size - 1;
  }

  find(id: string): number {
    return this.#rows.get(id) ?? -1;
  }
}

/** A log whose appends can be held back or made to fail. */
export class FakeLog {
  readonly topics = new Map<string, Uint8Array[]>();
  readonly #eventPartitions: number;
  failNext: Error | null = null;
  hold: Promise<void> | null = null;

  constructor(eventPartitions = 1) {
    this.#eventPartitions = eventPartitions;
  }

  partitions(topic: Topic): number {
    return topic === "events" ? this.#eventPartitions : 1;
  }

  records(topic: Topic, partition = 0): Uint8Array[] {
    const key = `${topic}/${partition}`;
    const found = this.topics.get(key) ?? [];
    this.topics.set(key, found);
    return found;
  }

  async append(
    topic: Topic,
    partition: number,
    records: readonly Uint8Array[],
    _options?: AppendOptions,
  ): Promise<number> {
    const failure = this.failNext;
    this.failNext = null;
    if (this.hold !== null) await this.hold;
    if (failure !== null) throw failure;
    const list = this.records(topic, partition);
    list.push(...records.map((record) => record.slice()));
    return list.length - records.length;
  }

  startOffset(): number {
    return 0;
  }

  endOffset(topic: Topic, partition: number): number {
    return this.records(topic, partition).length;
  }

  async read(topic: Topic, partition: number, offset: number): Promise<LogBatch> {
    const records = this.records(topic, partition).slice(offset, offset + 1_000);
    const bounds = new Uint32Array(records.length + 1);
    records.forEach((record, i) => {
      bounds[i + 1] = bounds[i]! + record.length;
    });
    const data = new Uint8Array(bounds[records.length]!);
    records.forEach((record, i) => {
      data.set(record, bounds[i]);
    });
    return { firstOffset: offset, count: records.length, data, bounds };
  }
}

export class FakeStore implements DocumentStore {
  readonly #documents = new Map<string, StoredDocument>();
  #applied = 0;

  apply(changes: Parameters<DocumentStore["apply"]>[0], appliedOffset: number): void {
    for (const { kind, row, id, json } of changes) {
      if (json === null) this.#documents.delete(`${kind}/${row}`);
      else this.#documents.set(`${kind}/${row}`, { row, id, json });
    }
    this.#applied = appliedOffset;
  }

  async getMany(kind: DocumentKind, rows: readonly number[]): Promise<(StoredDocument | null)[]> {
    return rows.map((row) => this.#documents.get(`${kind}/${row}`) ?? null);
  }

  appliedOffset(): number {
    return this.#applied;
  }

  sync(): number {
    return this.#applied;
  }

  all(kind: DocumentKind): StoredDocument[] {
    return [...this.#documents].filter(([key]) => key.startsWith(kind)).map(([, found]) => found);
  }

  close(): void {
    this.#documents.clear();
  }
}

export class FakeAttributes implements ItemAttributeSink {
  readonly rows = new Map<number, ItemAttributeValues>();

  write(row: number, values: ItemAttributeValues): void {
    this.rows.set(row, values);
  }
}

export class FakeFresh {
  readonly lists = new Map<number, number[]>();

  push(row: number, record: Uint32Array): void {
    this.lists.set(row, [...(this.lists.get(row) ?? []), record[0]!]);
  }
}

/** Knows the names of the process, as shared memory does. */
export class FakeMetrics {
  readonly counts = new Map<string, number>();
  readonly observed = new Map<string, number[]>();

  add(name: string, by: number): void {
    assert(counters.has(name), `no counter is named ${name}`);
    this.counts.set(name, (this.counts.get(name) ?? 0) + by);
  }

  observe(name: string, value: number): void {
    assert(histograms.has(name), `no histogram is named ${name}`);
    this.observed.set(name, [...(this.observed.get(name) ?? []), value]);
  }
}

export class FakeApplied implements AppliedSink {
  readonly offsets: number[] = [];

  begin(offset: number): void {
    this.offsets.push(offset);
  }

  end(offset: number): void {
    assert(offset >= (this.offsets.at(-1) ?? 0), "documents are applied in order");
    this.offsets.push(offset);
  }
}
