import { statSync } from "node:fs";
import { RecError } from "../../models/core/errors.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { createEntityCheck } from "./check.ts";
import { EventSorter } from "./event-sorter.ts";
import {
  type Entity,
  Faults,
  type ImportDocument,
  type ImportEvent,
  type ImportSink,
  type ImportSource,
} from "./types.ts";

export interface ImportOptions {
  readonly source: ImportSource;
  readonly sink: ImportSink;
  readonly definition: RecommenderDefinition;
  readonly nowMs: number;
  /** Told of progress at most every two seconds, whole sentences. */
  readonly progress?: (text: string) => void;
  readonly batchSize?: number;
  /** Events that are sorted in memory; more go through temporary files. */
  readonly sortInMemory?: number;
}

export interface ImportResult {
  readonly items: number;
  readonly users: number;
  readonly events: number;
  readonly accepted: number;
  readonly duplicates: number;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly checkMs: number;
  readonly writeMs: number;
}

/**
 * Reads everything twice: once to check all of it, and only if no line has a fault once more to
 * write, items and users first, then events in the order of their time. Throws
 * REC_IMPORT_INVALID with the faults (20 shown, the rest counted) before anything is written.
 */
export async function runImport(options: ImportOptions): Promise<ImportResult> {
  const startMs = performance.now();
  const bytes = options.source.files.reduce((sum, file) => sum + statSync(file).size, 0);
  const meter = new Meter(bytes, options.progress ?? (() => {}));
  await checkAll(options, meter);
  const checkedMs = performance.now();
  const writer = new Writer(options.sink, options.batchSize ?? 1_000, meter);
  await writeAll(options, writer, meter);
  return {
    ...writer.counts,
    checkMs: checkedMs - startMs,
    writeMs: performance.now() - checkedMs,
  };
}

async function checkAll(options: ImportOptions, meter: Meter): Promise<void> {
  const faults = new Faults();
  const check = createEntityCheck(options.definition, options.nowMs);
  meter.begin("checked");
  let entities = 0;
  for await (const batch of options.source.read(faults, meter.onBytes)) {
    for (const entity of batch) check(entity, faults);
    entities += batch.length;
    meter.tick();
  }
  if (faults.total > 0) {
    const message = `${faults.total} faults, nothing was written:\n${faults.text()}`;
    throw new RecError("REC_IMPORT_INVALID", message);
  }
  if (entities === 0) throw new RecError("REC_IMPORT_EMPTY", "the files hold nothing");
}

async function writeAll(options: ImportOptions, writer: Writer, meter: Meter): Promise<void> {
  const sorter = new EventSorter(options.sortInMemory);
  try {
    meter.begin("read");
    for await (const batch of options.source.read(new Faults(), meter.onBytes)) {
      for (const entity of batch) await take(entity, writer, sorter);
      meter.tick();
    }
    await writer.flushDocuments();
    meter.begin("written");
    for await (const event of sorter.sorted()) {
      if (writer.event(event)) await writer.flushEvents();
    }
    await writer.flushEvents();
  } finally {
    sorter.close();
  }
}

/** Resolved at once but where a batch or a run is full: a wait for each row would cost more. */
function take(entity: Entity, writer: Writer, sorter: EventSorter): Promise<void> | undefined {
  if (entity.kind === "event") {
    const full = sorter.full;
    const added = sorter.add(entity.value);
    return full ? added : undefined;
  }
  return writer.document(entity.kind, entity.value) ? writer.flushDocuments() : undefined;
}

/** Batches on their way to the sink. */
class Writer {
  readonly #sink: ImportSink;
  readonly #batchSize: number;
  readonly #meter: Meter;
  #items: ImportDocument[] = [];
  #users: ImportDocument[] = [];
  #events: ImportEvent[] = [];
  readonly counts = {
    items: 0,
    users: 0,
    events: 0,
    accepted: 0,
    duplicates: 0,
    firstMs: Number.NaN,
    lastMs: Number.NaN,
  };

  constructor(sink: ImportSink, batchSize: number, meter: Meter) {
    this.#sink = sink;
    this.#batchSize = batchSize;
    this.#meter = meter;
  }

  /** True when it is time to flush. */
  document(kind: "item" | "user", value: ImportDocument): boolean {
    const batch = kind === "item" ? this.#items : this.#users;
    this.counts[kind === "item" ? "items" : "users"]++;
    return batch.push(value) >= this.#batchSize;
  }

  /** True when it is time to flush. */
  event(event: ImportEvent): boolean {
    if (this.counts.events++ === 0) this.counts.firstMs = event.time;
    this.counts.lastMs = event.time;
    return this.#events.push(event) >= this.#batchSize;
  }

  async flushDocuments(): Promise<void> {
    const [items, users] = [this.#items, this.#users];
    this.#items = [];
    this.#users = [];
    if (items.length > 0) await this.#sink.items(items);
    if (users.length > 0) await this.#sink.users(users);
  }

  async flushEvents(): Promise<void> {
    const batch = this.#events;
    this.#events = [];
    if (batch.length === 0) return;
    const { accepted, duplicates } = await this.#sink.events(batch);
    this.counts.accepted += accepted;
    this.counts.duplicates += duplicates;
    this.#meter.tick(`${this.counts.events} events`);
  }
}

const progressEveryMs = 2_000;

/** Says how far the import is, from its second second on. */
class Meter {
  readonly #bytes: number;
  readonly #progress: (text: string) => void;
  #phase = "";
  #read = 0;
  #toldMs = performance.now();
  readonly onBytes = (bytes: number): void => {
    this.#read += bytes;
  };

  constructor(bytes: number, progress: (text: string) => void) {
    this.#bytes = bytes;
    this.#progress = progress;
  }

  begin(phase: string): void {
    this.#phase = phase;
    this.#read = 0;
  }

  tick(done?: string): void {
    const now = performance.now();
    if (now - this.#toldMs < progressEveryMs) return;
    this.#toldMs = now;
    const megabytes = (count: number) => (count / 1e6).toFixed(1);
    const share = `${megabytes(this.#read)} of ${megabytes(this.#bytes)} MB`;
    this.#progress(`${this.#phase} ${done ?? share}`);
  }
}
