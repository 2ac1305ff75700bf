import { Random } from "../../models/core/random.ts";
import { type Answer, closedLoop, httpRequest, LoadClient, openLoop } from "../open-loop.ts";

export interface BackgroundOptions {
  readonly port: number;
  readonly users: number;
  readonly items: number;
  readonly eventsPerSecond: number;
  readonly seed: number;
}

const batchesPerSecond = 40;
const users = 8;

/** What came of the load: how much of it went through, and how late the client itself was. */
export interface LoadReport {
  readonly slatesPerSecond: number;
  readonly eventsPerSecond: number;
  readonly refused: number;
  readonly clientLateMsP99: number;
}

/** Slates at a fixed rate and a stream of events, as a feed's other users make them. */
export class BackgroundLoad {
  readonly #options: BackgroundOptions;
  readonly #random: Random;
  readonly #slates: LoadClient;
  readonly #events: LoadClient;

  constructor(options: BackgroundOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#slates = new LoadClient({ port: options.port });
    this.#events = new LoadClient({ port: options.port });
  }

  async open(): Promise<void> {
    await Promise.all([this.#slates.open(users), this.#events.open(4)]);
  }

  readonly #slate = (): Uint8Array => {
    const user = `u${this.#random.int(this.#options.users)}`;
    return httpRequest("POST", "/v1/recommend", { user, n: 20 });
  };

  readonly #batch = (): Uint8Array => {
    const random = this.#random;
    const nowMs = Date.now();
    const count = Math.round(this.#options.eventsPerSecond / batchesPerSecond);
    const events = Array.from({ length: count }, () => ({
      type: random.int(4) === 0 ? "finish" : "click",
      user: `u${random.int(this.#options.users)}`,
      item: `i${random.int(this.#options.items)}`,
      time: random.int(5) === 0 ? nowMs - random.int(30_000) : nowMs,
      id: `b${random.nextUint32()}-${random.nextUint32()}`,
    }));
    return httpRequest("POST", "/v1/events", events);
  };

  #streamEvents(seconds: number) {
    const next = this.#batch;
    return openLoop(this.#events, { ratePerSecond: batchesPerSecond, seconds, next });
  }

  /** Slates a second that the server answers while the events come. */
  async peak(seconds: number): Promise<number> {
    const next = this.#slate;
    const [loop] = await Promise.all([
      closedLoop(this.#slates, { users, seconds, next }),
      this.#streamEvents(seconds),
    ]);
    return loop.samples.filter(({ good }) => good).length / loop.seconds;
  }

  async run(seconds: number, slatesPerSecond: number): Promise<LoadReport> {
    const isGood = ({ status }: Answer) => status === 200;
    const [slates, events] = await Promise.all([
      openLoop(this.#slates, {
        ...{ ratePerSecond: slatesPerSecond, seconds, next: this.#slate, isGood },
      }),
      this.#streamEvents(seconds),
    ]);
    const ok = (result: typeof slates) => result.samples.filter(({ good }) => good).length;
    const share = this.#options.eventsPerSecond / batchesPerSecond;
    const late = [...slates.clientLateMs].sort((a, b) => a - b);
    return {
      slatesPerSecond: ok(slates) / seconds,
      eventsPerSecond: (ok(events) * share) / seconds,
      refused: slates.samples.length + events.samples.length - ok(slates) - ok(events),
      clientLateMsP99: late[Math.floor(0.99 * late.length)] ?? Number.NaN,
    };
  }

  close(): void {
    this.#slates.close();
    this.#events.close();
  }
}
