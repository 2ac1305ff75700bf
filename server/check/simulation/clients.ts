import { assert } from "../../../models/core/assert.ts";
import type { Id128 } from "../../../models/core/bytes.ts";
import { RecError } from "../../../models/core/errors.ts";
import type { Random } from "../../../models/core/random.ts";
import { recordOf } from "../../../workers/stores/event-log.ts";
import type { SentEvent, SimulationLedger } from "./ledger.ts";
import type { SimulatedServer } from "./simulated-server.ts";

const users = 40;
const items = 150;
const categories = 9;
const types = ["click", "like", "finish", "watch", "convert", "impression"] as const;
const slateItems = 8;
const batchMax = 200;
/** Slates whose items get events; older ones only now and then. */
const recentSlates = 12;

/** People at the door: what they send is random, what they were answered is in the ledger. */
export class SimulatedClients {
  readonly #random: Random;
  readonly #ledger: SimulationLedger;
  #events = 0;
  #documents = 0;

  constructor(random: Random, ledger: SimulationLedger) {
    this.#random = random;
    this.#ledger = ledger;
  }

  /** A batch of new events, repeats of known ones, and some that were never answered. */
  async sendEvents(server: SimulatedServer): Promise<number> {
    const nowMs = server.options.clock.nowMs();
    const random = this.#random;
    const { acknowledged, unanswered } = this.#ledger;
    const batch = Array.from({ length: 1 + random.int(batchMax) }, () => this.#event(nowMs));
    const again = unanswered.splice(0, random.int(20));
    const known = [...lastOf(acknowledged, random.int(3))];
    const sent = [...batch, ...again, ...known];
    this.#ledger.meet("events sent twice", again.length + known.length);
    try {
      const elements = sent.map((value) => ({ value }));
      const answer = await server.ingest.events.ingest(elements, null);
      assert(answer.rejected.length === 0, `refused: ${answer.rejected[0]?.message}`);
      for (const event of sent) acknowledged.set(event.id, event);
      return batch.length;
    } catch (error) {
      if (!(error instanceof RecError)) throw error;
      this.#ledger.meet(`events refused: ${error.code}`);
      unanswered.push(...batch, ...again);
      return 0;
    }
  }

  /** A record that is in the log comes again, as a producer that lost an answer sends it. */
  async deliverAgain({ log, partitions }: SimulatedServer): Promise<void> {
    const partition = partitions === 1 ? 0 : this.#random.int(partitions);
    const end = log.endOffset("events", partition);
    if (end === 0) return;
    const offset = this.#random.int(end);
    const batch = await log.read("events", partition, offset, 1);
    await log.append("events", partition, [recordOf(batch, 0).slice()]);
    this.#ledger.meet("records twice in the log");
  }

  async askSlate(server: SimulatedServer): Promise<void> {
    const random = this.#random;
    // Some often, so that they get the same items again.
    const regular = `u${random.int(random.int(2) === 0 ? 3 : users)}`;
    const user = random.int(10) === 0 ? `new${random.int(30)}` : regular;
    const requestId = this.#requestId();
    const isSession = random.int(8) === 0;
    const recent = isSession ? [{ item: this.#item(), type: 1, timeMs: this.#nowOf(server) }] : [];
    const answer = await server.engine.recommend({
      ...{ requestId, user: isSession && random.int(2) === 0 ? null : user, recent },
      ...{ n: slateItems, context: {}, exclude: [], categories: [], weights: null },
      ...{ details: false, explain: false },
    });
    this.#ledger.meet("slates");
    const shown = answer.items.map(({ id }) => id);
    this.#ledger.slates.push({ requestId: answer.requestId, user, items: shown });
  }

  async putDocument(server: SimulatedServer): Promise<void> {
    const random = this.#random;
    const item = this.#item();
    const number = ++this.#documents;
    const named = Array.from({ length: random.int(4) }, () => `c${random.int(categories)}`);
    const document = {
      ...{ title: `${number}`, categories: [...new Set(named)], author: `a${random.int(20)}` },
      ...(random.int(2) === 0 ? { durationSeconds: 1 + random.int(300) } : {}),
    };
    try {
      await server.ingest.documents.put("item", [{ id: item, document }]);
      const before = this.#ledger.documents.get(item) ?? 0;
      this.#ledger.documents.set(item, Math.max(before, number));
    } catch (error) {
      if (!(error instanceof RecError)) throw error;
      this.#ledger.meet(`documents refused: ${error.code}`);
    }
  }

  #nowOf(server: SimulatedServer): number {
    return server.options.clock.nowMs();
  }

  #event(nowMs: number): SentEvent {
    const random = this.#random;
    const { slates } = this.#ledger;
    const near = Math.min(slates.length, random.int(20) === 0 ? 200 : recentSlates);
    const slate = slates[slates.length - 1 - random.int(Math.max(1, near))];
    const shown = slate?.items[random.int(slateItems)];
    const type = types[random.int(types.length)] ?? "click";
    const fromSlate = slate !== undefined && shown !== undefined && random.int(10) < 6;
    const user = fromSlate ? slate.user : `u${random.int(users)}`;
    const named = fromSlate && random.int(3) > 0;
    return {
      ...{ id: `e${this.#events++}`, type },
      user,
      item: fromSlate ? shown : this.#item(),
      time: Math.floor(nowMs - this.#delayMs()),
      ...(named ? { requestId: slate.requestId } : {}),
      // Whole seconds: their sum does not hang on the order.
      ...(type === "watch" || type === "convert" ? { value: 1 + random.int(60) } : {}),
    };
  }

  /** A fifth comes out of order, some too late for every window. */
  #delayMs(): number {
    const random = this.#random;
    const kind = random.next();
    if (kind < 0.01) return -30_000 * random.next();
    if (kind < 0.03) return 2 * 86_400_000 * random.next();
    return kind < 0.23 ? 40_000 * random.next() : 0;
  }

  /** Squared: a few items get most of it. */
  #item(): string {
    return `i${Math.floor(items * this.#random.next() ** 2)}`;
  }

  #requestId(): Id128 {
    const word = () => this.#random.nextUint32();
    return [word(), word(), word(), (word() | 1) >>> 0];
  }
}

/** Some of the newest entries: the map keeps the order of insertion. */
function lastOf(events: ReadonlyMap<string, SentEvent>, count: number): SentEvent[] {
  const from = Math.max(0, events.size - 400);
  const out: SentEvent[] = [];
  let at = 0;
  for (const event of events.values()) {
    if (at++ >= from && out.length < count) out.push(event);
    if (out.length >= count) break;
  }
  return out;
}
