import type { Bench, BenchContext } from "./harness.ts";
import { overloadFigures } from "./http/overload.ts";
import {
  atSeventyPercent,
  byAutocannon,
  type Figures,
  goodSlate,
  peak,
  recommendRequests,
  type Sizes,
  scenarioFigures,
} from "./http/phases.ts";
import { rankedCandidates } from "./http/ranked.ts";
import { LoadClient } from "./open-loop.ts";
import { anonymousMb, mappingsOf } from "./process-figures.ts";
import { seedServer } from "./seeding.ts";
import { type ServerProcess, startServer } from "./server-process.ts";

const defaults: Readonly<Record<string, number>> = {
  ...{ items: 100_000, users: 100_000, seconds: 12, connections: 16, events: 12 },
};

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

/** What a server of so many workers is put through. */
interface Plan {
  readonly context: BenchContext;
  readonly sizes: Sizes;
  readonly workers: number;
  readonly parts: ReadonlySet<string>;
  /** What the names of its figures end in. */
  readonly end: string;
}

const allParts = ["slates", "details", "noPrefetch", "learning", "scenario", "overload"];

function ending(figures: Figures, end: string): Figures {
  return Object.fromEntries(Object.entries(figures).map(([name, one]) => [`${name}${end}`, one]));
}

async function open(plan: Plan, env: Readonly<Record<string, string>>): Promise<ServerProcess> {
  const { context, sizes, workers } = plan;
  const command = context.options.text("command");
  const server = await startServer({
    env: { RANK_WORKERS: `${workers}`, ...env },
    // Tests run another program in the server's place.
    ...(command === undefined ? {} : { command: command.split(" ") }),
  });
  context.say(`RANK_WORKERS=${workers}: ${sizes.items} items, ${sizes.users} users are sent`);
  await seedServer(server.port, sizes);
  await quiet(server);
  return server;
}

const quietShare = 0.1;
const quietMsMax = 60_000;

/** Until what was sent has been taken in: the background threads rest. */
async function quiet(server: ServerProcess): Promise<void> {
  const endMs = performance.now() + quietMsMax;
  for (let calm = 0; calm < 2 && performance.now() < endMs; ) {
    const before = server.cpuSeconds();
    await Bun.sleep(500);
    calm = server.cpuSeconds() - before < 0.5 * quietShare ? calm + 1 : 0;
  }
}

/** Closed loop, then 70 % of it. */
async function slates(server: ServerProcess, plan: Plan, details: boolean): Promise<Figures> {
  const { goodPerSecond, figures } = await peak(server, plan.sizes, details);
  return {
    ...figures,
    ...(await atSeventyPercent(server, plan.sizes, { goodPerSecond, details })),
  };
}

async function overload(server: ServerProcess, { sizes }: Plan, calm: Figures): Promise<Figures> {
  return await overloadFigures({
    port: server.port,
    perSecond: calm.requestsPerSecond?.value ?? 1,
    steadyMsP99: calm.latencyMsP99?.value ?? Number.NaN,
    seconds: sizes.seconds,
    next: recommendRequests(sizes, false),
    isGood: goodSlate(),
  });
}

async function memoryFigures(server: ServerProcess): Promise<Figures> {
  const mappings = mappingsOf(server.pid, ".f32");
  return {
    anonymousMb: { value: anonymousMb(server.pid), unit: "MB" },
    mappingsPerEmbeddingFile: { value: Math.max(...mappings.values(), 0), unit: "mappings" },
  };
}

async function rankedFigures(server: ServerProcess, { users }: Sizes): Promise<Figures> {
  const client = new LoadClient({ port: server.port, keepBodies: true });
  await client.open(1);
  const ranked = await rankedCandidates(client, users);
  client.close();
  return {
    candidatesRanked: { value: ranked.median, unit: "items" },
    candidatesRankedP5: { value: ranked.low, unit: "items" },
  };
}

/** One server with so many ranking workers through its parts. */
async function measureServer(plan: Plan): Promise<Figures> {
  const { sizes, parts, workers, end } = plan;
  const server = await open(plan, {});
  const figures: Figures = {};
  const add = (more: Figures, name = "") => Object.assign(figures, ending(more, `${name}${end}`));
  try {
    add(await rankedFigures(server, sizes));
    const calm = await slates(server, plan, false);
    add(calm);
    if (parts.has("details")) add(await slates(server, plan, true), "Details");
    add(await memoryFigures(server));
    if (workers === 1) {
      add(await byAutocannon(server, sizes, calm.connections?.value ?? 1));
      if (parts.has("scenario")) add(await scenarioFigures(server, sizes));
      if (parts.has("overload")) add(await overload(server, plan, calm));
    }
  } finally {
    figures[`exitCode${end}`] = { value: await server.stop(), unit: "code" };
  }
  return figures;
}

async function withoutPrefetch(plan: Plan): Promise<Figures> {
  const server = await open(plan, { DETAILS_PREFETCH: "off" });
  try {
    return ending(await slates(server, plan, true), `DetailsNoPrefetch${plan.end}`);
  } finally {
    await server.stop();
  }
}

/** A counter of the metrics text; 0 where it is not there. */
async function counter({ port }: ServerProcess, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const line = text.split("\n").find((one) => one.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}

/** Samples of the slates that are served are learned at once, not two minutes after the run. */
async function whileLearning(plan: Plan): Promise<Figures> {
  const server = await open(plan, { JOINER_EMIT_AFTER_MS: "1000" });
  try {
    const names = ["rec_model_samples_total", "rec_ranking_served_records_total"] as const;
    const before = await Promise.all(names.map((name) => counter(server, name)));
    const figures = await slates(server, plan, false);
    const after = await Promise.all(names.map((name) => counter(server, name)));
    const [samples, served] = after.map((value, i) => value - before[i]!);
    return ending(
      {
        ...figures,
        samplesLearnedPerRequest: { value: samples! / served!, unit: "samples" },
      },
      `Learning${plan.end}`,
    );
  } finally {
    await server.stop();
  }
}

/** What two servers say of each other. */
function comparisons(figures: Figures): Figures {
  const [one, two] = [figures.requestsPerCpuSecond, figures.requestsPerCpuSecondWorkers2];
  const [small, large] = [figures.anonymousMb, figures.anonymousMbWorkers4];
  const out: Figures = {};
  if (one !== undefined && two !== undefined) {
    out.cpuPerRequestWorkers2Ratio = { value: one.value / two.value, unit: "ratio" };
  }
  if (small !== undefined && large !== undefined) {
    out.anonymousMbPerWorker = { value: (large.value - small.value) / 3, unit: "MB" };
  }
  return out;
}

export const bench: Bench = {
  name: "http",
  about: "Requests per processor second, latency at 70 % load, and what overload does.",
  options: {
    items: { kind: "number", help: "items", default: defaults.items ?? 0, min: 10 },
    users: { kind: "number", help: "users", default: defaults.users ?? 0, min: 10 },
    events: { kind: "number", help: "events a user", default: defaults.events ?? 0, min: 0 },
    seconds: { kind: "number", help: "seconds a run", default: defaults.seconds ?? 0, min: 1 },
    connections: {
      ...{ kind: "number", help: "most of the closed loop" },
      ...{ default: defaults.connections ?? 0, min: 1 },
    },
    workers: { kind: "text", help: "ranking workers, one server each", default: "1,2" },
    parts: { kind: "text", help: `of ${allParts.join()}`, default: allParts.join() },
    command: { kind: "text", help: "program to measure in the server's place" },
  },
  async run(context) {
    const sizes = sizesOf(context);
    const figures: Figures = {};
    const parts = new Set((context.options.text("parts") ?? "").split(","));
    for (const workers of (context.options.text("workers") ?? "1").split(",").map(Number)) {
      const plan = {
        context,
        sizes,
        workers,
        parts,
        end: workers === 1 ? "" : `Workers${workers}`,
      };
      Object.assign(figures, await measureServer(plan));
      if (parts.has("learning")) Object.assign(figures, await whileLearning(plan));
      if (parts.has("noPrefetch")) Object.assign(figures, await withoutPrefetch(plan));
    }
    return { ...figures, ...comparisons(figures) };
  },
};
