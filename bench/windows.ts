import { RecError } from "../models/core/errors.ts";
import feed from "../models/definition/default.ts";
import type { RecommenderDefinition } from "../models/definition/define.ts";
import { IdTable, PaneTable, type RowUsage } from "../native/index.ts";
import { byScope } from "../workers/by-scope.ts";
import { WindowsCore } from "../workers/windows/windows.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { batchOf, EventStream } from "./streaming/event-stream.ts";
import { Meter } from "./streaming/meter.ts";
import {
  batchEvents,
  perSecond,
  type RoleRun,
  requireCounted,
  runWindowsRole,
  type StreamSizes,
  startMs,
} from "./streaming/windows-role.ts";

const turnEvents = 20_000;

/** What Flink counts beside: user, item and category in the last minute, by panes of 10 s. */
const threeScopes: RecommenderDefinition = {
  ...feed,
  windows: feed.windows.slice(0, 1),
  features: (["user", "item", "category"] as const).map((scope) => ({
    ...{ name: `${scope}.1m.clickCount`, scope, window: "1m", kind: "logCount" },
    interaction: "click",
  })),
};

function tablesOf(definition: RecommenderDefinition, sizes: StreamSizes) {
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

/** The engine alone: batches as the log gives them, from memory. */
function measureEngine(
  definition: RecommenderDefinition,
  sizes: StreamSizes,
): Record<string, Figure> {
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

function perSecondOf({ meter }: RoleRun, name: string): Record<string, Figure> {
  return { [name]: meter.perCpuSecond(), [`${name}Wall`]: meter.perSecond() };
}

/** Over the tables of a run. */
function total(usages: readonly RowUsage[], of: keyof RowUsage): number {
  return usages.reduce((all, usage) => all + usage[of], 0);
}

/**
 * The role with room in memory for all rows, and with room for a quarter of them: the others go to
 * files and come back. Throws where a counter or a sequence of one row differs between the two.
 */
async function measureRole(sizes: StreamSizes): Promise<Record<string, Figure>> {
  const roomy = await runWindowsRole(sizes);
  const crowded = await runWindowsRole(sizes, {
    paneFullRowsMax: quarterOf(roomy.usages.map((one) => one.inMemory)),
    rowsInMemoryMax: quarterOf(roomy.sequences.map(({ usage }) => usage.inMemory)),
  });
  const all = ({ usages, sequences }: RoleRun) => [
    ...usages,
    ...sequences.map(({ usage }) => usage),
  ];
  const lost = total(all(crowded), "evicted") + total(all(roomy), "evicted");
  if (roomy.hash !== crowded.hash || lost > 0) {
    throw new RecError("REC_BENCH_METHOD", `rows differ with less memory, ${lost} were lost`);
  }
  return {
    checkpointBytes: bytes(roomy.checkpointBytes),
    ...perSecondOf(roomy, "eventsPerSecondDefinition"),
    ...perSecondOf(crowded, "eventsPerSecondCrowded"),
    ...ringFigures(roomy, crowded),
    ...sequenceFigures(roomy, crowded),
    rowFileBytes: bytes(crowded.rowFileBytes),
  };
}

function count(value: number): Figure {
  return { value, unit: "rows" };
}

function bytes(value: number): Figure {
  return { value, unit: "bytes" };
}

function ringFigures(roomy: RoleRun, crowded: RoleRun): Record<string, Figure> {
  const [rows, kept] = [roomy, crowded].map(({ usages }) => total(usages, "inMemory"));
  return {
    workingSetToMemory: { value: rows! / kept!, unit: "ratio" },
    fullRowBytes: bytes(rows! * roomy.fullRowBytes),
    fullRowBytesCrowded: bytes(kept! * crowded.fullRowBytes),
    rowsMovedOut: count(total(crowded.usages, "movedOut")),
    rowsBroughtBack: count(total(crowded.usages, "broughtBack")),
  };
}

function sequenceFigures(roomy: RoleRun, crowded: RoleRun): Record<string, Figure> {
  const bytesOf = ({ sequences }: RoleRun) =>
    sequences.reduce((sum, { usage, rowBytes }) => sum + usage.inMemory * rowBytes, 0);
  const usages = crowded.sequences.map(({ usage }) => usage);
  return {
    sequenceBytes: bytes(bytesOf(roomy)),
    sequenceBytesCrowded: bytes(bytesOf(crowded)),
    sequencesMovedOut: count(total(usages, "movedOut")),
    sequencesBroughtBack: count(total(usages, "broughtBack")),
  };
}

/** The largest bound of each under which no more than a quarter of them all has room. */
function quarterOf(sizes: readonly number[]): number {
  const under = (bound: number) => sizes.reduce((sum, size) => sum + Math.min(size, bound), 0);
  let bound = Math.max(1, ...sizes);
  while (bound > 1 && 4 * under(bound) > under(Number.POSITIVE_INFINITY)) {
    bound = Math.floor(bound * 0.98);
  }
  return bound;
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
