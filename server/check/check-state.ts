import { id128ToHex, noRow, readId128, text, viewOf } from "../../models/core/bytes.ts";
import { RecError } from "../../models/core/errors.ts";
import { decodeDocument, eventAt, eventHeaderBytes } from "../../models/core/event.ts";
import { RecentIds } from "../../models/core/recent-ids.ts";
import { readSampleKey } from "../../models/training/sample.ts";
import {
  servedAt,
  servedCount,
  servedItemRow,
  servedUserRow,
} from "../../models/training/served-view.ts";
import type { DocumentKind } from "../../workers/stores/document-store.ts";
import { type LogBatch, recordOf, type Topic } from "../../workers/stores/event-log.ts";
import { readAll, recordsIn } from "../../workers/stores/read-all.ts";
import { systemClock } from "../../workers/system-clock.ts";
import { makeWindowsRole } from "../../workers/windows/make.ts";
import type { Storage } from "../assembly/storage.ts";
import { compareWindows } from "./compare-windows.ts";
import { type Compared, Differences } from "./differences.ts";
import type { ReadableLog } from "./ordered-log.ts";
import { type ReplaySource, WindowsReplay } from "./replay.ts";

export interface StateReport {
  readonly compared: readonly Compared[];
  readonly differences: Differences;
  /** Records read of each topic. */
  readonly records: Readonly<Record<Topic, number>>;
}

export interface StateCheckOptions {
  readonly storage: Storage;
  readonly dataDir: string;
  readonly warn: (text: string) => void;
  /** Differences that are shown; all are counted. */
  readonly shownMax?: number;
}

/** Further reads of the windows: half a minute, twenty minutes, five hours after the last event. */
const laterMs = [0, 30_000, 20 * 60_000, 5 * 3_600_000];

/**
 * Rebuilds what a start rebuilds (ids, documents, and the windows from their checkpoint and what
 * came after it) and compares it with a replay of the whole log from its first record on.
 */
export async function checkState(options: StateCheckOptions): Promise<StateReport> {
  const { storage, dataDir, warn } = options;
  const { definition, state, log } = storage;
  const clock = systemClock;
  for (const partition of state.partials.keys()) {
    const parts = { state, log, definition, dataDir, clock, warn, partition };
    const role = await makeWindowsRole(parts);
    while (!role.caughtUp) await role.step();
  }
  return await compareState(storage, { shownMax: options.shownMax ?? 20, twice: false });
}

/** What the check needs of a server whose windows have caught up. */
export type CheckedStorage = Pick<Storage, "definition" | "state" | "store"> & {
  readonly log: ReadableLog;
};

/** Compares what stands in memory and in the store with a replay of the whole log. */
export async function compareState(
  storage: CheckedStorage,
  options: CompareOptions,
): Promise<StateReport> {
  return await new StateCheck(storage, options).run();
}

export interface CompareOptions {
  readonly shownMax: number;
  /** Events may stand in the log twice: they must count once. */
  readonly twice: boolean;
}

class StateCheck {
  readonly #storage: CheckedStorage;
  readonly #differences: Differences;
  readonly #twice: boolean;
  readonly #replay: WindowsReplay;
  #largestMs = 0;

  constructor(storage: CheckedStorage, options: CompareOptions) {
    const { definition, state } = storage;
    this.#storage = storage;
    this.#differences = new Differences(options.shownMax);
    this.#twice = options.twice;
    this.#replay = new WindowsReplay(definition, state.recent.length);
  }

  async run(): Promise<StateReport> {
    const events = await this.#events();
    const slates = await this.#served();
    const windows = compareWindows({
      ...{ definition: this.#storage.definition, state: this.#storage.state },
      ...{ replay: this.#replay, differences: this.#differences },
      asOfMs: laterMs.map((ms) => this.#largestMs + ms),
    });
    const documents = await this.#documents();
    const samples = await this.#samples();
    return {
      compared: [events, slates, ...windows, documents, samples],
      differences: this.#differences,
      records: {
        ...{ events: events.rows, served: slates.rows, samples: samples.rows },
        items: this.#storage.log.endOffset("items", 0),
        commits: recordsIn(this.#storage.log, "commits"),
        late: recordsIn(this.#storage.log, "late"),
      },
    };
  }

  async #readTopic(
    topic: Topic,
    take: (batch: LogBatch, source: ReplaySource) => void,
  ): Promise<number> {
    const { log } = this.#storage;
    let records = 0;
    for (let partition = 0; partition < log.partitions(topic); partition++) {
      const start = log.startOffset(topic, partition);
      if (start > 0) {
        const message = `${topic}/${partition} begins at ${start}: its first records were dropped`;
        throw new RecError("REC_CHECK_LOG_GONE", message);
      }
      const source: ReplaySource = { largestMs: 0 };
      const from = { topic, partition, offset: 0 };
      records += await readAll(log, from, (batch) => take(batch, source));
      this.#largestMs = Math.max(this.#largestMs, source.largestMs);
    }
    return records;
  }

  /** No id twice; every row is the one that its id has. */
  async #events(): Promise<Compared> {
    // Room for all of them in its younger half: it then forgets none.
    const ids = new RecentIds(2 * (1 + recordsIn(this.#storage.log, "events")));
    let differing = 0;
    const rows = await this.#readTopic("events", (batch, source) => {
      const view = viewOf(batch.data);
      for (let i = 0; i < batch.count; i++) {
        const at = batch.bounds[i]!;
        const id = readId128(view, at + eventAt.id);
        if (!ids.add(...id)) {
          if (this.#twice) continue;
          differing++;
          this.#differences.add(`event ${id128ToHex(id)} stands twice in the log`);
          continue;
        }
        if (!this.#rowsHold(batch, view, at)) differing++;
        this.#replay.event(source, view, at);
      }
    });
    return { what: "event ids and rows", rows, differing };
  }

  #rowsHold(batch: LogBatch, view: DataView, at: number): boolean {
    const { users, items } = this.#storage.state;
    const userFrom = at + eventHeaderBytes;
    const itemFrom = userFrom + view.getUint16(at + eventAt.userBytes, true);
    const itemEnd = itemFrom + view.getUint16(at + eventAt.itemBytes, true);
    const user = text(batch.data.subarray(userFrom, itemFrom));
    const item = text(batch.data.subarray(itemFrom, itemEnd));
    const userRow = view.getUint32(at + eventAt.userRow, true);
    const itemRow = view.getUint32(at + eventAt.itemRow, true);
    if (users.find(user) === userRow && items.find(item) === itemRow) return true;
    const event = `event of ${JSON.stringify(user)} and ${JSON.stringify(item)}`;
    this.#differences.add(`${event}: rows ${userRow} and ${itemRow} belong to others`);
    return false;
  }

  /** Slates name rows only; each must be the row of some id. */
  async #served(): Promise<Compared> {
    let differing = 0;
    const rows = await this.#readTopic("served", (batch, source) => {
      const view = viewOf(batch.data);
      for (let i = 0; i < batch.count; i++) {
        const at = batch.bounds[i]!;
        if (!this.#slateHolds(view, at)) differing++;
        if (this.#replay.readsServed) this.#replay.served(source, view, at);
      }
    });
    return { what: "slates' rows", rows, differing };
  }

  #slateHolds(view: DataView, at: number): boolean {
    const { users, items } = this.#storage.state;
    const user = servedUserRow(view, at);
    const count = servedCount(view, at);
    let item = -1;
    for (let i = 0; i < count; i++) item = Math.max(item, servedItemRow(view, at, count, i));
    if ((user === noRow || user < users.size) && item < items.size) return true;
    const request = id128ToHex(readId128(view, at + servedAt.requestId));
    this.#differences.add(`slate ${request} names user row ${user}, item row ${item}: no such row`);
    return false;
  }

  /** The store holds what the topic's last change of each document says. */
  async #documents(): Promise<Compared> {
    const last = new Map<string, { kind: DocumentKind; row: number; json: string | null }>();
    await this.#readTopic("items", (batch) => {
      for (let i = 0; i < batch.count; i++) {
        const { kind, operation, row, json } = decodeDocument(recordOf(batch, i));
        last.set(`${kind}/${row}`, { kind, row, json: operation === "put" ? json : null });
      }
    });
    let differing = 0;
    for (const { kind, row, json } of last.values()) {
      const [found] = await this.#storage.store.getMany(kind, [row]);
      if ((found?.json ?? null) === json) continue;
      differing++;
      this.#differences.add(`${kind} row ${row}: the stored document is not the log's last`);
    }
    return { what: "documents", rows: last.size, differing };
  }

  /** One primary sample for each item of a slate. */
  async #samples(): Promise<Compared> {
    const { log } = this.#storage;
    const keys = new RecentIds(2 * (1 + recordsIn(log, "samples")));
    let differing = 0;
    const rows = await this.#readTopic("samples", (batch) => {
      const view = viewOf(batch.data);
      for (let i = 0; i < batch.count; i++) {
        const key = readSampleKey(view, batch.bounds[i]!);
        if (!key.isPrimary) continue;
        const [a, b, c] = key.requestId;
        // 96 bits of the request's random id and the item's row.
        if (keys.add(a, b, c, key.itemRow)) continue;
        differing++;
        const request = id128ToHex(key.requestId);
        this.#differences.add(`request ${request}, item row ${key.itemRow}: sampled twice`);
      }
    });
    return { what: "samples", rows, differing };
  }
}
