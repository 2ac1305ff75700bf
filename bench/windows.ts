import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import feed from "../models/definition/default.ts";
import type { RecommenderDefinition } from "../models/definition/define.ts";
import { rankerShapeOf } from "../models/ranking/definition-shape.ts";
import { createRanker } from "../models/ranking/ranker.ts";
import { IdTable, PaneTable, SequenceTable } from "../native/index.ts";
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
    pairs: IdTable.create({ capacity: 1, bytesMax: 0 }),
    recent: SequenceTable.create({ rows: sizes.users, length: 1, words: 4 }),
  };
}

/** The engine alone: batches as the log gives them, from memory. */
function measureEngine(definition: RecommenderDefinition, sizes: Sizes): Record<string, Figure> {
  const tables = tablesOf(definition, sizes);
  const partitions = { events: 1, served: 1 };
  const core = new WindowsCore({ definition, tables, partitions, recentLength: 1 });
  const [source] = core.sources;
  const stream = new EventStream(definition, { ...sizes, startMs, perSecond });
  const meter = new Meter();
  for (let done = 0; done < sizes.events && source !== undefined; done += batchEvents) {
    const batch = batchOf(stream.records(batchEvents), done);
    meter.time(batchEvents, () => core.apply(source, batch));
  }
  for (const table of Object.values(tables)) table.release();
  return {
    eventsPerSecondThreeScopes: meter.perCpuSecond(),
    eventsPerSecondThreeScopesWall: meter.perSecond(),
  };
}

/** The role as it runs in a server: log on disk, all tables, trends, checkpoints. */
async function measureRole(sizes: Sizes): Promise<Record<string, Figure>> {
  const dataDir = mkdtempSync(join(tmpdir(), "recmaster-windows-"));
  const topics = { events: 1, served: 1, samples: 1, items: 1 };
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
    return {
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
  const sizes = {
    ...{ events: of("events", 20_000), users: of("users", 500), items: of("items", 500), seed },
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
