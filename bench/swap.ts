import { RecError } from "../models/core/errors.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { type Answer, httpRequest, LoadClient } from "./open-loop.ts";
import { memoryMb } from "./process-figures.ts";
import { seedServer } from "./seeding.ts";
import { type ServerProcess, startServer } from "./server-process.ts";
import { median, pairedRatio, percentile } from "./statistics.ts";
import { scoreAgain } from "./swap/scored-again.ts";

/**
 * Method: two servers that get the same traffic in turns, one that swaps every 100 samples and one
 * that learns the same batches but neither judges nor swaps. Slates are asked for at fixed moments,
 * at 70 % of what the one without swaps can do, and are as long as makes the wanted samples a
 * second; each shown item becomes a sample a second later (`JOINER_EMIT_AFTER_MS`), clicks on some
 * of them its labels. An answer must never name an older model than an answer that had arrived
 * before its request left. Slates of a third server are scored again with the version they name.
 */

interface Sizes {
  readonly items: number;
  readonly users: number;
  readonly samplesPerSecond: number;
  readonly seconds: number;
  readonly pairs: number;
  readonly seed: number;
}

interface Counts {
  readonly samples: number;
  readonly swaps: number;
  readonly merged: number;
  readonly refused: number;
}

interface Run {
  readonly latenciesMs: number[];
  failed: number;
  decreased: number;
  /** What failed, for the person who watches. */
  readonly failures: string[];
}

interface Load {
  readonly ratePerSecond: number;
  /** Items of a slate. */
  readonly slate: number;
}

const drainMs = 3_000;
/** Requests under way at once while the peak is measured. */
const peakUsers = 4;
const clickEvery = 3;
/** One item of so many is liked, by all. */
const likedOf = 5;

async function countsOf(port: number): Promise<Counts> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const of = (name: string) => {
    const found = new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1];
    if (found === undefined) throw new RecError("REC_BENCH_METRICS", `no ${name} is reported`);
    return Number(found);
  };
  return {
    samples: of("rec_model_samples_total"),
    swaps: of("rec_model_swaps_total"),
    merged: of("rec_model_publishes_merged_total"),
    refused: of("rec_model_publishes_refused_total"),
  };
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

/** One server and the newest model that it was seen to answer with. */
class Subject {
  readonly server: ServerProcess;
  readonly #client: LoadClient;
  readonly #sizes: Sizes;
  #asked = 0;
  #newest = 0;

  constructor(server: ServerProcess, sizes: Sizes) {
    this.server = server;
    this.#sizes = sizes;
    this.#client = new LoadClient({ port: server.port, keepBodies: true });
  }

  async open(): Promise<void> {
    await this.#client.open(64);
  }

  /** Slates a second that a closed loop of the same requests gets. */
  async peak(seconds: number, slate: number): Promise<number> {
    const run: Run = { latenciesMs: [], failed: 0, decreased: 0, failures: [] };
    const startMs = performance.now();
    const live = async () => {
      while (performance.now() - startMs < seconds * 1_000) {
        await this.#ask(run, { atMs: performance.now(), slate });
      }
    };
    await Promise.all(Array.from({ length: peakUsers }, live));
    return (1_000 * (run.latenciesMs.length - run.failed)) / (performance.now() - startMs);
  }

  async run(seconds: number, load: Load): Promise<Run> {
    const run: Run = { latenciesMs: [], failed: 0, decreased: 0, failures: [] };
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
    const user = `u${index % this.#sizes.users}`;
    const request = httpRequest("POST", "/v1/recommend", { user, n: slate });
    const newest = this.#newest;
    const answer = await new Promise<{
      status: number;
      latencyMs: number;
      body: Uint8Array | null;
    }>((resolve) => this.#client.send(request, atMs, resolve));
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

async function subjectOf(publishEvery: number, sizes: Sizes): Promise<Subject> {
  const env = { PUBLISH_EVERY: `${publishEvery}`, JOINER_EMIT_AFTER_MS: "1000", RANK_WORKERS: "1" };
  const subject = new Subject(await startServer({ env }), sizes);
  await subject.open();
  await seedServer(subject.server.port, { ...sizes, eventsPerUser: 3 });
  return subject;
}

function sizesOf({ options, smoke, seed }: BenchContext): Sizes {
  const of = (name: string, tiny: number) => (smoke ? tiny : options.number(name));
  return {
    items: of("items", 500),
    users: of("users", 500),
    samplesPerSecond: of("samples", 800),
    seconds: of("seconds", 3),
    pairs: of("pairs", 1),
    seed,
  };
}

/** 70 % of what a server without swaps can do, with slates that make the samples wanted. */
async function loadOf(still: Subject, sizes: Sizes, smoke: boolean): Promise<Load> {
  if (smoke) return { ratePerSecond: 40, slate: 20 };
  await still.peak(2, 20);
  const first = 0.7 * (await still.peak(3, 20));
  const slateOf = (rate: number) =>
    Math.min(100, Math.max(1, Math.round(sizes.samplesPerSecond / rate)));
  // Longer slates cost more: once more with the length that it will be.
  const ratePerSecond = 0.7 * (await still.peak(3, slateOf(first)));
  return { ratePerSecond, slate: slateOf(ratePerSecond) };
}

type Totals = Record<"failed" | "decreased" | keyof Counts, number>;

interface Measured {
  readonly pairs: readonly { a: number; b: number }[];
  readonly total: Totals;
  /** Memory of the swapping server before and after, MB. */
  readonly memoryMb: readonly number[];
}

async function measurePairs(
  { swapping, still }: { swapping: Subject; still: Subject },
  load: Load,
  { sizes, say }: { sizes: Sizes; say: (text: string) => void },
): Promise<Measured> {
  const { port, pid } = swapping.server;
  const p99 = ({ latenciesMs }: Run) => percentile(latenciesMs, 0.99);
  const pairs: { a: number; b: number }[] = [];
  const total: Totals = { failed: 0, decreased: 0, swaps: 0, samples: 0, merged: 0, refused: 0 };
  for (const subject of [still, swapping]) await subject.run(Math.min(3, sizes.seconds), load);
  const memory = [memoryMb(pid)];
  for (let i = 0; i < sizes.pairs; i++) {
    // Which of the two goes first changes, so that a drift of the machine favours neither.
    const first = i % 2 === 0 ? await still.run(sizes.seconds, load) : null;
    const before = await countsOf(port);
    const during = await swapping.run(sizes.seconds, load);
    const after = await countsOf(port);
    const without = first ?? (await still.run(sizes.seconds, load));
    pairs.push({ a: p99(without), b: p99(during) });
    memory.push(memoryMb(pid));
    for (const line of new Set(during.failures)) say(`    ${line}`);
    total.failed += during.failed;
    total.decreased += during.decreased;
    for (const name of ["swaps", "samples", "merged", "refused"] as const) {
      total[name] += after[name] - before[name];
    }
    const [a, b] = [p99(without).toFixed(1), p99(during).toFixed(1)];
    say(`  pair ${i + 1}: p99 ${a} ms without, ${b} ms with ${after.swaps - before.swaps} swaps`);
  }
  return { pairs, total, memoryMb: memory };
}

function figuresOf(measured: Measured, load: Load, sizes: Sizes): Record<string, Figure> {
  const { pairs, total, memoryMb: memory } = measured;
  const count = (value: number, unit: string) => ({ value, unit });
  const seconds = sizes.pairs * sizes.seconds;
  const [second = Number.NaN, last = Number.NaN] = [memory[1], memory.at(-1)];
  return {
    ratePerSecond: count(load.ratePerSecond, "slates/s"),
    slateItems: count(load.slate, "items"),
    samplesPerSecond: count(total.samples / seconds, "samples/s"),
    swaps: count(total.swaps, "swaps"),
    samples: count(total.samples, "samples"),
    swapsPerHundredSamples: count((100 * total.swaps) / total.samples, "swaps"),
    publishesMerged: count(total.merged, "publishes"),
    publishesRefused: count(total.refused, "publishes"),
    failed: count(total.failed, "requests"),
    modelDecreased: count(total.decreased, "answers"),
    memoryGrowthMb: count(last - second, "MB"),
    latencyMsP99Swaps: count(median(pairs.map(({ b }) => b)), "ms"),
    latencyMsP99NoSwaps: count(median(pairs.map(({ a }) => a)), "ms"),
    p99RatioSwaps: pairedRatio(pairs, sizes.seed),
  };
}

async function scoredAgainFigures(sizes: Sizes): Promise<Record<string, Figure>> {
  // The client shares this process with the server's front: not at its limit.
  const ratePerSecond = 100;
  const { seconds, items, users, seed } = sizes;
  const found = await scoreAgain({ ...{ seconds, items, users, seed, ratePerSecond }, slate: 20 });
  return {
    scoredAgain: { value: found.slates, unit: "slates" },
    scoredAgainVersions: { value: found.versions, unit: "versions" },
    mixed: { value: found.mixed, unit: "slates" },
    headsApartMax: { value: found.furthest, unit: "" },
  };
}

export const bench: Bench = {
  name: "swap",
  about: "Model swaps under load: counted, with what they cost the requests.",
  options: {
    items: { kind: "number", help: "items", default: 10_000, min: 100 },
    users: { kind: "number", help: "users", default: 5_000, min: 100 },
    samples: { kind: "number", help: "samples a second that are wanted", default: 5_000, min: 100 },
    seconds: { kind: "number", help: "seconds a run", default: 20, min: 1 },
    pairs: { kind: "number", help: "pairs of runs that alternate", default: 10, min: 1 },
  },
  async run(context) {
    const sizes = sizesOf(context);
    const swapping = await subjectOf(100, sizes);
    const still = await subjectOf(1_000_000, sizes);
    const figures: Record<string, Figure> = {};
    try {
      const load = await loadOf(still, sizes, context.smoke);
      context.say(`  ${load.ratePerSecond.toFixed(0)} slates of ${load.slate} a second`);
      const measured = await measurePairs({ swapping, still }, load, { sizes, say: context.say });
      Object.assign(figures, figuresOf(measured, load, sizes));
    } finally {
      await Promise.all([swapping.close(), still.close()]);
    }
    return { ...figures, ...(await scoredAgainFigures(sizes)) };
  },
};
