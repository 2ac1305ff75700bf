import { assert } from "../../models/core/assert.ts";
import { ManualClock } from "../../models/core/clock.ts";
import { isRecord } from "../../models/core/schema.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { limits } from "../../models/limits.ts";
import { openVirtualDoor } from "../../server/assembly/virtual-door.ts";
import { VirtualServer } from "../../server/assembly/virtual-server.ts";
import { pagesOf } from "../../server/history/point-in-time.ts";
import type {
  HistoryDocument,
  HistoryEvent,
  HistoryRow,
  HistoryTie,
} from "../../server/history/read-history.ts";

export interface ReplayedServerOptions {
  readonly definition: RecommenderDefinition;
  /** The time of the first event. */
  readonly startMs: number;
  readonly users: number;
  readonly items: number;
  /** Snapshots stand in `models/` of it. */
  readonly dataDir: string;
  readonly seed: number;
}

/** Heads of one row, in the definition's order. */
export type RowHeads = readonly number[];

const eventsAtOnce = limits.batchEventsMax / 2;
const documentsAtOnce = limits.batchItemsMax / 2;
const silent = () => undefined;
const quiet = { debug: silent, info: silent, warn: silent, error: silent };

/**
 * A server that lives through a history: asked and told over HTTP alone, under a clock that stands
 * at the time of what it is told. All of its roles run on the calling thread, when time moves.
 */
export class ReplayedServer {
  readonly #clock: ManualClock;
  readonly #server: VirtualServer;
  readonly #door: ReturnType<typeof openVirtualDoor>;
  readonly #definition: RecommenderDefinition;

  private constructor(options: ReplayedServerOptions, clock: ManualClock, server: VirtualServer) {
    const { definition } = options;
    this.#definition = definition;
    this.#clock = clock;
    this.#server = server;
    this.#door = openVirtualDoor({ definition, clock, log: quiet, ports: server.ports() });
  }

  static async open(options: ReplayedServerOptions): Promise<ReplayedServer> {
    const { definition, startMs, users, items, dataDir, seed } = options;
    const clock = new ManualClock(startMs);
    const server = await VirtualServer.open({
      ...{ definition, clock, seed, modelsIn: dataDir },
      // Nothing is recalled here: given items are ranked.
      recallEveryMs: Number.POSITIVE_INFINITY,
      capacities: { usersMax: users + 1_024, itemsMax: items + 1_024 },
    });
    return new ReplayedServer(options, clock, server);
  }

  get ids() {
    return this.#server.ids();
  }

  get published() {
    return this.#server.published();
  }

  freeze(what: { readonly weights: boolean; readonly counters: boolean }): void {
    if (what.weights) this.#server.freezeWeights();
    if (what.counters) this.#server.freezeWindows();
  }

  async promote(version: number): Promise<void> {
    await this.#post(`/v1/models/${version}/promote`, undefined);
  }

  async documents(documents: readonly HistoryDocument[]): Promise<void> {
    const latest = new Map(documents.map(({ item, document }) => [item, document]));
    const batch = [...latest].map(([id, document]) => ({ id, ...document }));
    for (let from = 0; from < batch.length; from += documentsAtOnce) {
      await this.#post("/v1/items", batch.slice(from, from + documentsAtOnce));
    }
  }

  /** Tells the events of some ties and lets all roles take them in. */
  async tell(ties: readonly HistoryTie[]): Promise<void> {
    const last = ties.at(-1);
    if (last === undefined) return;
    this.#clock.advanceTo(last.timeMs);
    const events = ties.flatMap((tie) => tie.events.map((event) => this.#eventOf(event)));
    for (let from = 0; from < events.length; from += eventsAtOnce) {
      const answer = await this.#post("/v1/events", events.slice(from, from + eventsAtOnce));
      const rejected = isRecord(answer) ? answer.rejected : undefined;
      const taken = Array.isArray(rejected) && rejected.length === 0;
      assert(taken, `events were refused: ${JSON.stringify(rejected).slice(0, 200)}`);
    }
    await this.#server.advanceTo(last.timeMs);
  }

  /** What the server says of the rows of a moment before it is told of them; rows by page. */
  async ask(rows: readonly HistoryRow[]): Promise<RowHeads[]> {
    const [first] = rows;
    if (first === undefined) return [];
    this.#clock.advanceTo(first.timeMs);
    await this.#server.advanceTo(first.timeMs);
    const asked: RowHeads[] = [];
    for (const { user, page } of pagesOf(rows)) {
      const items = [...new Set(page.map((row) => row.item))];
      const body = { user, items, deadlineMs: limits.deadlineMsMax };
      const heads = this.#headsOf(await this.#post("/v1/rank", body));
      for (const row of page) {
        const found = heads.get(row.item);
        assert(found !== undefined, `the answer to /v1/rank has no heads of ${row.item}`);
        asked.push(found);
      }
    }
    return asked;
  }

  async close(): Promise<void> {
    await this.#door.stop();
    await this.#server.close();
  }

  #eventOf({ type, user, item, timeMs, value }: HistoryEvent) {
    const interaction = this.#definition.interactions[type];
    assert(interaction !== undefined, "a type of the definition");
    const event = { type: interaction.name, user, item, time: timeMs };
    return interaction.value === "none" ? event : { ...event, value };
  }

  /** By item; a head with `given` as the product over all impressions, as its label is. */
  #headsOf(answer: unknown): Map<string, RowHeads> {
    const { heads } = this.#definition;
    const items: unknown = isRecord(answer) ? answer.items : undefined;
    assert(Array.isArray(items), "the answer to /v1/rank has items");
    const found = new Map<string, RowHeads>();
    for (const item of items) {
      const said: unknown = isRecord(item) ? item.heads : undefined;
      if (!isRecord(item) || typeof item.id !== "string" || !isRecord(said)) continue;
      const rate = (name: string | undefined) => (name === undefined ? 1 : Number(said[name]));
      found.set(
        item.id,
        heads.map(({ name, given }) => rate(given) * rate(name)),
      );
    }
    return found;
  }

  async #post(path: string, body: unknown): Promise<unknown> {
    const json = body === undefined ? {} : { body: JSON.stringify(body) };
    const headers = { "content-type": "application/json" };
    const answer = await fetch(this.#door.url + path, { method: "POST", headers, ...json });
    const text = await answer.text();
    assert(answer.ok, `${path} was answered with ${answer.status}: ${text.slice(0, 200)}`);
    return JSON.parse(text);
  }
}
