import { type Id128, noId, requestIdOf } from "../../models/core/bytes.ts";
import type { Clock } from "../../models/core/clock.ts";
import { messageOf, RecError } from "../../models/core/errors.ts";
import type { InteractionDefinition } from "../../models/definition/define.ts";
import { limits } from "../../models/limits.ts";
import { observeFreshness } from "../../workers/freshness.ts";
import type { Ingest, IngestAnswer, MetricSink, ParsedElement, Rejection } from "../http/ports.ts";
import type { Turns } from "../turns.ts";
import { type AcceptedEvent, type AppendLog, appendEvents, encodeEvents } from "./append.ts";
import type { Deduplicator } from "./deduplicate.ts";
import { EventIds, randomId128 } from "./event-ids.ts";
import type { RowIds } from "./state.ts";
import { type CheckedEvent, createEventCheck, type EventCheck } from "./validate.ts";

export interface EventIngestOptions {
  readonly interactions: readonly InteractionDefinition[];
  readonly users: RowIds;
  readonly items: RowIds;
  readonly log: AppendLog;
  readonly deduplicator: Deduplicator;
  readonly clock: Clock;
  readonly metrics: MetricSink;
  /** Writes the rows of an item's categories and returns how many it has; default: none. */
  readonly categoriesOf?: (itemRow: number, out: Int32Array) => number;
  readonly randomId?: () => Id128;
  /** Large batches are taken in turns with the rest of the thread; default: at once. */
  readonly turns?: Turns;
}

/** So many elements are taken between two looks at the clock. */
const turnElements = 128;

/** A batch on its way: what was taken so far, and what was not. */
interface Draft {
  /** When the batch came; null for history, which is accepted in its own time. */
  readonly acceptedMs: number | null;
  readonly taken: AcceptedEvent[];
  /** Records of the first of `taken`; those of a turn are made at its end. */
  readonly records: Uint8Array[];
  readonly rejected: Rejection[];
  duplicates: number;
  /** Batches that were pending when a duplicate was found: it may be of one of theirs. */
  readonly others: Set<Promise<void>>;
}

/**
 * From parsed elements to durable records: check, identify, drop what is known, assign rows,
 * append. Rows are assigned only to what is taken, on this thread alone.
 */
export class EventIngest implements Ingest {
  readonly #options: EventIngestOptions;
  readonly #check: EventCheck;
  readonly #randomId: () => Id128;
  /** Batches that are not durable yet. A duplicate of one of theirs must wait for them. */
  readonly #pending = new Map<Promise<void>, Draft>();
  #rotationsCounted = 0;
  readonly #categories = new Int32Array(limits.itemCategoriesMax);

  constructor(options: EventIngestOptions) {
    this.#options = options;
    this.#check = createEventCheck(options.interactions);
    this.#randomId = options.randomId ?? randomId128;
  }

  async ingest(elements: readonly ParsedElement[], key: string | null): Promise<IngestAnswer> {
    const nowMs = this.#options.clock.nowMs();
    const ids = new EventIds(key, this.#randomId);
    return await this.#batch(elements.length, nowMs, (draft, index) => {
      const element = elements[index]!;
      if ("fault" in element) draft.rejected.push({ index, ...element.fault });
      else this.#checkAndTake(draft, ids, { value: element.value, index, nowMs });
    });
  }

  /**
   * Imported history: events in their own time, `receivedMs` equal to it. They have been checked
   * with `createEventCheck`; each must carry a time.
   */
  async ingestHistory(events: readonly CheckedEvent[]): Promise<IngestAnswer> {
    const ids = new EventIds(null, this.#randomId);
    return await this.#batch(events.length, null, (draft, index) => {
      const event = events[index]!;
      if (event.timeMs !== undefined) {
        this.#take(draft, event, { index, id: ids.idOf(event, index), receivedMs: event.timeMs });
        return;
      }
      const message = "history needs a time";
      draft.rejected.push({ index, code: "REC_INPUT_MISSING", message, path: "time" });
    });
  }

  /**
   * Takes the elements in order, in turns if there are many, then appends all that was taken as
   * one. Other batches may run between two turns: this one is pending from its first event on, so
   * that a duplicate of it in another waits for its append.
   */
  async #batch(
    count: number,
    acceptedMs: number | null,
    take: (draft: Draft, index: number) => void,
  ): Promise<IngestAnswer> {
    const empty = { taken: [], records: [], rejected: [], duplicates: 0, others: new Set<never>() };
    const draft: Draft = { acceptedMs, ...empty };
    const written = Promise.withResolvers<void>();
    written.promise.catch(() => undefined);
    this.#pending.set(written.promise, draft);
    try {
      await this.#takeAll(draft, count, take);
      if (draft.taken.length > 0) await this.#append(draft);
      written.resolve();
    } catch (thrown) {
      for (const { id } of draft.taken) this.#options.deduplicator.forget(id);
      written.reject(thrown);
      throw thrown;
    } finally {
      this.#pending.delete(written.promise);
    }
    draft.others.delete(written.promise);
    await Promise.all(draft.others);
    return this.#counted(draft);
  }

  async #takeAll(
    draft: Draft,
    count: number,
    take: (draft: Draft, index: number) => void,
  ): Promise<void> {
    const { turns } = this.#options;
    const long = turns !== undefined && count > 2 * turnElements;
    if (long) await turns.next();
    for (let index = 0; index < count; index++) {
      take(draft, index);
      if (!long || index % turnElements !== 0) continue;
      this.#endTurn(draft);
      if (turns.over) await turns.next();
    }
    this.#endTurn(draft);
    if (long && turns.over) await turns.next();
  }

  #endTurn({ taken, records, duplicates, others }: Draft): void {
    if (duplicates > 0) for (const one of this.#pending.keys()) others.add(one);
    for (const record of encodeEvents(taken.slice(records.length))) records.push(record);
  }

  #checkAndTake(
    draft: Draft,
    ids: EventIds,
    element: { value: unknown; index: number; nowMs: number },
  ): void {
    const { index, nowMs } = element;
    const result = this.#check(element.value, nowMs);
    if ("refusal" in result) draft.rejected.push({ index, ...result.refusal });
    else {
      const id = ids.idOf(result.event, index);
      this.#take(draft, result.event, { index, id, receivedMs: nowMs });
    }
  }

  #take(
    draft: Draft,
    event: CheckedEvent,
    as: { index: number; id: Id128; receivedMs: number },
  ): void {
    const { deduplicator, users, items } = this.#options;
    if (!deduplicator.remember(as.id)) {
      draft.duplicates++;
      return;
    }
    try {
      const userRow = users.intern(event.user);
      const itemRow = items.intern(event.item);
      draft.taken.push({
        type: event.type,
        userRow,
        itemRow,
        user: event.user,
        item: event.item,
        timeMs: event.timeMs ?? as.receivedMs,
        receivedMs: as.receivedMs,
        value: event.value,
        id: as.id,
        requestId: event.requestId === undefined ? noId : requestIdOf(event.requestId),
        categories: this.#categoriesOf(itemRow),
      });
    } catch (thrown) {
      // A full id table refuses this event only: those of known users and items still go in.
      deduplicator.forget(as.id);
      const code = thrown instanceof RecError ? thrown.code : "REC_IDS_FULL";
      draft.rejected.push({ index: as.index, code, message: messageOf(thrown) });
    }
  }

  #categoriesOf(itemRow: number): Int32Array {
    const count = this.#options.categoriesOf?.(itemRow, this.#categories) ?? 0;
    return this.#categories.slice(0, count);
  }

  #counted({ taken, rejected, duplicates }: Draft): IngestAnswer {
    const { metrics, deduplicator } = this.#options;
    metrics.add(
      'rec_limit_reached_total{limit="dedupIdsMax"}',
      deduplicator.rotations - this.#rotationsCounted,
    );
    this.#rotationsCounted = deduplicator.rotations;
    metrics.add("rec_events_accepted_total", taken.length);
    metrics.add("rec_events_duplicate_total", duplicates);
    metrics.add("rec_events_rejected_total", rejected.length);
    return { accepted: taken.length, duplicates, rejected };
  }

  async #append({ acceptedMs, taken, records }: Draft): Promise<void> {
    const { log, clock, metrics } = this.#options;
    const startMs = clock.nowMs();
    try {
      await appendEvents(log, taken, records);
    } catch (thrown) {
      if (thrown instanceof RecError && thrown.code === "REC_LOG_FULL") {
        metrics.add('rec_limit_reached_total{limit="appendQueueBytesMax"}', 1);
      }
      throw thrown;
    }
    const nowMs = clock.nowMs();
    metrics.observe("rec_events_append_latency_ms", nowMs - startMs);
    if (acceptedMs === null) return;
    let eventMs = acceptedMs;
    for (const { timeMs } of taken) eventMs = Math.min(eventMs, timeMs);
    observeFreshness(metrics, "durable", { eventMs, acceptedMs }, nowMs);
  }

  /** Ids that are known as taken, but not durable yet. */
  pendingIds(): Id128[] {
    return [...this.#pending.values()].flatMap(({ taken }) => taken.map(({ id }) => id));
  }

  /** Resolves once all batches that are under way now have been written or refused. */
  async settle(): Promise<void> {
    await Promise.allSettled([...this.#pending.keys()]);
  }
}
