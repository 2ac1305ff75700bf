import { RecError } from "../models/core/errors.ts";
import { Random } from "../models/core/random.ts";
import { isRecord } from "../models/core/schema.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { wakeUpMs } from "./ingest/wake-up.ts";
import { httpRequest, LoadClient } from "./open-loop.ts";
import { cpuSecondsByThread } from "./process-figures.ts";
import { readMetric } from "./read-metric.ts";
import { type ServerProcess, startServer } from "./server-process.ts";
import { percentile } from "./statistics.ts";
import { Zipf } from "./streaming/event-stream.ts";

interface Sizes {
  readonly events: number;
  readonly batch: number;
  readonly users: number;
  readonly items: number;
  readonly connections: number;
  readonly seed: number;
}

const giveUpMs = 120_000;
/** Counted where the definition's negatives are served: interactions, not impressions. */
const mix = ["click", "click", "click", "finish", "like"] as const;

/** Bodies of batches, as a client sends them: ids, times, Zipf's users and items. */
class Batches {
  readonly #sizes: Sizes;
  readonly #random: Random;
  readonly #users: Zipf;
  readonly #items: Zipf;
  #made = 0;

  constructor(sizes: Sizes) {
    this.#sizes = sizes;
    this.#random = new Random(sizes.seed);
    this.#users = new Zipf(sizes.users);
    this.#items = new Zipf(sizes.items);
  }

  next(): Uint8Array {
    const random = this.#random;
    const nowMs = Date.now();
    const events = Array.from({ length: this.#sizes.batch }, () => {
      const late = random.next() < 0.2 ? random.int(30_000) : 0;
      const id = `e${this.#sizes.seed}-${this.#made++}`;
      const [user, item] = [this.#users.draw(random), this.#items.draw(random)];
      const type = mix[random.int(mix.length)];
      return { id, type, user: `u${user}`, item: `i${item}`, time: nowMs - late };
    });
    return httpRequest("POST", "/v1/events", events);
  }
}

/** Posts them over some connections at once, each as soon as the one before was answered. */
async function post(client: LoadClient, requests: Uint8Array[], connections: number) {
  const ackMs: number[] = [];
  let next = 0;
  const send = async () => {
    while (next < requests.length) {
      const answer = await client.request(requests[next++]!);
      const text = answer.body === null ? "" : new TextDecoder().decode(answer.body);
      const said: unknown = answer.status === 200 ? JSON.parse(text) : null;
      const all = isRecord(said) && said.duplicates === 0;
      if (!all) throw new RecError("REC_BENCH_EVENT", `a batch: ${answer.status} ${text}`);
      ackMs.push(answer.latencyMs);
    }
  };
  await Promise.all(Array.from({ length: connections }, send));
  return ackMs;
}

/** Resolves once the windows have counted so many events. */
async function counted(server: ServerProcess, events: number): Promise<void> {
  const untilMs = performance.now() + giveUpMs;
  while ((await readMetric(server.port, "rec_windows_events_total")) < events) {
    if (performance.now() > untilMs) {
      throw new RecError("REC_BENCH_STALE", `${events} events did not count in ${giveUpMs} ms`);
    }
    await Bun.sleep(5);
  }
}

async function measure(server: ServerProcess, sizes: Sizes): Promise<Record<string, Figure>> {
  const client = new LoadClient({ port: server.port, keepBodies: true });
  await client.open(sizes.connections);
  const batches = new Batches(sizes);
  const rounds = Math.ceil(sizes.events / sizes.batch);
  // Users and items get their rows, and the compiler has seen it all.
  const first = Array.from({ length: Math.ceil(rounds / 4) }, () => batches.next());
  await post(client, first, sizes.connections);
  await counted(server, first.length * sizes.batch);
  const requests = Array.from({ length: rounds }, () => batches.next());
  const threads = cpuSecondsByThread(server.pid);
  const startMs = performance.now();
  const ackMs = await post(client, requests, sizes.connections);
  const durableMs = performance.now() - startMs;
  await counted(server, (first.length + rounds) * sizes.batch);
  const visibleMs = performance.now() - startMs;
  client.close();
  const events = rounds * sizes.batch;
  const perSecond = (ms: number) => ({ value: (1_000 * events) / ms, unit: "1/s" });
  const sorted = ackMs.sort((a, b) => a - b);
  return {
    eventsPerSecondDurable: perSecond(visibleMs),
    eventsPerSecondAcknowledged: perSecond(durableMs),
    batchAckMsP50: { value: sorted[sorted.length >> 1] ?? Number.NaN, unit: "ms" },
    batchAckMsP99: { value: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN, unit: "ms" },
    ...cpuSplit(threads, cpuSecondsByThread(server.pid), events),
  };
}

/** Microseconds of processor time an event, by named thread. */
function cpuSplit(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
  events: number,
): Record<string, Figure> {
  const split = new Map<string, number>();
  for (const [name, seconds] of after) {
    const known = /^(main|windows|joiner|trainer|recall|ranking)/.exec(name)?.[1];
    const thread = name.startsWith("bun") ? "main" : (known ?? "other");
    split.set(thread, (split.get(thread) ?? 0) + seconds - (before.get(name) ?? 0));
  }
  const figures: Record<string, Figure> = {};
  let total = 0;
  for (const [thread, seconds] of split) {
    total += seconds;
    const name = `cpuUsPerEvent${thread[0]!.toUpperCase()}${thread.slice(1)}`;
    figures[name] = { value: (1e6 * seconds) / events, unit: "us" };
  }
  return { ...figures, eventsPerCpuSecond: { value: events / total, unit: "1/s" } };
}

async function run({ options, smoke, seed }: BenchContext): Promise<Record<string, Figure>> {
  const of = (name: string, tiny: number) => (smoke ? tiny : options.number(name));
  const sizes = {
    ...{ events: of("events", 4_000), batch: of("batch", 200), seed },
    ...{ users: of("users", 500), items: of("items", 500), connections: of("connections", 4) },
  };
  const wakeUps = await wakeUpMs(smoke ? 50 : 2_000);
  const wakeUp = (q: number) => ({ value: percentile([...wakeUps], q), unit: "ms" });
  const server = await startServer({ env: { RANK_WORKERS: "1" } });
  try {
    const figures = await measure(server, sizes);
    return { ...figures, wakeUpMsP50: wakeUp(0.5), wakeUpMsP99: wakeUp(0.99) };
  } finally {
    await server.stop();
  }
}

export const bench: Bench = {
  name: "ingest",
  about: "Events a second over HTTP, durable and counted, and what they cost each thread.",
  options: {
    events: { kind: "number", help: "events measured", default: 1_000_000, min: 1 },
    batch: { kind: "number", help: "events of a request", default: 2_000, min: 1, max: 10_000 },
    users: { kind: "number", help: "users", default: 100_000, min: 1 },
    items: { kind: "number", help: "items", default: 100_000, min: 1 },
    connections: { kind: "number", help: "requests at once", default: 8, min: 1 },
  },
  run,
};
