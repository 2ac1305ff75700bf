import { RecError } from "../models/core/errors.ts";
import { isRecord } from "../models/core/schema.ts";
import type { Bench, BenchContext } from "./harness.ts";
import { httpRequest, LoadClient } from "./open-loop.ts";
import { seedServer } from "./seeding.ts";
import { startServer } from "./server-process.ts";
import { percentile } from "./statistics.ts";

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
    command: { kind: "text", help: "program to measure in the server's place" },
  },
  async run(context) {
    const { options, smoke, seed } = context;
    const sizes = smoke
      ? { items: 500, users: 500, eventsPerUser: 3, seed }
      : { items: options.number("items"), users: options.number("users"), eventsPerUser: 6, seed };
    const command = options.text("command");
    const server = await startServer(command === undefined ? {} : { command: command.split(" ") });
    try {
      await seedServer(server.port, sizes);
      const client = new LoadClient({ port: server.port, keepBodies: true });
      await client.open(2);
      const measured = await probeAll(client, context, smoke ? 20 : options.number("probes"));
      client.close();
      return figuresOf(measured);
    } finally {
      await server.stop();
    }
  },
};

interface Probe {
  readonly ackMs: number;
  readonly usedMs: number;
  readonly asked: number;
}

async function probeAll(client: LoadClient, { seed }: BenchContext, count: number) {
  const probes: Probe[] = [];
  for (let i = 0; i < count; i++) {
    probes.push(await probe(client, `fresh-${seed}-${i}`, `i${i % 100}`));
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

function figuresOf(probes: readonly Probe[]) {
  const used = probes.map(({ usedMs }) => usedMs);
  const at = (values: readonly number[], q: number) => ({
    ...{ value: percentile(values, q), unit: "ms" },
  });
  return {
    acceptedToUsedMsP50: at(used, 0.5),
    acceptedToUsedMsP99: at(used, 0.99),
    eventAckMsP50: at(
      probes.map(({ ackMs }) => ackMs),
      0.5,
    ),
    eventAckMsP99: at(
      probes.map(({ ackMs }) => ackMs),
      0.99,
    ),
    slatesAskedMax: { value: Math.max(...probes.map(({ asked }) => asked)), unit: "requests" },
  };
}
