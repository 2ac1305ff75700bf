import { id128ToHex, readId128, viewOf } from "../../models/core/bytes.ts";
import { eventAt } from "../../models/core/event.ts";
import { RecentIds } from "../../models/core/recent-ids.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { featureCatalog, rowCells } from "../../models/features/catalog.ts";
import { updateOffset } from "../../models/features/window.ts";
import { limits } from "../../models/limits.ts";
import { decodeServed, partialsOf } from "../../models/training/served.ts";
import { recordOf } from "../../workers/stores/event-log.ts";
import { readAll, recordsIn } from "../../workers/stores/read-all.ts";
import { Differences } from "./differences.ts";
import { DocumentHistory } from "./document-history.ts";
import { type ReadableLog, readInOrder, requireWhole, type TakeRecord } from "./ordered-log.ts";
import { type ReplaySource, WindowsReplay } from "./replay.ts";
import { type PlainSlate, plainFeatures } from "./slate-features.ts";
import { type FullRecord, ReadPlan, SlateReads } from "./slate-reads.ts";

export interface SkewOptions {
  readonly log: ReadableLog;
  readonly definition: RecommenderDefinition;
  readonly shownMax?: number;
  /** Slates that are held at a time: the log is replayed once for each so many. */
  readonly slatesAtOnce?: number;
}

export interface SkewReport {
  /** Served rows: items of slates. */
  readonly rows: number;
  readonly slates: number;
  readonly differing: number;
  /** Of any value, also where it is small enough to count as the same. */
  readonly largestDifference: number;
  readonly values: number;
  /** Rows of slates whose documents changed while they were read: either version may be right. */
  readonly unsettled: number;
  /** Rows of records of an older format, and of reads that no commit explains. */
  readonly unexplained: number;
  readonly bytes: number;
  readonly differences: Differences;
}

/** Sums of single precision values in another order: a few units in the last place. */
const tolerance = 1e-6;

/**
 * Recomputes, from the log alone, the features of every served row with the tests' oracle: the
 * windows by their words, replayed to exactly the offset of each row that was read, as of the time
 * it was read. Scores of recall routes are inputs that no log holds; they are taken as recorded.
 */
export async function checkSkew(options: SkewOptions): Promise<SkewReport> {
  requireWhole(options.log, ["events", "served", "items", "commits"]);
  return await new SkewCheck(options).run();
}

class SkewCheck {
  readonly #options: SkewOptions;
  readonly #documents = new DocumentHistory();
  readonly #differences: Differences;
  readonly #compared: { user: Uint8Array; item: Uint8Array };
  readonly #sums = {
    ...{ rows: 0, slates: 0, differing: 0, largestDifference: 0, values: 0 },
    ...{ unsettled: 0, unexplained: 0, bytes: 0 },
  };

  constructor(options: SkewOptions) {
    this.#options = options;
    this.#differences = new Differences(options.shownMax ?? 20);
    const catalog = featureCatalog(options.definition);
    const fromLog = (entries: readonly { scope: string }[]) =>
      Uint8Array.from(entries, ({ scope }) => (scope === "route" ? 0 : 1));
    this.#compared = { user: fromLog(catalog.user), item: fromLog(catalog.item) };
  }

  async run(): Promise<SkewReport> {
    const { log, slatesAtOnce = 20_000 } = this.#options;
    await readAll(log, { topic: "items", partition: 0, offset: 0 }, (batch) =>
      this.#documents.take(batch),
    );
    for (let partition = 0; partition < log.partitions("served"); partition++) {
      const end = log.endOffset("served", partition);
      for (let from = 0; from < end; from += slatesAtOnce) {
        await this.#pass(partition, { from, to: Math.min(end, from + slatesAtOnce) });
      }
    }
    const values = Math.round(this.#sums.values);
    return { ...this.#sums, values, differences: this.#differences };
  }

  /** Reads a stretch of slates, then replays each partition past all that they read of it. */
  async #pass(logPartition: number, range: { from: number; to: number }): Promise<void> {
    const { definition, log } = this.#options;
    const partitions = log.partitions("events");
    const width = rowCells(definition);
    const slates: SlateReads[] = [];
    await this.#readSlates(logPartition, range, (record) => {
      slates.push(new SlateReads(record, logPartition % partitions, width));
    });
    const known = slates.filter(({ record }) => partialsOf(record) === partitions);
    for (let partition = 0; partition < partitions; partition++) {
      await this.#readPartition(partition, known);
    }
    for (const slate of slates) {
      const isRead = slate.left === 0 && partialsOf(slate.record) === partitions;
      if (isRead) this.#compare(slate);
      else this.#sums.unexplained += slate.record.items.length;
    }
  }

  async #readPartition(partition: number, slates: readonly SlateReads[]): Promise<void> {
    const { definition } = this.#options;
    const length = limits.recentInteractionsPerUser;
    const replay = new WindowsReplay(definition, length, (offset) => plan.advance(offset));
    const plan = new ReadPlan(replay, partition, rowCells(definition));
    for (const slate of slates) plan.add(slate);
    plan.sort();
    plan.advance(await this.#replay(partition, replay, () => plan.done));
  }

  async #readSlates(
    partition: number,
    { from, to }: { from: number; to: number },
    take: (record: FullRecord) => void,
  ): Promise<void> {
    const { log } = this.#options;
    for (let offset = from; offset < to; ) {
      const batch = await log.read("served", partition, offset, 4 << 20);
      const count = Math.min(batch.count, to - offset);
      for (let i = 0; i < count; i++) {
        const bytes = recordOf(batch, i);
        const record = decodeServed(bytes);
        this.#sums.slates++;
        this.#sums.rows += record.items.length;
        this.#sums.bytes += bytes.length;
        const { reads } = record;
        if (reads === undefined) this.#sums.unexplained += record.items.length;
        else take({ ...record, reads });
      }
      offset += count;
    }
  }

  /** Returns the offset behind the last update that the partition's commits tell of. */
  async #replay(partition: number, replay: WindowsReplay, isDone: () => boolean): Promise<number> {
    const { log } = this.#options;
    const sources = new Map<string, ReplaySource>();
    // Room for all of them in its younger half: it then forgets none.
    const ids = new RecentIds(2 * (1 + recordsIn(log, "events")));
    const take: TakeRecord = ({ topic, partition }, { batch, index, sequence }) => {
      const key = `${topic}/${partition}`;
      const source = sources.get(key) ?? { largestMs: 0 };
      sources.set(key, source);
      const view = viewOf(batch.data);
      const at = batch.bounds[index]!;
      replay.begin(sequence);
      if (topic === "served") replay.served(source, view, at);
      else if (ids.add(...readId128(view, at + eventAt.id))) replay.event(source, view, at);
    };
    return updateOffset(await readInOrder({ log, partition }, take, isDone), 0);
  }

  #compare(slate: SlateReads): void {
    const { record, offsetDiffers } = slate;
    const { requestId, reads, items } = record;
    const request = id128ToHex(requestId);
    if (offsetDiffers !== "") this.#differences.add(`slate ${request}: ${offsetDiffers}`);
    const before = this.#comparedAt(slate, reads.documentsFrom);
    const changed = [...before.plain.itemRows].some((row) =>
      this.#documents.changed(row, reads.documentsFrom, reads.documentsTo),
    );
    // A document that changed while the slate was read: a row may have either version of it.
    const after = changed ? this.#comparedAt(slate, reads.documentsTo) : before;
    for (const [place, row] of items.entries()) {
      const [is, other] = [before.rows[place]!, after.rows[place]!];
      const same = offsetDiffers === "" && (is.same || other.same);
      const nearer = other.same ? other : is;
      this.#sums.values += is.values;
      if (same || !changed) {
        this.#sums.largestDifference = Math.max(this.#sums.largestDifference, nearer.largest);
      }
      if (same) continue;
      if (changed) this.#sums.unsettled++;
      else this.#differ(slate, { place, row, at: is.at, user: before.user.at }, before.plain);
    }
  }

  /** Every row beside what the log gives, with documents before an offset. */
  #comparedAt(slate: SlateReads, offset: number) {
    const { userDense, itemDense, items } = slate.record;
    const { definition } = this.#options;
    const plain = plainFeatures(definition, slate, { documents: this.#documents, offset });
    const user = differing(userDense, plain.userDense, this.#compared.user);
    const width = itemDense.length / items.length;
    const rows = Array.from({ length: items.length }, (_, place) => {
      const is = itemDense.subarray(place * width, (place + 1) * width);
      const should = plain.itemDense.slice(place * width, (place + 1) * width);
      const item = differing(is, should, this.#compared.item);
      const same = item.at < 0 && user.at < 0 && plain.sameCategories[place] === true;
      const values = item.values + user.values / items.length;
      return { ...item, same, values, largest: Math.max(item.largest, user.largest) };
    });
    return { plain, user, rows };
  }

  #differ(
    { record }: SlateReads,
    of: { place: number; row: number; at: number; user: number },
    plain: PlainSlate,
  ): void {
    this.#sums.differing++;
    const request = id128ToHex(record.requestId);
    const { itemNames, userNames } = featureCatalog(this.#options.definition);
    const width = itemNames.length;
    const item = `item row ${of.row}`;
    const says = (name: string | undefined, is: number, should: number) =>
      this.#differences.add(`slate ${request}, ${item}: ${name} is ${is}, the log gives ${should}`);
    const at = of.place * width + of.at;
    if (of.at >= 0) says(itemNames[of.at], record.itemDense[at]!, plain.itemDense[at]!);
    else if (of.user >= 0) {
      says(userNames[of.user], record.userDense[of.user]!, plain.userDense[of.user]!);
    } else if (!plain.sameCategories[of.place]) {
      this.#differences.add(`slate ${request}, ${item}: its categories are not the document's`);
    }
  }
}

/** The first of the compared values that differs, -1 where none does, and by how much any does. */
function differing(is: Float32Array, should: readonly number[], compared: Uint8Array) {
  let [at, largest, values] = [-1, 0, 0];
  for (let i = 0; i < is.length; i++) {
    if (compared[i] === 0) continue;
    const difference = Math.abs(is[i]! - Math.fround(should[i]!));
    values++;
    // Not a number differs from everything.
    if (!(difference <= largest)) largest = difference;
    if (difference <= tolerance * Math.max(1, Math.abs(should[i]!))) continue;
    if (at < 0) at = i;
  }
  return { at, largest, values };
}
