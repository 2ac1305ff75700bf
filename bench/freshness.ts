import { RecError } from "../models/core/errors.ts";
import { isRecord } from "../models/core/schema.ts";
import { freshnessNames } from "../workers/freshness.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { httpRequest, LoadClient } from "./open-loop.ts";
import { readMetric } from "./read-metric.ts";
import { seedServer } from "./seeding.ts";
import { startServer } from "./server-process.ts";
import { percentile } from "./statistics.ts";
import { BackgroundLoad } from "./streaming/background-load.ts";

/**
 * Method: a user without a history clicks one item. Once the event's durable answer is in, slates
 * are asked for with `explain`, one after another, until the features that the model was told
 * include the click (`user.recent50.clickShare`, 0 before): the ranking thread has then read the
 * user's row with the event applied. Measured is the time from the answer to the event until the
 * answer to the first slate that used it, so a request's own time counts.
 */
const giveUpMs = 10_000;

export const bench: Bench = {
  name: "freshness",
  about: "From an accepted event to the first slate that used it.",
  options: {
    probes: { kind: "number", help: "events followed", default: 300, min: 1 },
    items: { kind: "number", help: "items", default: 10_000, min: 10 },
    users: { kind: "number", help: "users", default: 10_000, min: 10 },
    events: { kind: "number", help: "events a second meanwhile", default: 20_000, min: 0 },
    load: { kind: "number", help: "share of the peak of slates meanwhile", default: 0.7, min: 0 },
    seconds: { kind: "number", help: "of the load", default: 20, min: 1 },
    command: { kind: "text", help: "program to measure in the server's place" },
  },
  async run(context) {
    const { options, smoke, seed } = context;
    const sizes = smoke
      ? { items: 500, users: 500, eventsPerUser: 3, seed }
      : { items: options.number("items"), users: options.number("users"), eventsPerUser: 6, seed };
    const command = options.text("command");
    const env = { RANK_WORKERS: "1", JOINER_EMIT_AFTER_MS: "1000" };
    const server = await startServer(
      command === undefined ? { env } : { command: command.split(" ") },
    );
    try {
      await seedServer(server.port, sizes);
      const client = new LoadClient({ port: server.port, keepBodies: true });
      await client.open(2);
      const probes = smoke ? 20 : options.number("probes");
      const idle = await probeAll(client, context, { count: probes, name: "idle" });
      const under = smoke || options.number("load") === 0 ? {} : await loaded(server.port, context);
      client.close();
      return { ...figuresOf(idle, "Idle"), ...under };
    } finally {
      await server.stop();
    }
  },
};

/** The same beside other users' requests and events, and how long samples take to be served. */
async function loaded(port: number, context: BenchContext): Promise<Record<string, Figure>> {
  const { options, seed, say } = context;
  const seconds = options.number("seconds");
  const sizes = { users: options.number("users"), items: options.number("items") };
  const load = new BackgroundLoad({
    ...{ ...sizes, port, seed, eventsPerSecond: options.number("events") },
  });
  await load.open();
  const peak = await load.peak(Math.min(5, seconds));
  const rate = options.number("load") * peak;
  say(`peak ${peak.toFixed(0)} slates/s beside the events; ${rate.toFixed(0)} are asked for`);
  const client = new LoadClient({ port, keepBodies: true });
  await client.open(2);
  const learnedBefore = await readMetric(port, "rec_model_samples_total");
  const count = options.number("probes");
  const running = load.run(seconds, rate);
  const pace = { running, everyMs: (1_000 * seconds) / count };
  const probes = await probeAll(client, context, { count, name: "loaded", ...pace });
  const report = await running;
  const learned = (await readMetric(port, "rec_model_samples_total")) - learnedBefore;
  client.close();
  load.close();
  return {
    ...figuresOf(probes, ""),
    ...(await stageFigures(port)),
    samplesPerSecond: { value: learned / seconds, unit: "1/s" },
    slatesPerSecond: { value: report.slatesPerSecond, unit: "1/s" },
    eventsPerSecond: { value: report.eventsPerSecond, unit: "1/s" },
    refused: { value: report.refused, unit: "requests" },
    clientLateMsP99: { value: report.clientLateMsP99, unit: "ms" },
  };
}

/** What the server counted since its start. */
async function stageFigures(port: number): Promise<Record<string, Figure>> {
  const p99 = 'rec_freshness_sample_to_weights_ms{quantile="0.99"}';
  const figures: Record<string, Figure> = {
    sampleToWeightsMsP99: { value: await readMetric(port, p99), unit: "ms" },
  };
  for (const [stage, names] of Object.entries(freshnessNames)) {
    const name = `acceptedTo${stage.charAt(0).toUpperCase()}${stage.slice(1)}MsP99`;
    const series = names.accepted.replace("}", ',quantile="0.99"}');
    figures[name] = { value: await readMetric(port, series), unit: "ms" };
  }
  return figures;
}

interface Probe {
  readonly ackMs: number;
  readonly usedMs: number;
  readonly asked: number;
}

/**
 * Up to `count` events one after another, at most one each `everyMs`; only those that end while the
 * load runs.
 */
async function probeAll(
  client: LoadClient,
  { seed }: BenchContext,
  of: { count: number; name: string; running?: Promise<unknown>; everyMs?: number },
) {
  const probes: Probe[] = [];
  let over = false;
  void of.running?.finally(() => {
    over = true;
  });
  const startMs = performance.now();
  for (let i = 0; i < of.count; i++) {
    const waitMs = startMs + i * (of.everyMs ?? 0) - performance.now();
    if (waitMs > 0) await Bun.sleep(waitMs);
    const one = await probe(client, `fresh-${of.name}-${seed}-${i}`, `i${i % 100}`);
    if (over) break;
    probes.push(one);
  }
  return probes;
}

async function probe(client: LoadClient, user: string, item: string): Promise<Probe> {
  const ask = httpRequest("POST", "/v1/recommend", { user, n: 1, explain: true });
  if (clickShareOf((await client.request(ask)).body) > 0) {
    throw new RecError("REC_BENCH_METHOD", `${user} had a history before the first event`);
  }
  const event = { id: `${user}-e`, type: "click", user, item };
  const ack = await client.request(httpRequest("POST", "/v1/events", [event]));
  if (ack.status !== 200) {
    throw new RecError("REC_BENCH_EVENT", `the event was answered with ${ack.status}`);
  }
  const acceptedMs = performance.now();
  for (let asked = 1; ; asked++) {
    const answer = await client.request(ask);
    const usedMs = performance.now() - acceptedMs;
    if (clickShareOf(answer.body) > 0) return { ackMs: ack.latencyMs, usedMs, asked };
    if (usedMs > giveUpMs) {
      throw new RecError("REC_BENCH_STALE", `the event was not used within ${giveUpMs} ms`);
    }
  }
}

/** Share of clicks among the recent interactions that the model was told of; 0 where none. */
export function clickShareOf(body: Uint8Array | null): number {
  const answer: unknown = body === null ? null : JSON.parse(new TextDecoder().decode(body));
  const features = isRecord(answer) && isRecord(answer.features) ? answer.features.user : null;
  return isRecord(features) ? Number(features[clickShare] ?? 0) : 0;
}

const clickShare = "user.recent50.clickShare";

function figuresOf(probes: readonly Probe[], when: string): Record<string, Figure> {
  const used = probes.map(({ usedMs }) => usedMs);
  const at = (values: readonly number[], q: number) => ({
    ...{ value: percentile(values, q), unit: "ms" },
  });
  return {
    [`probes${when}`]: { value: probes.length, unit: "events" },
    [`acceptedToUsedMsP50${when}`]: at(used, 0.5),
    [`acceptedToUsedMsP99${when}`]: at(used, 0.99),
    [`eventAckMsP50${when}`]: at(
      probes.map(({ ackMs }) => ackMs),
      0.5,
    ),
    [`eventAckMsP99${when}`]: at(
      probes.map(({ ackMs }) => ackMs),
      0.99,
    ),
    [`slatesAskedMax${when}`]: {
      value: Math.max(...probes.map(({ asked }) => asked)),
      unit: "requests",
    },
  };
}
