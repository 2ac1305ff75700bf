import { seedAndFill } from "../filling.ts";
import type { BenchContext } from "../harness.ts";
import { type Answer, httpRequest, LoadClient } from "../open-loop.ts";
import { seedServer } from "../seeding.ts";
import { type ServerProcess, startServer } from "../server-process.ts";

/** A server under test in pairs of runs, and who asks it for slates and acts on them. */

export interface Traffic {
  readonly items: number;
  readonly users: number;
  readonly samplesPerSecond: number;
  readonly seed: number;
}

/** Pairs of runs, so many seconds each. */
export interface PairSizes extends Traffic {
  readonly seconds: number;
  readonly pairs: number;
}

/** Options of a bench of pairs; it adds `samples` and `seconds`, whose defaults are its own. */
export const pairOptions = {
  items: { kind: "number", help: "items", default: 10_000, min: 100 },
  users: { kind: "number", help: "users", default: 5_000, min: 100 },
  pairs: { kind: "number", help: "pairs of runs that alternate", default: 10, min: 1 },
} as const;

export function pairSizesOf(context: BenchContext, smokeSeconds: number): PairSizes {
  const { options, smoke, seed } = context;
  const of = (name: string, tiny: number) => (smoke ? tiny : options.number(name));
  return {
    items: of("items", 500),
    users: of("users", 500),
    samplesPerSecond: of("samples", 800),
    seconds: of("seconds", smokeSeconds),
    pairs: of("pairs", 1),
    seed,
  };
}

export interface Run {
  readonly latenciesMs: number[];
  failed: number;
  decreased: number;
  /** What failed, for the person who watches. */
  readonly failures: string[];
}

export interface Load {
  readonly ratePerSecond: number;
  /** Items of a slate. */
  readonly slate: number;
}

const drainMs = 3_000;
/** Requests under way at once while the peak is measured. */
const peakUsers = 4;
/** Of the peak, where a bench does not say otherwise. */
const peakShare = 0.7;
/** Who sees every third slate acts on it. */
const clickEvery = 3;
/** One item of so many is liked, by all. */
const likedOf = 5;

function newRun(): Run {
  return { latenciesMs: [], failed: 0, decreased: 0, failures: [] };
}

/** What an answer says, read without parsing all of it. */
function readSlate(body: Uint8Array | null) {
  const text = body === null ? "" : new TextDecoder().decode(body);
  const model = /"model":(\d+)/.exec(text)?.[1];
  return {
    model: model === undefined ? null : Number(model),
    requestId: /"requestId":"([0-9a-f]+)"/.exec(text)?.[1] ?? "",
    // A taste that stays: the first of the items that everybody likes.
    liked: [...text.matchAll(/"id":"i(\d+)"/g)].find(([, id]) => Number(id) % likedOf === 0)?.[1],
  };
}

function fail(run: Run, what: string, { status, body }: Answer): void {
  run.failed++;
  const text = body === null ? "" : new TextDecoder().decode(body.subarray(0, 120));
  run.failures.push(`${what}: ${status} ${text}`);
}

export interface SubjectOptions {
  readonly traffic: Traffic;
  /** Events that fill its bounded stores. Default: it is only seeded. */
  readonly fillEvents?: number;
  /** What the server is started with. */
  readonly env: Readonly<Record<string, string>>;
}

/** One server and the newest model that it was seen to answer with. */
export class Subject {
  readonly server: ServerProcess;
  readonly #client: LoadClient;
  readonly #options: SubjectOptions;
  #asked = 0;
  #newest = 0;

  private constructor(server: ServerProcess, options: SubjectOptions) {
    this.server = server;
    this.#options = options;
    this.#client = new LoadClient({ port: server.port, keepBodies: true });
  }

  /** Starts a server with one ranking thread and fills it. */
  static async start(options: SubjectOptions): Promise<Subject> {
    const env = { RANK_WORKERS: "1", ...options.env };
    const subject = new Subject(await startServer({ env }), options);
    await subject.#client.open(64);
    const { port } = subject.server;
    const seeds = { ...options.traffic, eventsPerUser: 3 };
    const { fillEvents = 0 } = options;
    if (fillEvents === 0) await seedServer(port, seeds);
    else await seedAndFill(port, { ...seeds, fillEvents });
    return subject;
  }

  /** Slates a second that a closed loop of the same requests gets. */
  async #peak(seconds: number, slate: number): Promise<number> {
    const run = newRun();
    const startMs = performance.now();
    const live = async () => {
      while (performance.now() - startMs < seconds * 1_000) {
        await this.#ask(run, { atMs: performance.now(), slate });
      }
    };
    await Promise.all(Array.from({ length: peakUsers }, live));
    return (1_000 * (run.latenciesMs.length - run.failed)) / (performance.now() - startMs);
  }

  /** The load of a bench's runs, a share of the peak: tiny in a smoke run. Says what it is. */
  async loadFor(
    { smoke, say }: Pick<BenchContext, "smoke" | "say">,
    share = peakShare,
  ): Promise<Load> {
    const load = smoke ? { ratePerSecond: 40, slate: 20 } : await this.#load(share);
    say(`  ${load.ratePerSecond.toFixed(0)} slates of ${load.slate} a second`);
    return load;
  }

  /** A share of the peak, with slates that make the samples wanted, or a little more. */
  async #load(share: number): Promise<Load> {
    const { samplesPerSecond } = this.#options.traffic;
    await this.#peak(2, 20);
    const first = share * (await this.#peak(3, 20));
    const slateOf = (rate: number) =>
      Math.min(100, Math.max(1, Math.ceil(samplesPerSecond / rate)));
    // Longer slates cost more: once more with the length that it will be.
    const ratePerSecond = share * (await this.#peak(3, slateOf(first)));
    return { ratePerSecond, slate: slateOf(ratePerSecond) };
  }

  /** Asks at fixed moments, whatever the answers do. */
  async run(seconds: number, load: Load): Promise<Run> {
    const run = newRun();
    const total = Math.round(load.ratePerSecond * seconds);
    let answered = 0;
    const startMs = performance.now() + 5;
    for (let sent = 0; sent < total; ) {
      const atMs = startMs + (sent * 1_000) / load.ratePerSecond;
      if (atMs > performance.now()) await Bun.sleep(1);
      else {
        void this.#ask(run, { atMs, slate: load.slate }).finally(() => answered++);
        sent++;
      }
    }
    const untilMs = performance.now() + drainMs;
    while (answered < total && performance.now() < untilMs) await Bun.sleep(5);
    run.failed += total - answered;
    return run;
  }

  async #ask(run: Run, { atMs, slate }: { atMs: number; slate: number }): Promise<void> {
    const index = this.#asked++;
    const user = `u${index % this.#options.traffic.users}`;
    const request = httpRequest("POST", "/v1/recommend", { user, n: slate });
    const newest = this.#newest;
    const answer = await new Promise<Answer>((resolve) =>
      this.#client.send(request, atMs, resolve),
    );
    run.latenciesMs.push(answer.latencyMs);
    const { model, requestId, liked } = readSlate(answer.body);
    if (answer.status !== 200) fail(run, "slate", answer);
    if (model !== null && model < newest) run.decreased++;
    this.#newest = Math.max(this.#newest, model ?? 0);
    if (liked === undefined || index % clickEvery !== 0) return;
    const click = { type: "click", user, item: `i${liked}`, requestId };
    const taken = await this.#client.request(httpRequest("POST", "/v1/events", [click]));
    if (taken.status !== 200) fail(run, "event", taken);
  }

  async close(): Promise<void> {
    this.#client.close();
    await this.server.stop();
  }
}
