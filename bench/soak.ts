import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Random } from "../models/core/random.ts";
import { fillEventsDefault, seedAndFill } from "./filling.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { memoryMb } from "./process-figures.ts";
import { type ServerProcess, startServer } from "./server-process.ts";
import { SoakLoad } from "./soak/load.ts";
import { type MemoryReading, slopePerHour } from "./soak/slope.ts";
import { growth, type Strata, strataOf } from "./soak/strata.ts";
import { percentile } from "./statistics.ts";

/**
 * Method: a server is filled until the bounded stores that take longest are full (the ids that
 * deduplication remembers, the interactions that recall reads, the panes of user x category), then
 * takes an hour of mixed load from a population that stays the same: slates with and without
 * details, the events of those who see them, batches of other events, documents, similar items.
 * Every few seconds the memory that has no file behind it is read (RssAnon + RssShmem), with the
 * open descriptors and the objects that native code holds. After the first quarter a line is
 * laid; its slope is the figure. What grew meanwhile, by heap and by mapping, is printed.
 * Attribution takes a second, so that slates waiting for conversions do not fill memory for a day.
 */

interface Reading extends MemoryReading {
  readonly descriptors: number;
  readonly nativeObjects: number;
}

interface Sizes {
  readonly items: number;
  readonly users: number;
  readonly fillEvents: number;
  readonly seconds: number;
  readonly readingSeconds: number;
  readonly slatesPerSecond: number;
  readonly eventsPerSecond: number;
  readonly seed: number;
}

/** Counters that say what went on, as figures. */
const counted = {
  swaps: "rec_model_swaps_total",
  samples: "rec_model_samples_total",
  generations: "rec_recall_generations_total",
  eventsAccepted: "rec_events_accepted_total",
} as const;

function sizesOf({ options, smoke, seed }: BenchContext): Sizes {
  const of = (name: string, tiny: number) => (smoke ? tiny : options.number(name));
  return {
    items: of("items", 500),
    users: of("users", 500),
    fillEvents: of("fill", 2_000),
    seconds: of("minutes", 0.05) * 60,
    readingSeconds: smoke ? 0.2 : 2,
    slatesPerSecond: of("slates", 50),
    eventsPerSecond: of("events", 500),
    seed,
  };
}

async function metricsText({ port }: ServerProcess): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

async function metrics(server: ServerProcess): Promise<(name: string) => number> {
  const text = await metricsText(server);
  const values = new Map(
    text.split("\n").map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
  return (name) => values.get(name) ?? Number.NaN;
}

async function read(server: ServerProcess, fromMs: number): Promise<Reading> {
  const metric = await metrics(server);
  return {
    hours: (performance.now() - fromMs) / 3_600_000,
    memoryMb: memoryMb(server.pid),
    descriptors: readdirSync(`/proc/${server.pid}/fd`).length,
    nativeObjects: metric("rec_native_objects"),
  };
}

/** So much of the run does not count: what is made at first use has been made then. */
const uncounted = 0.25;

interface Readings {
  /** Those that count. */
  readonly later: readonly Reading[];
  /** When they began, and at the end. */
  readonly strata: readonly [Strata, Strata];
}

async function readAll(
  server: ServerProcess,
  sizes: Sizes,
  say: (text: string) => void,
): Promise<Readings> {
  const later: Reading[] = [];
  const fromMs = performance.now();
  const strata = async () => strataOf(server.pid, await metricsText(server));
  let before: Strata | null = null;
  for (let saidAt = 0; performance.now() - fromMs < sizes.seconds * 1_000; ) {
    const reading = await read(server, fromMs);
    if (reading.hours * 3_600 >= uncounted * sizes.seconds) {
      before ??= await strata();
      later.push(reading);
    }
    const minutes = reading.hours * 60;
    if (minutes >= saidAt) {
      const { memoryMb: mb, descriptors, nativeObjects } = reading;
      const held = `${mb.toFixed(0)} MB, ${descriptors} descriptors, ${nativeObjects} objects`;
      say(`  ${minutes.toFixed(0).padStart(3)} min: ${held}`);
      saidAt += 5;
    }
    await Bun.sleep(sizes.readingSeconds * 1_000);
  }
  return { later, strata: [before ?? new Map(), await strata()] };
}

function figuresOf(
  later: readonly Reading[],
  load: SoakLoad,
  { seed }: Sizes,
): Record<string, Figure> {
  const [first, last] = [later[0], later.at(-1)];
  const figure = (value: number | undefined, unit: string): Figure => ({
    value: value ?? Number.NaN,
    unit,
  });
  return {
    memoryMbPerHour: slopePerHour(later, seed),
    memoryMbFirst: figure(first?.memoryMb, "MB"),
    memoryMbLast: figure(last?.memoryMb, "MB"),
    descriptorsFirst: figure(first?.descriptors, "files"),
    descriptorsLast: figure(last?.descriptors, "files"),
    nativeObjectsFirst: figure(first?.nativeObjects, "objects"),
    nativeObjectsLast: figure(last?.nativeObjects, "objects"),
    requestsAnswered: figure(load.counts.answered, "requests"),
    requestsRefused: figure(load.counts.refused, "requests"),
    requestsFailed: figure(load.counts.failed, "requests"),
    slateLatencyMsP50: figure(percentile(load.slateLatenciesMs, 0.5), "ms"),
    slateLatencyMsP99: figure(percentile(load.slateLatenciesMs, 0.99), "ms"),
  };
}

async function run(context: BenchContext): Promise<Record<string, Figure>> {
  const sizes = sizesOf(context);
  const definition = join(import.meta.dir, "survival", "short-attribution.ts");
  const env = { REC_DEFINITION: definition, JOINER_EMIT_AFTER_MS: "1000", RANK_WORKERS: "1" };
  const server = await startServer({ env });
  let load: SoakLoad | null = null;
  try {
    context.say(`  ${sizes.fillEvents} events fill the bounded stores`);
    const world = await seedAndFill(server.port, { ...sizes, eventsPerUser: 6 });
    load = new SoakLoad({ port: server.port, random: new Random(sizes.seed), world, ...sizes });
    await load.start();
    const before = await metrics(server);
    const { later, strata } = await readAll(server, sizes, context.say);
    const after = await metrics(server);
    await load.stop();
    for (const line of growth(...strata)) context.say(line);
    const figures = figuresOf(later, load, sizes);
    for (const [name, metric] of Object.entries(counted)) {
      figures[name] = { value: after(metric) - before(metric), unit: name };
    }
    return figures;
  } finally {
    await load?.stop();
    await server.stop();
  }
}

export const bench: Bench = {
  name: "soak",
  about: "An hour of mixed load: the slope of memory, descriptors and native objects.",
  options: {
    minutes: { kind: "number", help: "length of the run", default: 60, min: 1 },
    items: { kind: "number", help: "items", default: 20_000, min: 100 },
    users: { kind: "number", help: "users", default: 20_000, min: 100 },
    fill: { kind: "number", help: "events before it", default: fillEventsDefault, min: 0 },
    slates: { kind: "number", help: "slates a second", default: 60, min: 1 },
    events: { kind: "number", help: "other events a second", default: 500, min: 1 },
  },
  run,
};
