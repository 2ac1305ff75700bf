import type { Random } from "../../models/core/random.ts";
import { isRecord } from "../../models/core/schema.ts";
import type { World } from "../../workers/simulator/world.ts";
import { type Answer, httpRequest, LoadClient } from "../open-loop.ts";

export interface SoakOptions {
  readonly port: number;
  readonly random: Random;
  readonly world: World;
  readonly users: number;
  readonly items: number;
  readonly slatesPerSecond: number;
  readonly eventsPerSecond: number;
}

const batchEvents = 50;
const documentsPerSecond = 2;
const similarPerSecond = 5;
const tickMs = 10;
const connections = 32;
/** The latest so many latencies are kept. */
const latenciesKept = 100_000;

interface Stream {
  readonly perSecond: number;
  readonly send: () => void;
  sent: number;
}

/** Requests at fixed rates, whatever the answers; those who see a slate act on it. */
export class SoakLoad {
  readonly counts = { answered: 0, refused: 0, failed: 0 };
  readonly slateLatenciesMs: number[] = [];
  readonly #options: SoakOptions;
  readonly #client: LoadClient;
  readonly #streams: readonly Stream[];
  #pending = 0;
  #slates = 0;
  #documents = 0;
  #timer: ReturnType<typeof setInterval> | null = null;

  constructor(options: SoakOptions) {
    this.#options = options;
    this.#client = new LoadClient({ port: options.port, keepBodies: true });
    const stream = (perSecond: number, send: () => void) => ({ perSecond, send, sent: 0 });
    this.#streams = [
      stream(options.slatesPerSecond, () => this.#slate()),
      stream(options.eventsPerSecond / batchEvents, () => this.#events()),
      stream(documentsPerSecond, () => this.#document()),
      stream(similarPerSecond, () => this.#similar()),
    ];
  }

  async start(): Promise<void> {
    await this.#client.open(connections);
    const startMs = performance.now();
    this.#timer = setInterval(() => {
      const seconds = (performance.now() - startMs) / 1_000;
      for (const stream of this.#streams) {
        for (; stream.sent < seconds * stream.perSecond; stream.sent++) stream.send();
      }
    }, tickMs);
  }

  /** Ends the load; resolves once what was asked is answered, or after ten seconds. */
  async stop(): Promise<void> {
    if (this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
    for (let waited = 0; this.#pending > 0 && waited < 1_000; waited++) await Bun.sleep(10);
    this.#client.close();
  }

  #send(request: Uint8Array, then: (answer: Answer) => void = () => {}): void {
    this.#pending++;
    this.#client.send(request, performance.now(), (answer) => {
      this.#pending--;
      if (answer.status === 503) this.counts.refused++;
      else if (answer.status < 200 || answer.status > 299) this.counts.failed++;
      else {
        this.counts.answered++;
        then(answer);
      }
    });
  }

  #user(): string {
    return `u${this.#options.random.int(this.#options.users)}`;
  }

  #item(): string {
    return `i${Math.floor(this.#options.items * this.#options.random.next() ** 2)}`;
  }

  #slate(): void {
    const user = this.#user();
    const details = this.#slates++ % 4 === 0;
    const request = httpRequest("POST", "/v1/recommend", { user, n: 20, details });
    this.#send(request, ({ latencyMs, body }) => {
      if (this.slateLatenciesMs.length < latenciesKept) this.slateLatenciesMs.push(latencyMs);
      else this.slateLatenciesMs[this.#slates % latenciesKept] = latencyMs;
      this.#act(user, body);
    });
  }

  /** Impressions of the first items, a click and a watch of one of them. */
  #act(user: string, body: Uint8Array | null): void {
    const answer: unknown = body === null ? null : JSON.parse(new TextDecoder().decode(body));
    if (!isRecord(answer) || !Array.isArray(answer.items)) return;
    const { requestId } = answer;
    const shown = answer.items.slice(0, 5).map((one: unknown) => (isRecord(one) ? one.id : ""));
    const chosen = shown[this.#options.random.int(Math.max(1, shown.length))];
    if (chosen === undefined) return;
    const seconds = 1 + this.#options.random.int(60);
    const acts = [
      ...shown.map((item) => ({ type: "impression", user, item, requestId })),
      { type: "click", user, item: chosen, requestId },
      { type: "watch", user, item: chosen, requestId, value: seconds },
    ];
    this.#send(httpRequest("POST", "/v1/events", acts));
  }

  #events(): void {
    const batch = Array.from({ length: batchEvents }, () => ({
      type: this.#options.random.int(5) === 0 ? "click" : "impression",
      user: this.#user(),
      item: this.#item(),
    }));
    this.#send(httpRequest("POST", "/v1/events", batch));
  }

  #document(): void {
    const { random, world, items } = this.#options;
    const { id, ...document } = world.documentOf(random.int(items));
    const title = `version ${this.#documents++ % 1_000}`;
    this.#send(httpRequest("PUT", `/v1/items/${id}`, { ...document, title }));
  }

  #similar(): void {
    this.#send(httpRequest("GET", `/v1/items/${this.#item()}/similar`));
  }
}
