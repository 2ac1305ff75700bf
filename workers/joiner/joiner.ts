import { isNoId, noRow, readId128, viewOf } from "../../models/core/bytes.ts";
import { eventAt } from "../../models/core/event.ts";
import { RecentIds } from "../../models/core/recent-ids.ts";
import { combineWatermarks } from "../../models/core/watermark.ts";
import { limits } from "../../models/limits.ts";
import { labelMask } from "../../models/training/label-mask.ts";
import { servedAt, servedTimeMs, servedUserRow } from "../../models/training/served-view.ts";
import { type LogBatch, recordOf } from "../stores/event-log.ts";
import { type LogSource, makeSources, savedOf, savedSource } from "../stores/log-source.ts";
import { ownsEvent, wholeLog } from "../stores/partitions.ts";
import { type AttributionRules, attributionRules } from "./attribution.ts";
import { emptyJoinerCounts, type JoinerCounts } from "./counts.ts";
import { Emission } from "./emission.ts";
import { frameVersion, type JoinerFrame, type ReplayRange } from "./frame.ts";
import { Labelling } from "./labelling.ts";
import type { JoinerOptions } from "./options.ts";
import { type CaughtUp, eventsWait, slatesReadUntilMs } from "./pace.ts";
import { itemsOf, SampleWriter } from "./samples.ts";
import { mark, Slates } from "./slates.ts";
import { UnnamedInteractions } from "./unnamed.ts";
import { type Interaction, readInteraction, WaitingInteractions } from "./waiting.ts";

/** With nothing left to read, the clock moves the stream on; appends may be so late to show. */
const idleSlackMs = 1_000;

/**
 * Joins slates with what came of them. Pure: batches in, encoded samples out, clock passed in.
 *
 * One primary sample for each served item, in the order of its partition, when its time has come
 * (`emitAfterMs`) or, when room runs out, earlier. A label that changes afterwards, within its
 * attribution window, makes a `correction` sample: that label as now known, every other NaN
 * (unknown). A trainer that learned the primary as a negative makes up for it as the head's
 * `delayed` says.
 *
 * Where the definition's negatives are `impression`, an item that the client never showed and that
 * nobody touched makes no sample, and is counted.
 */
export class JoinerCore {
  readonly sources: readonly LogSource[];
  readonly counts: JoinerCounts = emptyJoinerCounts();
  readonly rules: AttributionRules;
  readonly emission: Emission;
  readonly #labelling: Labelling;
  readonly #options: JoinerOptions;
  readonly #slates: Slates;
  readonly #waiting: WaitingInteractions;
  readonly unnamed: UnnamedInteractions;
  readonly #ids: RecentIds;
  readonly #maxDisorderMs: number;
  #watermarkMs = 0;
  /** By events partition: when the last event looked at was received. */
  readonly #receivedMs: Float64Array;
  #replaying = false;

  constructor(options: JoinerOptions) {
    const { partitions } = options;
    this.#options = options;
    this.rules = attributionRules(options.definition);
    this.#maxDisorderMs = options.maxDisorderMs ?? limits.maxDisorderMs;
    const { emitAfterMs = this.rules.closeAfterMs + this.#maxDisorderMs } = options;
    this.#slates = new Slates({
      rowsMax: options.rowsMax ?? limits.joinerLiveMax,
      heads: this.rules.heads,
      sentHeads: this.rules.secondsHeads,
      eventPartitions: partitions.events,
    });
    this.#labelling = new Labelling({
      ...{ slates: this.#slates, rules: this.rules, emitAfterMs },
      negativesShare: options.definition.negativesShare ?? 1,
    });
    const mask = labelMask(options.definition);
    this.emission = new Emission({
      ...{ slates: this.#slates, labelling: this.#labelling, rules: this.rules, emitAfterMs },
      writer: new SampleWriter({ heads: this.rules.heads, mask }),
      ...{ counts: this.counts, clock: options.clock, servedPartitions: partitions.served },
    });
    this.#ids = new RecentIds(options.dedupIdsMax ?? limits.dedupIdsMax);
    const { waitingMax: max = 65_536 } = options;
    this.#waiting = new WaitingInteractions(max, (interaction) => this.#countOrphan(interaction));
    this.unnamed = new UnnamedInteractions({
      ...{ slates: this.#slates, rules: this.rules, counts: this.counts, max },
      eventPartitions: partitions.events,
    });
    const marks = {
      maxDisorderMs: this.#maxDisorderMs,
      futureLeadMs: options.futureLeadMs ?? limits.futureLeadMs,
    };
    // Slates first: an interaction should find its slate read already.
    this.sources = [
      ...makeSources("served", partitions, marks),
      // Of all partitions: what names a slate of this share may be of any user.
      ...makeSources("events", { ...partitions, share: wholeLog }, marks),
    ];
    this.#receivedMs = new Float64Array(partitions.events);
  }

  /**
   * Takes a batch of a source in, from the source's next offset to before `to`, and of events only
   * those that were received until `untilMs`.
   */
  take(
    source: LogSource,
    batch: LogBatch,
    { to = Number.POSITIVE_INFINITY, untilMs = Number.POSITIVE_INFINITY } = {},
  ): void {
    const first = Math.max(0, source.offset - batch.firstOffset);
    const last = Math.min(batch.count, to - batch.firstOffset);
    let taken = last;
    if (source.topic === "served") this.#takeSlates(source, batch, { first, last });
    else taken = this.#takeEvents(source, batch, { first, last, untilMs });
    source.offset = Math.max(source.offset, batch.firstOffset + taken);
  }

  /** Whether slates of a source may be read now. */
  mayTakeSlates(source: LogSource, caughtUp: CaughtUp): boolean {
    const isShort = this.#slates.rowsUsed * 2 >= this.#slates.rowsMax;
    return !isShort || !eventsWait(this.sources, { source, caughtUp, at: this.#receivedMs });
  }

  #takeSlates(source: LogSource, batch: LogBatch, range: { first: number; last: number }): void {
    const eventsFrom = this.#eventsFrom();
    for (let i = range.first; i < range.last; i++) {
      const record = recordOf(batch, i);
      const view = viewOf(record);
      const servedMs = servedTimeMs(view, 0);
      source.watermark.observe(servedMs, servedMs);
      const items = itemsOf(view);
      if (items.length === 0 || items.length > this.#slates.rowsMax) continue;
      this.emission.makeRoom(items.length);
      const offset = batch.firstOffset + i;
      const { partition } = source;
      const decidedMs = this.#decidedBefore({ partition, offset, servedMs });
      const slate = this.#slates.add({
        requestId: readId128(view, servedAt.requestId),
        userRow: servedUserRow(view, 0),
        ...{ servedMs, decidedMs, partition, offset },
        items,
        record,
        eventsFrom,
      });
      if (offset < this.emission.emittedTo[partition]) {
        this.#slates.emitted[this.#slates.entry(slate)] = 1;
      }
      if (!this.#replaying) this.counts.servedItems += items.length;
      this.unnamed.countFor(slate);
      this.#matchWaiting(view);
    }
  }

  /** What names no slate and was received before this is decided when a slate is read. */
  #decidedBefore(of: { partition: number; offset: number; servedMs: number }): number {
    if (this.#replaying) return this.unnamed.late.decidedMsOf(of);
    return this.unnamed.noteRead(of);
  }

  /** From where, in each events partition, all that belongs to a slate read now can be found. */
  #eventsFrom(): Float64Array {
    const events = this.sources.filter((source) => source.topic === "events");
    return Float64Array.from(events, (source) => this.#oldestWaiting(source));
  }

  #oldestWaiting({ partition, offset }: LogSource): number {
    return this.#waiting.oldestOffset(partition, offset);
  }

  #matchWaiting(view: DataView): void {
    if (this.#waiting.size === 0) return;
    const request = readId128(view, servedAt.requestId).join();
    this.#waiting.match(request, (interaction) => this.#join(interaction));
  }

  /** Returns the index after the last event taken in. */
  #takeEvents(
    source: LogSource,
    batch: LogBatch,
    range: { first: number; last: number; untilMs: number },
  ): number {
    const view = viewOf(batch.data);
    for (let i = range.first; i < range.last; i++) {
      const at = batch.bounds[i];
      const receivedMs = view.getFloat64(at + eventAt.receivedMs, true);
      this.#receivedMs[source.partition] = receivedMs;
      if (receivedMs > range.untilMs) return i;
      const claimedMs = view.getFloat64(at + eventAt.timeMs, true);
      const timeMs = source.watermark.observe(claimedMs, receivedMs);
      const type = view.getUint8(at + eventAt.type);
      if (!this.#matters(type)) continue;
      const requestId = readId128(view, at + eventAt.requestId);
      if (!ownsEvent(this.#options.partitions.share, source.partition, requestId)) continue;
      const id = readId128(view, at + eventAt.id);
      if (!this.#ids.add(id[0], id[1], id[2], id[3])) {
        if (!this.#replaying) this.counts.duplicates++;
        continue;
      }
      if (!this.#replaying) this.counts.interactions++;
      const offset = batch.firstOffset + i;
      const where = { partition: source.partition, offset, timeMs };
      const interaction = readInteraction(view, at, where);
      if (!this.#join(interaction)) this.#wait(interaction);
    }
    return range.last;
  }

  /** Whether a type labels anything or says that an item was shown. */
  #matters(type: number): boolean {
    if (type >= this.rules.types) return false;
    if (this.rules.headOf[type] >= 0) return true;
    return this.rules.needsImpression && type === this.rules.impression;
  }

  #wait(interaction: Interaction): void {
    const named = !isNoId(interaction.requestId);
    if (!named && interaction.userRow === noRow) {
      this.#countOrphan(interaction);
      return;
    }
    const { decidedMs } = this.unnamed;
    if (this.#waiting.isFull && !this.#replaying && this.#waiting.oldestMs >= decidedMs) {
      this.#settle(this.#waiting.middleMs);
    }
    const { requestId } = interaction;
    this.#waiting.add(isNoId(requestId) ? null : requestId.join(), interaction);
  }

  /**
   * Decides to which slates those interactions belong that name none and were received before a
   * time. Earlier a newer slate, which had left before they came, could be on its way to the log.
   * A frame says how far this got, so that a replay decides the same ones.
   */
  #settle(untilMs: number): void {
    if (untilMs <= this.unnamed.decidedMs) return;
    this.unnamed.decidedMs = untilMs;
    this.unnamed.waitsFrom = this.#eventsFrom();
    this.#waiting.settle(untilMs, (interaction) => this.#join(interaction));
    this.unnamed.forget(this.emission.droppedTo);
  }

  /** No slate explains it; one that it names was of another server, or a crash took its record. */
  #countOrphan({ requestId }: Interaction): void {
    if (this.#replaying) return;
    if (isNoId(requestId)) this.counts.orphans++;
    else this.counts.recordsMissing++;
  }

  /** Labels the item that an interaction belongs to; false where its slate is not known (yet). */
  #join(interaction: Interaction): boolean {
    if (isNoId(interaction.requestId)) return this.#joinUnnamed(interaction);
    const slate = this.#slates.byRequest(interaction.requestId);
    if (slate >= 0) this.#joinTo(slate, interaction);
    return slate >= 0;
  }

  #joinUnnamed(interaction: Interaction): boolean {
    const isNobodys = interaction.userRow === noRow;
    if (!isNobodys && interaction.receivedMs >= this.unnamed.decidedMs) return false;
    const slate = isNobodys ? -1 : this.unnamed.slateOf(interaction);
    if (slate >= 0) this.#joinTo(slate, interaction);
    else this.#countOrphan(interaction);
    return true;
  }

  #joinTo(slate: number, interaction: Interaction): void {
    const place = this.#slates.placeOf(slate, interaction.itemRow);
    if (place < 0) {
      if (!this.#replaying) this.counts.orphans++;
      return;
    }
    const closesMs =
      this.#slates.servedMs[this.#slates.entry(slate)] + this.rules.attributionMs[interaction.type];
    if (interaction.timeMs <= closesMs) this.#label(slate, place, interaction);
    else if (!this.#replaying) this.counts.outside++;
  }

  #label(slate: number, place: number, interaction: Interaction): void {
    const head = this.#labelling.take(slate, place, interaction);
    const { marks, emitted, eventMs, acceptedMs } = this.#slates;
    const entry = this.#slates.entry(slate);
    if (emitted[entry] === 1 || acceptedMs[entry] === 0) {
      eventMs[entry] = interaction.timeMs;
      acceptedMs[entry] = interaction.receivedMs;
    }
    if (this.#replaying || emitted[entry] === 0) return;
    const isOut = (marks[this.#slates.row(slate, place)] & mark.emitted) !== 0;
    if (isOut && head >= 0) this.emission.emitLate(slate, place, head);
    else if (!isOut && this.#labelling.weightOf(slate, place) > 0)
      this.emission.emitLate(slate, place, -1);
  }

  /**
   * Moves event time on and lets out what is due. `caughtUp` says that a source was read to its
   * end; when all were, the clock counts too, so that the last slates of a quiet hour get out.
   */
  advance(caughtUp: CaughtUp): void {
    const parts = this.sources.map((source) => ({
      valueMs: source.watermark.valueMs,
      caughtUp: caughtUp(source),
    }));
    const idle = parts.every((part) => part.caughtUp);
    const clockMs = this.#options.clock.nowMs() - idleSlackMs - this.#maxDisorderMs;
    const nextMs = Math.max(combineWatermarks(parts), idle ? clockMs : 0);
    this.#watermarkMs = Math.max(this.#watermarkMs, nextMs);
    this.#settle(slatesReadUntilMs(this.sources, caughtUp, this.#options.clock.nowMs()));
    this.emission.emitDue(this.#watermarkMs + this.#maxDisorderMs);
    this.emission.releaseDue(this.#watermarkMs);
    // By when they came in, not by event time: a client's clock that runs ahead moves the watermark
    // past interactions whose slate is still on its way to the log.
    const receivedMs = Math.max(0, ...this.#receivedMs) - this.#maxDisorderMs;
    const expiredMs = Math.max(receivedMs, idle ? clockMs : 0);
    // Until slates have been read so far, the one that is named may be among those that wait.
    this.#waiting.expire(Math.min(expiredMs, this.unnamed.decidedMs));
  }

  frame(): JoinerFrame {
    const first = this.#slates.oldest;
    const kept = first < this.#slates.next;
    const rebuildFrom = this.sources.map((source) => {
      if (source.topic === "served") return this.emission.droppedTo[source.partition];
      const from = kept
        ? this.#slates.eventsFrom(first, source.partition)
        : this.#oldestWaiting(source);
      return Math.min(from, this.unnamed.oldestOffset(source.partition));
    });
    const emittedTo = [...this.emission.emittedTo];
    return {
      version: frameVersion,
      sources: this.sources.map(savedSource),
      ...{ rebuildFrom, emittedTo, settledMs: this.unnamed.decidedMs },
      ...{ late: this.unnamed.late.save(), decidedEarly: this.counts.decidedEarly },
    };
  }

  /** Starts to rebuild what a frame stood for: the ranges to `take`, in this order. */
  beginReplay(frame: JoinerFrame): ReplayRange[] {
    this.#replaying = true;
    this.unnamed.decidedMs = frame.settledMs ?? Number.POSITIVE_INFINITY;
    this.unnamed.late.restore(frame.late ?? []);
    const { emittedTo, droppedTo } = this.emission;
    frame.emittedTo.forEach((offset, partition) => {
      if (partition < emittedTo.length) emittedTo[partition] = offset;
    });
    return this.sources.map((source) => {
      const saved = savedOf(frame.sources, source);
      if (saved === undefined) return { source, from: 0, to: 0 };
      const from = frame.rebuildFrom[frame.sources.indexOf(saved)] ?? saved.offset;
      source.watermark.restore(saved.largestMs);
      source.offset = from;
      if (source.topic === "served") droppedTo[source.partition] = from;
      else this.unnamed.waitsFrom[source.partition] = from;
      return { source, from, to: saved.offset };
    });
  }

  /** The rebuilt slates count as having left what the frame said; from here on samples come out. */
  endReplay(frame: JoinerFrame): void {
    const { emittedTo } = this.emission;
    for (const { topic, partition, offset } of this.sources) {
      if (topic !== "served") continue;
      // A log that lost its unsynced tail goes on below the frame: new slates need samples.
      emittedTo[partition] = Math.min(emittedTo[partition], offset);
    }
    this.emission.restored();
    this.counts.decidedEarly = frame.decidedEarly ?? 0;
    const { decidedMs } = this.unnamed;
    if (decidedMs === Number.POSITIVE_INFINITY) this.unnamed.decidedMs = 0;
    this.#replaying = false;
  }

  /**
   * Slates and items that interactions may still belong to, interactions that wait, and ids by
   * which a second delivery is known.
   */
  get live(): { slates: number; items: number; waiting: number; ids: number } {
    const { next, oldest, rowsUsed } = this.#slates;
    const [waiting, ids] = [this.#waiting.size, this.#ids.size];
    return { slates: next - oldest, items: rowsUsed, waiting, ids };
  }
}
