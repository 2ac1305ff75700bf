import { Random } from "../../models/core/random.ts";
import { cannon } from "../autocannon.ts";
import type { Figure } from "../harness.ts";
import { type Answer, httpRequest, LoadClient, openLoop } from "../open-loop.ts";
import { cpuSecondsByThread } from "../process-figures.ts";
import { feedTasks, runScenario } from "../scenarios.ts";
import type { ServerProcess } from "../server-process.ts";
import { percentile } from "../statistics.ts";
import { bestConnections, type ClosedResult, closedSlates, SlateJudge } from "./slates.ts";

/** The runs that one server goes through, each giving figures by name. */

export interface Sizes {
  readonly items: number;
  readonly users: number;
  readonly seconds: number;
  /** Most connections of the closed loop. */
  readonly connections: number;
  readonly eventsPerUser: number;
  readonly seed: number;
}

export type Figures = Record<string, Figure>;

const slate = 20;
const warmConnections = 4;

export function recommendRequests(sizes: Sizes, details: boolean): (index: number) => Uint8Array {
  const random = new Random(sizes.seed);
  const made = Array.from({ length: Math.min(4_096, sizes.users) }, () =>
    httpRequest("POST", "/v1/recommend", {
      user: `u${random.int(sizes.users)}`,
      n: slate,
      ...(details ? { details } : {}),
    }),
  );
  return (index) => made[index % made.length]!;
}

export function goodSlate(): (answer: Answer) => boolean {
  const judge = new SlateJudge(slate);
  return ({ status, body }) => judge.verdict(status, body) === "good";
}

/** Processor time a request by the server's threads, ms; "other" is the engine's own helpers. */
function threadFigures(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
  good: number,
): Figures {
  const own = /^(bun|ranking|windows|joiner|trainer|recall)/;
  const milliseconds = new Map<string, number>();
  for (const [thread, seconds] of after) {
    const known = own.exec(thread)?.[1] ?? "other";
    const name = known === "bun" ? "main" : known;
    const used = ((seconds - (before.get(thread) ?? 0)) * 1_000) / good;
    milliseconds.set(name, (milliseconds.get(name) ?? 0) + used);
  }
  const entries = [...milliseconds].map(([name, value]) => {
    const title = name.charAt(0).toUpperCase() + name.slice(1);
    return [`cpuMsPerRequest${title}`, { value, unit: "ms" }] as const;
  });
  return Object.fromEntries(entries);
}

export interface Peak {
  readonly goodPerSecond: number;
  readonly connections: number;
  readonly figures: Figures;
}

/** Closed loop at the number of connections that serves best: what that costs, thread by thread. */
export async function peak(server: ServerProcess, sizes: Sizes, details: boolean): Promise<Peak> {
  const client = new LoadClient({ port: server.port, keepBodies: true });
  await client.open(sizes.connections);
  const next = recommendRequests(sizes, details);
  const judge = new SlateJudge(slate);
  const run = (connections: number, seconds: number): Promise<ClosedResult> =>
    closedSlates(client, { connections, seconds, next, judge });
  await run(Math.min(warmConnections, sizes.connections), Math.max(0.5, sizes.seconds / 2));
  const connections = await bestConnections(
    (count) => run(count, Math.max(0.2, sizes.seconds / 10)),
    sizes.connections,
  );
  const threads = cpuSecondsByThread(server.pid);
  const cpu = server.cpuSeconds();
  const result = await run(connections, sizes.seconds);
  const used = server.cpuSeconds() - cpu;
  const after = cpuSecondsByThread(server.pid);
  client.close();
  const { good, degraded, short, refused, failed } = result.counts;
  return {
    ...{ goodPerSecond: result.goodPerSecond, connections },
    figures: {
      connections: { value: connections, unit: "connections" },
      requestsPerSecond: { value: result.goodPerSecond, unit: "1/s" },
      requestsPerCpuSecond: { value: good / used, unit: "1/cpu-s" },
      ...threadFigures(threads, after, good),
      clientCpuShare: { value: result.clientCpuSeconds / result.seconds, unit: "cores" },
      notGood: { value: degraded + short + refused + failed, unit: "answers" },
      degraded: { value: degraded, unit: "answers" },
    },
  };
}

/** Open loop at 70 % of the peak. */
export async function atSeventyPercent(
  server: ServerProcess,
  sizes: Sizes,
  load: { goodPerSecond: number; details: boolean },
): Promise<Figures> {
  const client = new LoadClient({ port: server.port, keepBodies: true });
  await client.open(64);
  const { samples, clientLateMs } = await openLoop(client, {
    ratePerSecond: Math.max(1, 0.7 * load.goodPerSecond),
    seconds: sizes.seconds,
    next: recommendRequests(sizes, load.details),
    isGood: goodSlate(),
  });
  client.close();
  const latencies = samples.map(({ latencyMs }) => latencyMs);
  return {
    latencyMsP50: { value: percentile(latencies, 0.5), unit: "ms" },
    latencyMsP99: { value: percentile(latencies, 0.99), unit: "ms" },
    clientLateMsP99: { value: percentile(clientLateMs, 0.99), unit: "ms" },
    failed: { value: samples.filter(({ good }) => !good).length, unit: "answers" },
  };
}

/** The same closed loop by another program, as a check on this one's client. */
export async function byAutocannon(
  server: ServerProcess,
  sizes: Sizes,
  connections: number,
): Promise<Figures> {
  const random = new Random(sizes.seed);
  const bodies = Array.from({ length: 1_000 }, () => ({
    ...{ user: `u${random.int(sizes.users)}`, n: slate },
  }));
  const seconds = Math.max(1, Math.round(sizes.seconds / 3));
  const shot = { port: server.port, path: "/v1/recommend", bodies, connections, seconds };
  const result = await cannon(shot);
  return {
    autocannonPerSecond: { value: result.answered / result.seconds, unit: "1/s" },
    autocannonFailed: { value: result.failed, unit: "answers" },
  };
}

export async function scenarioFigures(server: ServerProcess, sizes: Sizes): Promise<Figures> {
  const client = new LoadClient({ port: server.port });
  const users = 2 * sizes.connections;
  await client.open(users);
  const result = await runScenario(client, {
    ...{ tasks: feedTasks, users, sizes, pauseMs: 50 },
    ...{ rampSeconds: sizes.seconds / 3, seconds: sizes.seconds, random: new Random(sizes.seed) },
  });
  client.close();
  const figures: Figures = {};
  for (const [task, samples] of result.byTask) {
    const latencies = samples.map(({ latencyMs }) => latencyMs);
    const name = `${task.charAt(0).toUpperCase()}${task.slice(1)}`;
    figures[`scenario${name}MsP99`] = { value: percentile(latencies, 0.99), unit: "ms" };
  }
  const failed = result.samples.filter(({ status }) => status !== 200).length;
  figures.scenarioFailed = { value: failed, unit: "requests" };
  return figures;
}
