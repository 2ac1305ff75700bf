import type { Clock } from "../../models/core/clock.ts";
import type { AttributionRules } from "./attribution.ts";
import type { JoinerCounts } from "./counts.ts";
import type { Labelling } from "./labelling.ts";
import type { LateSample, SampleWriter } from "./samples.ts";
import { mark, type Slates } from "./slates.ts";

export interface EmissionOptions {
  readonly slates: Slates;
  readonly labelling: Labelling;
  readonly rules: AttributionRules;
  readonly writer: SampleWriter;
  readonly counts: JoinerCounts;
  readonly clock: Clock;
  /** A slate's samples leave when the stream is so far past it. */
  readonly emitAfterMs: number;
  readonly servedPartitions: number;
}

/** Lets samples out when they are due, and slates go that nothing belongs to any more. */
export class Emission {
  readonly #options: EmissionOptions;
  /** Slates before these numbers have left their samples, and their records. */
  #emitNext = 0;
  #releaseNext = 0;
  /** By served partition: samples of slates before, and slates dropped before, these offsets. */
  readonly emittedTo: number[];
  readonly droppedTo: number[];
  /** When the slate was served whose samples left last; 0 before the first. */
  emittedServedMs = 0;
  /** The first interaction that got into a sample since this was null. */
  oldest: { readonly eventMs: number; readonly acceptedMs: number } | null = null;
  #samples: Uint8Array[] = [];
  #late: LateSample[] = [];

  constructor(options: EmissionOptions) {
    this.#options = options;
    this.emittedTo = new Array<number>(options.servedPartitions).fill(0);
    this.droppedTo = new Array<number>(options.servedPartitions).fill(0);
  }

  /** Makes room for a slate of so many items: the oldest leave early, and are counted. */
  makeRoom(items: number): void {
    const { slates, counts } = this.#options;
    while (!slates.hasRoomFor(items)) {
      const { oldest } = slates;
      if (slates.emitted[slates.entry(oldest)] === 0) {
        counts.evictedItems += slates.counts[slates.entry(oldest)];
        this.#emit(oldest);
      }
      this.#drop();
    }
  }

  #drop(): void {
    const { slates } = this.#options;
    const entry = slates.entry(slates.oldest);
    this.droppedTo[slates.partitions[entry]] = slates.offsets[entry] + 1;
    slates.drop();
    this.#emitNext = Math.max(this.#emitNext, slates.oldest);
    this.#releaseNext = Math.max(this.#releaseNext, slates.oldest);
  }

  /** Lets out what is due when the newest of the stream is so old. */
  emitDue(streamMs: number): void {
    const { slates, emitAfterMs } = this.#options;
    for (; this.#emitNext < slates.next; this.#emitNext++) {
      const entry = slates.entry(this.#emitNext);
      if (slates.emitted[entry] === 1) continue;
      if (slates.servedMs[entry] + emitAfterMs > streamMs) return;
      this.#emit(this.#emitNext);
    }
  }

  /** Lets go of records whose prompt labels are in, and of slates that get no more labels. */
  releaseDue(watermarkMs: number): void {
    const { slates, rules } = this.#options;
    for (; this.#releaseNext < slates.next; this.#releaseNext++) {
      const entry = slates.entry(this.#releaseNext);
      if (slates.emitted[entry] === 0) break;
      if (slates.servedMs[entry] + rules.closeAfterMs > watermarkMs) break;
      slates.records[entry] = null;
    }
    while (slates.oldest < this.#emitNext) {
      const entry = slates.entry(slates.oldest);
      if (slates.servedMs[entry] + rules.keepMs > watermarkMs) break;
      this.#drop();
    }
  }

  /** Lets out the samples of a slate. */
  #emit(slate: number): void {
    const { slates, writer, clock } = this.#options;
    const entry = slates.entry(slate);
    const record = slates.records[entry];
    slates.emitted[entry] = 1;
    this.emittedServedMs = slates.servedMs[entry];
    const partition = slates.partitions[entry];
    this.emittedTo[partition] = Math.max(this.emittedTo[partition], slates.offsets[entry] + 1);
    if (record === null) return;
    writer.begin(record, clock.nowMs());
    for (let place = 0; place < slates.counts[entry]; place++) this.#emitOne(slate, place);
  }

  #emitOne(slate: number, place: number): void {
    const { slates, labelling, rules, writer, counts } = this.#options;
    const row = slates.row(slate, place);
    const { marks } = slates;
    if (rules.needsImpression && (marks[row] & mark.seen) === 0) {
      counts.unseen++;
      return;
    }
    const weight = labelling.weightOf(slate, place);
    if (weight === 0) {
      counts.leftOut++;
      return;
    }
    marks[row] |= mark.emitted;
    labelling.noteSent(row);
    const labels = slates.labelsOf(row);
    const isTouched = (marks[row] & mark.prompt) !== 0;
    const moments = isTouched ? this.#momentsOf(slates.entry(slate)) : {};
    const one = { place, kind: "primary" as const, labels, previous: 0, weight, ...moments };
    this.#samples.push(writer.write(one));
    counts.primaries++;
  }

  /** Of the slate's first interaction; once its samples have left, of the one in hand. */
  #momentsOf(entry: number): { readonly eventMs: number; readonly acceptedMs: number } {
    const { eventMs, acceptedMs } = this.#options.slates;
    const moments = { eventMs: eventMs[entry], acceptedMs: acceptedMs[entry] };
    this.oldest ??= moments;
    return moments;
  }

  /**
   * A sample after its slate's have left: a correction that knows only `head`, or, with -1, the
   * primary of an item that was not known to have been shown.
   */
  emitLate(slate: number, place: number, head: number): void {
    const { slates, labelling, counts } = this.#options;
    const row = slates.row(slate, place);
    const entry = slates.entry(slate);
    const labels = slates.labelsOf(row).slice();
    if (head >= 0)
      labels.forEach((label, h) => {
        labels[h] = h === head ? label : Number.NaN;
      });
    slates.marks[row] |= mark.emitted;
    if (head < 0) counts.primaries++;
    else counts.corrections++;
    const late: LateSample = {
      partition: slates.partitions[entry],
      offset: slates.offsets[entry],
      ...{ place, labels, weight: labelling.weightOf(slate, place) },
      ...this.#momentsOf(entry),
      kind: head < 0 ? "primary" : "correction",
      previous: head < 0 ? 0 : labelling.sent(row, head),
    };
    labelling.noteSent(row);
    const record = slates.records[entry];
    if (record === null) this.#late.push(late);
    else this.#samples.push(this.sampleOf(record, late));
  }

  /** A late sample from its served record. */
  sampleOf(record: Uint8Array, late: LateSample): Uint8Array {
    const { writer, clock } = this.#options;
    writer.begin(record, clock.nowMs());
    return writer.write(late);
  }

  /** Hands over what has come out: samples, and those whose record must be read from the log. */
  drain(): { samples: Uint8Array[]; late: LateSample[] } {
    const out = { samples: this.#samples, late: this.#late };
    this.#samples = [];
    this.#late = [];
    return out;
  }

  /** After a replay: the rebuilt slates whose samples had left count as having left them. */
  restored(): void {
    const { slates, labelling, rules } = this.#options;
    const { marks } = slates;
    for (let slate = slates.oldest; slate < slates.next; slate++) {
      const entry = slates.entry(slate);
      if (slates.emitted[entry] === 0) continue;
      for (let place = 0; place < slates.counts[entry]; place++) {
        const row = slates.row(slate, place);
        const isSeen = !rules.needsImpression || (marks[row] & mark.seen) !== 0;
        if (!isSeen || labelling.weightOf(slate, place) === 0) continue;
        marks[row] |= mark.emitted;
        labelling.noteSent(row);
      }
    }
  }
}
