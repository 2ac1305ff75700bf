import { Random } from "../models/core/random.ts";
import { cannon } from "./autocannon.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { httpRequest, LoadClient, openLoop } from "./open-loop.ts";
import { overloadFigures } from "./overload.ts";
import { feedTasks, runScenario } from "./scenarios.ts";
import { seedServer } from "./seeding.ts";
import { type ServerProcess, startServer } from "./server-process.ts";
import { percentile } from "./statistics.ts";

interface Sizes {
  readonly items: number;
  readonly users: number;
  readonly seconds: number;
  readonly connections: number;
  readonly eventsPerUser: number;
  readonly seed: number;
}

function sizesOf({ options, smoke, seed }: BenchContext): Sizes {
  const of = (name: string, tiny: number) =>
    smoke && options.number(name) === defaults[name] ? tiny : options.number(name);
  return {
    items: of("items", 500),
    users: of("users", 500),
    seconds: of("seconds", 2),
    connections: of("connections", 4),
    eventsPerUser: of("events", 3),
    seed,
  };
}

const defaults: Readonly<Record<string, number>> = {
  ...{ items: 100_000, users: 100_000, seconds: 15, connections: 32, events: 6 },
};

function recommendRequest(users: number, details: boolean): (index: number) => Uint8Array {
  const random = new Random(users);
  const made = Array.from({ length: Math.min(4_096, users) }, () =>
    httpRequest("POST", "/v1/recommend", { user: `u${random.int(users)}`, n: 20, details }),
  );
  return (index) => made[index % made.length]!;
}

/** Closed loop: the most that the server answers, and what that costs it in processor time. */
async function peak(
  server: ServerProcess,
  sizes: Sizes,
  details: boolean,
): Promise<{ perSecond: number; perCpuSecond: number; failed: number }> {
  const random = new Random(sizes.seed);
  const bodies = Array.from({ length: 2_000 }, () => ({
    ...{ user: `u${random.int(sizes.users)}`, n: 20, details },
  }));
  const shot = { port: server.port, path: "/v1/recommend", bodies };
  const { connections } = sizes;
  await cannon({ ...shot, connections, seconds: Math.max(1, Math.round(sizes.seconds / 5)) });
  const [cpu, at] = [server.cpuSeconds(), performance.now()];
  const result = await cannon({ ...shot, connections, seconds: sizes.seconds });
  const used = server.cpuSeconds() - cpu;
  // autocannon's own second does not begin when its process does.
  const wall = Math.min(sizes.seconds, (performance.now() - at) / 1_000);
  const answered = result.requestsPerSecond * wall;
  return {
    perSecond: result.requestsPerSecond,
    perCpuSecond: answered / used,
    failed: result.failed,
  };
}

async function atSeventyPercent(
  server: ServerProcess,
  sizes: Sizes,
  load: { perSecond: number; details: boolean },
): Promise<{ p50: number; p99: number; clientLateMsP99: number; failed: number }> {
  const client = new LoadClient({ port: server.port });
  await client.open(128);
  const next = recommendRequest(sizes.users, load.details);
  const { seconds } = sizes;
  const ratePerSecond = Math.max(1, 0.7 * load.perSecond);
  const result = await openLoop(client, { ratePerSecond, seconds, next });
  client.close();
  const latencies = result.samples.map(({ latencyMs }) => latencyMs);
  return {
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    clientLateMsP99: percentile(result.clientLateMs, 0.99),
    failed: result.samples.filter(({ status }) => status !== 200).length,
  };
}

type Figures = Record<string, Figure>;

/** One server with so many ranking workers: with and without details. */
async function measureServer(
  context: BenchContext,
  sizes: Sizes,
  workers: number,
): Promise<Figures> {
  const { say } = context;
  const server = await startServer({ env: { RANK_WORKERS: `${workers}` }, ...commandOf(context) });
  const figures: Figures = {};
  const end = workers === 1 ? "" : `Workers${workers}`;
  try {
    say(`RANK_WORKERS=${workers}: ${sizes.items} items, ${sizes.users} users are sent`);
    await seedServer(server.port, sizes);
    let perSecond = 0;
    for (const details of [false, true]) {
      const most = await peak(server, sizes, details);
      const steady = await atSeventyPercent(server, sizes, { ...most, details });
      const name = `${details ? "Details" : ""}${end}`;
      figures[`requestsPerSecond${name}`] = { value: most.perSecond, unit: "1/s" };
      figures[`requestsPerCpuSecond${name}`] = { value: most.perCpuSecond, unit: "1/cpu-s" };
      figures[`latencyMsP50${name}`] = { value: steady.p50, unit: "ms" };
      figures[`latencyMsP99${name}`] = { value: steady.p99, unit: "ms" };
      figures[`clientLateMsP99${name}`] = { value: steady.clientLateMsP99, unit: "ms" };
      figures[`failed${name}`] = { value: most.failed + steady.failed, unit: "requests" };
      if (!details) perSecond = most.perSecond;
    }
    if (workers === 1) {
      Object.assign(figures, await scenarioFigures(server, sizes));
      const next = recommendRequest(sizes.users, false);
      const steadyMsP99 = figures[`latencyMsP99${end}`]?.value ?? Number.NaN;
      const load = { port: server.port, perSecond, steadyMsP99, seconds: sizes.seconds, next };
      Object.assign(figures, await overloadFigures(load));
    }
  } finally {
    figures[`exitCode${end}`] = { value: await server.stop(), unit: "code" };
  }
  return figures;
}

async function scenarioFigures(server: ServerProcess, sizes: Sizes): Promise<Figures> {
  const client = new LoadClient({ port: server.port });
  await client.open(sizes.connections);
  const result = await runScenario(client, {
    ...{ tasks: feedTasks, users: sizes.connections, sizes, pauseMs: 50 },
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

/** Tests run another program in the server's place. */
function commandOf({ options }: BenchContext): { command?: readonly string[] } {
  const command = options.text("command");
  return command === undefined ? {} : { command: command.split(" ") };
}

export const bench: Bench = {
  name: "http",
  about: "Requests per processor second, latency at 70 % load, and what overload does.",
  options: {
    items: { kind: "number", help: "items", default: defaults.items ?? 0, min: 10 },
    users: { kind: "number", help: "users", default: defaults.users ?? 0, min: 10 },
    events: { kind: "number", help: "events a user", default: defaults.events ?? 0, min: 0 },
    seconds: { kind: "number", help: "seconds a run", default: defaults.seconds ?? 0, min: 1 },
    connections: { kind: "number", help: "closed loop", default: defaults.connections ?? 0 },
    workers: { kind: "text", help: "ranking workers, one server each", default: "1,2" },
    command: { kind: "text", help: "program to measure in the server's place" },
  },
  async run(context) {
    const sizes = sizesOf(context);
    const figures: Figures = {};
    const counts = (context.options.text("workers") ?? "1").split(",").map(Number);
    for (const workers of counts) {
      Object.assign(figures, await measureServer(context, sizes, workers));
    }
    const [one, two] = [figures.requestsPerCpuSecond, figures.requestsPerCpuSecondWorkers2];
    if (one !== undefined && two !== undefined) {
      figures.cpuPerRequestWorkers2Ratio = { value: one.value / two.value, unit: "ratio" };
    }
    return figures;
  },
};
