import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Random } from "../models/core/random.ts";
import { limits } from "../models/limits.ts";
import { World } from "../workers/simulator/world.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { memoryMb } from "./process-figures.ts";
import { seedServer } from "./seeding.ts";
import { type ServerProcess, startServer } from "./server-process.ts";
import { fillStores } from "./soak/fill.ts";
import { SoakLoad } from "./soak/load.ts";
import { type Reading, slopePerHour } from "./soak/slope.ts";
import { percentile } from "./statistics.ts";

/**
 * Method: a server is filled until the bounded stores that take longest are full (the ids that
 * deduplication remembers, the interactions that recall reads, counters of user x category), then
 * takes an hour of mixed load from a population that stays the same: slates with and without
 * details, the events of those who see them, batches of other events, documents, similar items.
 * Every few seconds the memory that has no file behind it is read (RssAnon + RssShmem), with the
 * open descriptors and the objects that native code holds. After the first quarter a line is
 * fitted; its slope is the figure. Attribution takes a second, so that slates waiting for
 * conversions do not fill memory for a day.
 */

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

/**
 * Every fourth event of the fill is a click; so many leave the joiner's table of ids, which takes
 * clicks only, as large as it will be after the run.
 */
const fillEvents = 1.3 * limits.dedupIdsMax;

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

async function metrics(port: number): Promise<(name: string) => number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const values = new Map(
    text.split("\n").map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
  return (name) => values.get(name) ?? Number.NaN;
}

async function read(server: ServerProcess, fromMs: number): Promise<Reading> {
  const metric = await metrics(server.port);
  return {
    hours: (performance.now() - fromMs) / 3_600_000,
    memoryMb: memoryMb(server.pid),
    descriptors: readdirSync(`/proc/${server.pid}/fd`).length,
    nativeObjects: metric("rec_native_objects"),
  };
}

async function readAll(server: ServerProcess, sizes: Sizes, say: (text: string) => void) {
  const readings: Reading[] = [];
  const fromMs = performance.now();
  for (let saidAt = 0; performance.now() - fromMs < sizes.seconds * 1_000; ) {
    const reading = await read(server, fromMs);
    readings.push(reading);
    const minutes = reading.hours * 60;
    if (minutes >= saidAt) {
      const { memoryMb: mb, descriptors, nativeObjects } = reading;
      const held = `${mb.toFixed(0)} MB, ${descriptors} descriptors, ${nativeObjects} objects`;
      say(`  ${minutes.toFixed(0).padStart(3)} min: ${held}`);
      saidAt += 5;
    }
    await Bun.sleep(sizes.readingSeconds * 1_000);
  }
  return readings;
}

function figuresOf(readings: readonly Reading[], load: SoakLoad): Record<string, Figure> {
  const later = readings.slice(Math.floor(readings.length / 4));
  const [first, last] = [later[0], later.at(-1)];
  const figure = (value: number | undefined, unit: string): Figure => ({
    value: value ?? Number.NaN,
    unit,
  });
  return {
    memoryMbPerHour: slopePerHour(later),
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
  // The world that the server is seeded with.
  const world = new World({ ...sizes, startMs: Date.now() });
  const random = new Random(sizes.seed);
  const load = new SoakLoad({ port: server.port, random, world, ...sizes });
  try {
    await seedServer(server.port, { ...sizes, eventsPerUser: 6 });
    context.say(`  ${sizes.fillEvents} events fill the bounded stores`);
    await fillStores(server.port, { ...sizes, world });
    await load.start();
    const before = await metrics(server.port);
    const readings = await readAll(server, sizes, context.say);
    const after = await metrics(server.port);
    await load.stop();
    const figures = figuresOf(readings, load);
    for (const [name, metric] of Object.entries(counted)) {
      figures[name] = { value: after(metric) - before(metric), unit: name };
    }
    return figures;
  } finally {
    await load.stop();
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
    fill: {
      ...{ kind: "number", help: "events before the run", default: fillEvents, min: 0 },
    },
    slates: { kind: "number", help: "slates a second", default: 60, min: 1 },
    events: { kind: "number", help: "other events a second", default: 500, min: 1 },
  },
  run,
};
