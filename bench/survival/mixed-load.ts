import { assert } from "../../models/core/assert.ts";
import { Random } from "../../models/core/random.ts";
import type { ClientEvent } from "../../workers/simulator/port.ts";
import { KeptConnection, type Reply } from "./kept-connection.ts";
import type { Ledger } from "./ledger.ts";

export interface MixedLoadOptions {
  readonly port: number;
  readonly seed: number;
  /** Names this run in its events' ids: no other run on the same data may have the name. */
  readonly name: string;
  readonly ledger: Ledger;
  /** Loops of each kind. */
  readonly events: number;
  readonly slates: number;
  readonly documents: number;
  /** Items of a slate; default 10. */
  readonly slateItems?: number;
}

export interface LoadCounts {
  answered: number;
  /** Answers of 200 that name something that was left out. */
  degraded: number;
  /** Statuses other than 200, by status. */
  readonly others: Map<number, number>;
  /** Sent on an open connection, and no answer came. */
  lost: number;
  refused: number;
  slowestMs: number;
}

const items = 2_000;
const users = 500;
const categories = 12;
const types = ["click", "like", "finish", "watch", "impression", "convert"] as const;

interface Slate {
  readonly user: string;
  readonly requestId: string;
  readonly items: readonly string[];
}

/** Some of the slates that came, so that their items get events. */
const slatesKept = 64;

/**
 * Clients that send event batches (with repeats, disorder and new users), ask for slates and put
 * documents, each as fast as its answers come, until they are told to stop or nobody listens.
 */
export class MixedLoad {
  readonly counts: LoadCounts = {
    ...{ answered: 0, degraded: 0, lost: 0, refused: 0, slowestMs: 0 },
    others: new Map(),
  };
  readonly #options: MixedLoadOptions;
  readonly #loops: Promise<void>[] = [];
  readonly #slates: Slate[] = [];
  #stopped = false;
  #nextEvent = 0;
  #nextUser = 0;

  constructor(options: MixedLoadOptions) {
    this.#options = options;
  }

  start(): void {
    const { seed, events, slates, documents } = this.#options;
    const random = new Random(seed);
    const run = (count: number, one: (client: KeptConnection, own: Random) => Promise<Reply>) => {
      for (let i = 0; i < count; i++) {
        this.#loops.push(this.#loop(new Random(random.int(2 ** 31)), one));
      }
    };
    run(events, (client, own) => this.#sendEvents(client, own));
    run(slates, (client, own) => this.#askSlate(client, own));
    run(documents, (client, own) => this.#putDocument(client, own));
  }

  /** Resolves once every request is answered or lost. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.ended();
  }

  /** Resolves once no client goes on. */
  async ended(): Promise<void> {
    await Promise.all(this.#loops);
  }

  async #loop(
    random: Random,
    one: (client: KeptConnection, own: Random) => Promise<Reply>,
  ): Promise<void> {
    const client = new KeptConnection(this.#options.port);
    while (!this.#stopped) {
      const fromMs = performance.now();
      const reply = await one(client, random);
      this.counts.slowestMs = Math.max(this.counts.slowestMs, performance.now() - fromMs);
      if (!this.#count(reply)) break;
    }
    client.close();
  }

  /** False where there is no use in going on. */
  #count(reply: Reply): boolean {
    const { counts } = this;
    if (reply.kind === "answered") {
      counts.answered++;
      if (reply.status !== 200) {
        counts.others.set(reply.status, (counts.others.get(reply.status) ?? 0) + 1);
      }
      return true;
    }
    counts[reply.kind]++;
    return false;
  }

  async #sendEvents(client: KeptConnection, random: Random): Promise<Reply> {
    const { ledger } = this.#options;
    const batch = Array.from({ length: 1 + random.int(40) }, () => this.#event(random));
    const repeated = ledger.acknowledged.length === 0 ? 0 : random.int(4);
    const repeats = Array.from({ length: repeated }, () => {
      const id = ledger.acknowledged[random.int(ledger.acknowledged.length)] ?? "";
      return { ...this.#event(random), id };
    });
    const inBatch = random.int(5) === 0 ? batch.slice(0, 1) : [];
    const sent = [...batch, ...repeats, ...inBatch];
    const reply = await client.send("POST", "/v1/events", sent);
    if (reply.kind === "answered" && reply.status === 200) {
      const { rejected }: { rejected: unknown[] } = JSON.parse(reply.text);
      assert(rejected.length === 0, `all events are good: ${reply.text}`);
      ledger.acknowledge(batch.map(({ id }) => id));
    }
    return reply;
  }

  #event(random: Random): ClientEvent {
    const slate = this.#slates[random.int(slatesKept)];
    const fromSlate = slate !== undefined && random.int(2) === 0;
    const type = types[random.int(types.length)] ?? "click";
    const late = random.int(100);
    const behindMs = late === 0 ? 2 * 86_400_000 : late < 25 ? 40_000 : 500;
    return {
      id: `${this.#options.name}-${this.#nextEvent++}`,
      type,
      user: fromSlate ? slate.user : this.#user(random),
      item: fromSlate ? (slate.items[random.int(slate.items.length)] ?? "i0") : itemOf(random),
      time: Math.floor(Date.now() - random.next() * behindMs),
      ...(fromSlate ? { requestId: slate.requestId } : {}),
      ...(type === "watch" || type === "convert" ? { value: 1 + random.int(60) } : {}),
    };
  }

  /** Now and then someone new, whose slate is then asked for while the event is on its way. */
  #user(random: Random): string {
    if (random.int(20) === 0) return `${this.#options.name}-u${this.#nextUser++}`;
    return `u${random.int(users)}`;
  }

  async #askSlate(client: KeptConnection, random: Random): Promise<Reply> {
    const { name, ledger, slateItems = 10 } = this.#options;
    const newest = `${name}-u${this.#nextUser - 1}`;
    const user = random.int(3) === 0 && this.#nextUser > 0 ? newest : `u${random.int(users)}`;
    const details = random.int(4) === 0;
    const body = { user, n: slateItems, details, deadlineMs: 1_000 };
    const reply = await client.send("POST", "/v1/recommend", body);
    if (reply.kind === "answered" && reply.status === 200) {
      const answer: { requestId: string; items: { id: string }[]; degraded: string[] } = JSON.parse(
        reply.text,
      );
      if (answer.degraded.length > 0) this.counts.degraded++;
      ledger.slates.set(answer.requestId, user);
      const shown = answer.items.map(({ id }) => id);
      if (shown.length > 0) {
        const { requestId } = answer;
        this.#slates[random.int(slatesKept)] = { user, requestId, items: shown };
      }
    }
    return reply;
  }

  async #putDocument(client: KeptConnection, random: Random): Promise<Reply> {
    const { ledger } = this.#options;
    const item = itemOf(random);
    const version = ledger.sendDocument(item);
    const chosen = Array.from({ length: random.int(4) }, () => `c${random.int(categories)}`);
    const document = { title: titleOf(version), categories: [...new Set(chosen)] };
    const reply = await client.send("PUT", `/v1/items/${item}`, document);
    if (reply.kind === "answered" && reply.status < 300) {
      ledger.acknowledgeDocument(item, version);
    }
    return reply;
  }
}

/** The title that says which version of its item's document it is. */
export function titleOf(version: number): string {
  return `version ${version}`;
}

/** Squared: a few items get most of it. */
function itemOf(random: Random): string {
  return `i${Math.floor(items * random.next() ** 2)}`;
}
