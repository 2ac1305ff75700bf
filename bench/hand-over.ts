import { Piscina } from "piscina";
import type { RankingCall } from "../workers/ranking/messages.ts";
import { RankingPool } from "../workers/ranking/pool.ts";
import { noMetrics } from "../workers/ranking/state.ts";
import { systemClock } from "../workers/system-clock.ts";
import { callOf } from "./hand-over/work.ts";
import type { Bench, Figure } from "./harness.ts";
import { percentile } from "./statistics.ts";

/**
 * Three ways to hand a request to a thread and get bytes back, with the same work behind them.
 * Closed loop: so many callers, each asking again when answered. Rounds alternate between the
 * ways, so that a busy moment of the machine meets all of them.
 */
interface HandOver {
  readonly name: string;
  ask(call: RankingCall): Promise<Uint8Array>;
  close(): Promise<void>;
}

interface Sizes {
  readonly workers: number;
  readonly workUs: number;
  readonly answerBytes: number;
  readonly callers: number;
  readonly seconds: number;
  readonly rounds: number;
}

function messages(workers: number): HandOver {
  const waiting = new Map<number, (bytes: Uint8Array) => void>();
  const threads = Array.from({ length: workers }, () => {
    const thread = new Worker(new URL("./hand-over/message-thread.ts", import.meta.url).href);
    thread.onmessage = (event: MessageEvent<{ sequence: number; bytes: Uint8Array }>) => {
      const { sequence, bytes } = event.data;
      waiting.get(sequence)?.(bytes);
      waiting.delete(sequence);
    };
    return thread;
  });
  let sequence = 0;
  return {
    name: "postMessage",
    ask: (call) =>
      new Promise((resolve) => {
        waiting.set(++sequence, resolve);
        threads[sequence % workers]?.postMessage({ sequence, call });
      }),
    close: async () => {
      for (const thread of threads) thread.terminate();
    },
  };
}

function piscina(workers: number): HandOver {
  const pool = new Piscina<RankingCall, Uint8Array>({
    filename: new URL("./hand-over/piscina-task.ts", import.meta.url).href,
    name: "answer",
    minThreads: workers,
    maxThreads: workers,
    concurrentTasksPerWorker: 4,
  });
  return { name: "piscina", ask: (call) => pool.run(call), close: () => pool.destroy() };
}

function ring(workers: number): HandOver {
  const pool = new RankingPool<null>({
    entry: new URL("./hand-over/ring-thread.ts", import.meta.url),
    workers,
    work: () => null,
    readersPerWorker: 4,
    readerBase: 0,
    readersMax: 64,
    inFlightMax: 1_024,
    fallback: () => new Uint8Array(0),
    clearReader() {},
    releaseServed() {},
    metrics: noMetrics,
    clock: systemClock,
  });
  const ask = async (call: RankingCall) => {
    while (!pool.ready) await Bun.sleep(1);
    if (call.kind !== "recommend") return new Uint8Array(0);
    return await pool.recommend(call.request, systemClock.nowMs() + 60_000);
  };
  return { name: "ring", ask, close: () => pool.stop(1_000) };
}

interface Measured {
  requests: number;
  seconds: number;
  latenciesMs: number[];
}

/** One round of one way; adds to `into`. */
async function round(way: HandOver, sizes: Sizes, into: Measured): Promise<void> {
  const { workUs, answerBytes, callers, seconds } = sizes;
  const startMs = performance.now();
  const untilMs = startMs + seconds * 1_000;
  const caller = async (user: number) => {
    for (let sentMs = performance.now(); sentMs < untilMs; ) {
      const bytes = await way.ask(callOf(user, workUs, answerBytes));
      if (bytes.length !== answerBytes) throw new Error(`${way.name} lost an answer`);
      const nowMs = performance.now();
      into.latenciesMs.push(nowMs - sentMs);
      sentMs = nowMs;
    }
  };
  const before = into.latenciesMs.length;
  await Promise.all(Array.from({ length: callers }, (_, user) => caller(user)));
  into.requests += into.latenciesMs.length - before;
  into.seconds += (performance.now() - startMs) / 1_000;
}

async function compare(sizes: Sizes): Promise<Record<string, Figure>> {
  const ways = [messages(sizes.workers), piscina(sizes.workers), ring(sizes.workers)];
  const all = new Map(ways.map(({ name }) => [name, { requests: 0, seconds: 0, latenciesMs: [] }]));
  const warm = { ...sizes, seconds: sizes.seconds / 2 };
  for (const way of ways) await round(way, warm, { requests: 0, seconds: 0, latenciesMs: [] });
  for (let i = 0; i < sizes.rounds; i++) {
    for (const way of ways) await round(way, sizes, all.get(way.name)!);
  }
  for (const way of ways) await way.close();
  const figures: Record<string, Figure> = {};
  for (const [name, measured] of all) Object.assign(figures, figuresOf(name, measured));
  return figures;
}

function figuresOf(name: string, { requests, seconds, latenciesMs }: Measured) {
  return {
    [`${name}RequestsPerSecond`]: { value: requests / seconds, unit: "1/s" },
    [`${name}LatencyMsP50`]: { value: percentile(latenciesMs, 0.5), unit: "ms" },
    [`${name}LatencyMsP99`]: { value: percentile(latenciesMs, 0.99), unit: "ms" },
  };
}

export const bench: Bench = {
  name: "hand-over",
  about: "A request to a thread and back: postMessage, piscina, the ring.",
  options: {
    workers: { kind: "number", help: "threads", default: 1, min: 1 },
    "work-us": { kind: "number", help: "processor time of a request", default: 100, min: 0 },
    "answer-bytes": { kind: "number", help: "size of an answer", default: 4_000, min: 1 },
    callers: { kind: "number", help: "requests under way", default: 16, min: 1 },
    seconds: { kind: "number", help: "of a round", default: 1, min: 0.05 },
    rounds: { kind: "number", help: "rounds of each", default: 3, min: 1 },
  },
  async run({ options, smoke }) {
    return await compare({
      workers: options.number("workers"),
      workUs: options.number("work-us"),
      answerBytes: options.number("answer-bytes"),
      callers: options.number("callers"),
      seconds: smoke ? 0.1 : options.number("seconds"),
      rounds: smoke ? 1 : options.number("rounds"),
    });
  },
};
