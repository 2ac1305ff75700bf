import { type Id128, noId, requestIdOf } from "../../models/core/bytes.ts";
import type { Clock } from "../../models/core/clock.ts";
import { messageOf, RecError } from "../../models/core/errors.ts";
import type { InteractionDefinition } from "../../models/definition/define.ts";
import { limits } from "../../models/limits.ts";
import type { Ingest, IngestAnswer, MetricSink, ParsedElement, Rejection } from "../http/ports.ts";
import { type AcceptedEvent, type AppendLog, appendEvents } from "./append.ts";
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
}

/** A batch on its way: what was taken so far, and what was not. */
interface Draft {
  readonly taken: AcceptedEvent[];
  readonly rejected: Rejection[];
  duplicates: number;
}

/**
 * From parsed elements to durable records: check, identify, drop what is known, assign rows,
 * append. Rows are assigned only to what is taken, on this thread alone.
 */
export class EventIngest implements Ingest {
  readonly #options: EventIngestOptions;
  readonly #check: EventCheck;
  readonly #randomId: () => Id128;
  /** Appends that are not durable yet. A duplicate of one of theirs must wait for them. */
  readonly #pending = new Set<Promise<void>>();
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
    const draft: Draft = { taken: [], rejected: [], duplicates: 0 };
    for (let index = 0; index < elements.length; index++) {
      const element = elements[index]!;
      if ("fault" in element) draft.rejected.push({ index, ...element.fault });
      else this.#checkAndTake(draft, ids, { value: element.value, index, nowMs });
    }
    return await this.#finish(draft);
  }

  /**
   * Imported history: events in their own time, `receivedMs` equal to it. They have been checked
   * with `createEventCheck`; each must carry a time.
   */
  async ingestHistory(events: readonly CheckedEvent[]): Promise<IngestAnswer> {
    const ids = new EventIds(null, this.#randomId);
    const draft: Draft = { taken: [], rejected: [], duplicates: 0 };
    events.forEach((event, index) => {
      if (event.timeMs !== undefined) {
        this.#take(draft, event, { index, id: ids.idOf(event, index), receivedMs: event.timeMs });
        return;
      }
      const message = "history needs a time";
      draft.rejected.push({ index, code: "REC_INPUT_MISSING", message, path: "time" });
    });
    return await this.#finish(draft);
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

  async #finish(draft: Draft): Promise<IngestAnswer> {
    const { taken, rejected, duplicates } = draft;
    // Taken before this batch's own append joins: a duplicate may be of a write under way.
    const earlier = duplicates === 0 ? [] : [...this.#pending];
    if (taken.length > 0) await this.#append(taken);
    await Promise.all(earlier);
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

  async #append(taken: readonly AcceptedEvent[]): Promise<void> {
    const { log, deduplicator, clock, metrics } = this.#options;
    const startMs = clock.nowMs();
    const append = appendEvents(log, taken).catch((thrown: unknown) => {
      for (const event of taken) deduplicator.forget(event.id);
      if (thrown instanceof RecError && thrown.code === "REC_LOG_FULL") {
        metrics.add('rec_limit_reached_total{limit="appendQueueBytesMax"}', 1);
      }
      throw thrown;
    });
    this.#pending.add(append);
    try {
      await append;
      metrics.observe("rec_events_append_latency_ms", clock.nowMs() - startMs);
    } finally {
      this.#pending.delete(append);
    }
  }

  /** Resolves once nothing is under way. */
  async settle(): Promise<void> {
    await Promise.allSettled([...this.#pending]);
  }
}
