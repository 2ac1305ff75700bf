import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RecError } from "../models/core/errors.ts";
import feed from "../models/definition/default.ts";
import type { RecommenderDefinition } from "../models/definition/define.ts";
import { rankerShapeOf } from "../models/ranking/definition-shape.ts";
import { createRanker } from "../models/ranking/ranker.ts";
import { IdTable, PaneTable } from "../native/index.ts";
import { byScope } from "../workers/by-scope.ts";
import { createSharedState } from "../workers/shared-state.ts";
import { openEventLog } from "../workers/stores/open.ts";
import { systemClock } from "../workers/system-clock.ts";
import { makeWindowsRole } from "../workers/windows/make.ts";
import { WindowsCore } from "../workers/windows/windows.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { batchOf, EventStream } from "./streaming/event-stream.ts";
import { Meter } from "./streaming/meter.ts";

interface Sizes {
  readonly events: number;
  readonly users: number;
  readonly items: number;
  readonly categories: number;
  readonly seed: number;
}

/** Events of a second of event time: what freshness is promised at. */
const perSecond = 20_000;
/** About what one read of the log brings. */
const batchEvents = 2_500;
const turnEvents = 20_000;
const startMs = Date.UTC(2026, 2, 1);

/** What Flink counts beside: user, item and category in the last minute, by panes of 10 s. */
const threeScopes: RecommenderDefinition = {
  ...feed,
  windows: feed.windows.slice(0, 1),
  features: (["user", "item", "category"] as const).map((scope) => ({
    ...{ name: `${scope}.1m.clickCount`, scope, window: "1m", kind: "logCount" },
    interaction: "click",
  })),
};

function tablesOf(definition: RecommenderDefinition, sizes: Sizes) {
  const { windows, interactions } = definition;
  const panes = (rows: number) =>
    PaneTable.create({ rows, counters: interactions.length, windows });
  return {
    user: panes(sizes.users),
    item: panes(sizes.items),
    category: panes(sizes.categories),
    userCategory: panes(1),
    global: panes(1),
    aggregates: byScope(() => null),
    pairs: IdTable.create({ capacity: 1, bytesMax: 0 }),
    recent: null,
  };
}

/** A figure of events that did not count would be none. */
function requireCounted({ counts }: WindowsCore, events: number): void {
  const { duplicates, unknown, impressionsIgnored } = counts;
  if (counts.events === events && duplicates + unknown + impressionsIgnored === 0) return;
  throw new RecError("REC_BENCH_METHOD", `not all of ${events}: ${JSON.stringify(counts)}`);
}

function bytesUnder(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => statSync(join(folder, name)))
    .reduce((sum, entry) => sum + (entry.isFile() ? entry.size : 0), 0);
}

/** The engine alone: batches as the log gives them, from memory. */
function measureEngine(definition: RecommenderDefinition, sizes: Sizes): Record<string, Figure> {
  const tables = tablesOf(definition, sizes);
  const partitions = { events: 1, served: 1 };
  const core = new WindowsCore({ definition, tables, partitions });
  const [source] = core.sources;
  const stream = new EventStream(definition, { ...sizes, startMs, perSecond });
  const meter = new Meter();
  for (let done = 0; done < sizes.events && source !== undefined; done += turnEvents) {
    // Made before the clock starts, so that making them is not measured.
    const batches = Array.from({ length: turnEvents / batchEvents }, (_, i) =>
      batchOf(stream.records(batchEvents), done + i * batchEvents),
    );
    meter.time(turnEvents, () => {
      for (const batch of batches) core.apply(source, batch);
    });
  }
  requireCounted(core, sizes.events);
  const { aggregates: _none, recent: _null, ...made } = tables;
  for (const table of Object.values(made)) table.release();
  return {
    eventsPerSecondThreeScopes: meter.perCpuSecond(),
    eventsPerSecondThreeScopesWall: meter.perSecond(),
  };
}

/** The role as it runs in a server: log on disk, all tables, trends, checkpoints. */
async function measureRole(sizes: Sizes): Promise<Record<string, Figure>> {
  const dataDir = mkdtempSync(join(tmpdir(), "recmaster-windows-"));
  const topics = { events: 1, served: 1, samples: 1, items: 1, commits: 1 };
  const warn = () => {};
  const log = openEventLog("embedded:", {
    ...{ dataDir, topics, durability: "async", clock: systemClock, report: warn },
  });
  const modelFloats = createRanker(rankerShapeOf(feed)).floats;
  const state = createSharedState(feed, { dataDir: null, modelFloats });
  try {
    const stream = new EventStream(feed, { ...sizes, startMs, perSecond });
    for (let done = 0; done < sizes.events; done += batchEvents) {
      await log.append("events", 0, stream.records(batchEvents));
    }
    await log.flush();
    const parts = { state, log, definition: feed, dataDir, clock: systemClock, warn };
    const role = await makeWindowsRole(parts);
    const meter = new Meter();
    await meter.timeAsync(sizes.events, async () => {
      while (!role.caughtUp) await role.step();
      await role.close();
    });
    requireCounted(role.core, sizes.events);
    return {
      checkpointBytes: { value: bytesUnder(join(dataDir, "checkpoints")), unit: "bytes" },
      eventsPerSecondDefinition: meter.perCpuSecond(),
      eventsPerSecondDefinitionWall: meter.perSecond(),
    };
  } finally {
    await log.close();
    state.release();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function run({ options, smoke, seed }: BenchContext): Promise<Record<string, Figure>> {
  const of = (name: string, tiny: number) => (smoke ? tiny : options.number(name));
  const events = Math.ceil(of("events", 20_000) / turnEvents) * turnEvents;
  const sizes = {
    ...{ events, users: of("users", 500), items: of("items", 500), seed },
    categories: of("categories", 10),
  };
  return { ...measureEngine(threeScopes, sizes), ...(await measureRole(sizes)) };
}

export const bench: Bench = {
  name: "windows",
  about: "Events a second that one core counts: three scopes alone, and the whole definition.",
  options: {
    events: { kind: "number", help: "events of each part", default: 2_000_000, min: 2_500 },
    users: { kind: "number", help: "users", default: 100_000, min: 1 },
    items: { kind: "number", help: "items", default: 100_000, min: 1 },
    categories: { kind: "number", help: "categories", default: 50, min: 1 },
  },
  run,
};
