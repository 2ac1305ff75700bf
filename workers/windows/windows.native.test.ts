import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { utf8 } from "../../models/core/bytes.ts";
import { ManualClock } from "../../models/core/clock.ts";
import type { EventRecord } from "../../models/core/event.ts";
import { Random } from "../../models/core/random.ts";
import { featuresOf, type ScopeName, scopeNames } from "../../models/definition/define.ts";
import definition from "../../models/definition/examples/aggregates.ts";
import { aggregateColumns, aggregatesOf } from "../../models/features/aggregates.ts";
import { paneEndMs, sequenceOf } from "../../models/features/window.ts";
import { AggregateTable, IdTable, PaneTable, SequenceTable } from "../../native/index.ts";
import { byScope } from "../by-scope.ts";
import { until } from "../loop.ts";
import { type CheckpointStore, MemoryCheckpointStore } from "../stores/checkpoint-store.ts";
import { SnapshotCheckpoints } from "../stores/embedded/snapshot-checkpoints.ts";
import { FakeEventLog } from "../stores/event-log.fake.ts";
import type { LogBatch } from "../stores/event-log.ts";
import { memoryFileSystem } from "../stores/memory-file-system.ts";
import { encodeAll, encodeSlates, fakeEvents, fakeServed } from "./stream.fake.ts";
import { WindowsOracle } from "./windows.oracle.ts";
import { WindowsCore } from "./windows.ts";
import { WindowsRole } from "./worker.ts";

const rows = 4_000;
const marks = { maxDisorderMs: 30_000, futureLeadMs: 60_000 };
const startMs = Date.UTC(2026, 2, 1);
const shape = { records: 2_500, users: 60, items: 30, types: 6, startMs, gapMs: 400 };
const opened: { release(): void }[] = [];
const folder = mkdtempSync(join(tmpdir(), "recmaster-windows-"));
let files = 0;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function keep<T extends { release(): void }>(table: T): T {
  opened.push(table);
  return table;
}

afterEach(() => {
  for (const table of opened.splice(0)) table.release();
});

/** So many rows of each are in memory, the others in files. */
function nativeTables(rowsInMemory = rows) {
  const counters = definition.interactions.length;
  const filed = <T extends { openFile(path: string, recordsMax: number): void }>(table: T): T => {
    if (rowsInMemory < rows) table.openFile(join(folder, `${files++}.rows`), rows);
    return table;
  };
  const { windows } = definition;
  const panes = () =>
    filed(keep(PaneTable.create({ rows, counters, windows, fullRows: rowsInMemory })));
  return {
    user: panes(),
    item: panes(),
    category: panes(),
    userCategory: panes(),
    global: panes(),
    aggregates: byScope((scope) =>
      filed(keep(AggregateTable.create(rows, aggregatesOf(definition, scope), rowsInMemory))),
    ),
    pairs: keep(IdTable.create({ capacity: rows, bytesMax: 0 })),
    recent: filed(keep(SequenceTable.create({ rows, length: 50, words: 4, rowsInMemory }))),
  };
}

type Tables = ReturnType<typeof nativeTables>;

/** The event time that counts: one from ahead of the allowed lead is taken as of its arrival. */
function usedTime({ timeMs, receivedMs }: EventRecord): number {
  return timeMs > receivedMs + marks.futureLeadMs ? receivedMs : timeMs;
}

function batchOf(records: readonly Uint8Array[], firstOffset: number): LogBatch {
  const bounds = new Uint32Array(records.length + 1);
  for (const [i, record] of records.entries()) bounds[i + 1] = bounds[i]! + record.length;
  const data = new Uint8Array(Buffer.concat(records));
  return { firstOffset, count: records.length, data, bounds };
}

async function fill(seed: number) {
  const random = new Random(seed);
  const events = fakeEvents(random, shape);
  const log = new FakeEventLog();
  const oracle = new WindowsOracle({ definition, ...marks });
  await log.append("events", 0, encodeAll(events));
  for (const event of events) oracle.event("events", event);
  const slates = Array.from({ length: 150 }, (_, i) => {
    const items = Array.from({ length: 5 }, () => random.int(shape.items));
    const timeMs = startMs + (i * shape.records * shape.gapMs) / 150;
    return fakeServed({ user: random.int(shape.users), items, timeMs, request: `s${i}` });
  });
  await log.append("served", 0, encodeSlates(slates));
  for (const slate of slates) oracle.served("served", slate);
  return { log, oracle };
}

function open(
  log: FakeEventLog,
  tables: Tables,
  checkpoints: CheckpointStore,
  more: { warn?: (text: string) => void; checkpointEveryRecords?: number } = {},
) {
  const core = new WindowsCore({
    definition,
    tables,
    partitions: { events: 1, served: 1 },
    dedupIdsMax: 10_000,
    ...marks,
  });
  const clock = new ManualClock(startMs);
  return WindowsRole.open({ log, core, clock, checkpoints, readBytes: 20_000, ...more });
}

function valuesOf(table: PaneTable, row: number, asOfMs: number): number[] {
  const out = new Uint32Array(table.width);
  table.read(Int32Array.of(row), 1, asOfMs, { out, offsets: null, waits: true });
  return [...out];
}

/** Values of the features of a row that no counters make, beside what the oracle says. */
function aggregateDifferences(
  { aggregates }: Tables,
  oracle: WindowsOracle,
  of: { scope: ScopeName; at: number; row: string; asOfMs: number },
): string[] {
  const { scope, at, row, asOfMs } = of;
  const table = aggregates[scope];
  const out = new Float64Array(table.width);
  table.read(Int32Array.of(at), 1, asOfMs, { out, offsets: null, waits: true });
  const columns = aggregateColumns(definition, scope);
  return featuresOf(definition, scope).flatMap((feature, i) => {
    const column = columns[i];
    if (column === undefined) return [];
    const [got, want] = [out[column]!, oracle.aggregate(feature, row, asOfMs)];
    // Halves of halves are summed in another order.
    const allowed = feature.kind === "logDecayed" ? 1e-9 * want : 0;
    if (Math.abs(got - want) <= allowed) return [];
    return [`${feature.name} of ${row} at ${asOfMs}: ${got} instead of ${want}`];
  });
}

function differences(tables: Tables, oracle: WindowsOracle, asOfMs: number): string[] {
  const wrong: string[] = [];
  const check = (scope: ScopeName, at: number, row: string) => {
    const got = valuesOf(tables[scope], at, asOfMs).join();
    const want = oracle.read(scope, row, asOfMs).join();
    if (got !== want) wrong.push(`${scope} ${row}: ${got} instead of ${want}`);
    wrong.push(...aggregateDifferences(tables, oracle, { scope, at, row, asOfMs }));
  };
  for (let row = 0; row < shape.users; row++) check("user", row, `${row}`);
  for (let row = 0; row < shape.items; row++) check("item", row, `${row}`);
  for (let row = 0; row < 23; row++) check("category", row, `${row}`);
  check("global", 0, "0");
  const pair = new Uint32Array(2);
  for (let row = 0; row < tables.pairs.size; row++) {
    tables.pairs.pairs(row, 1, pair);
    check("userCategory", row, pair.join("/"));
  }
  return wrong;
}

describe("windows on the native tables", () => {
  test("equal the oracle, and rows say which records they have taken in", async () => {
    const { log, oracle } = await fill(21);
    const tables = nativeTables();
    const role = await open(log, tables, new MemoryCheckpointStore());
    while ((await role.step()) > 0);
    const endMs = Math.max(...role.core.sources.map((source) => source.watermark.largestMs));
    expect(differences(tables, oracle, endMs)).toEqual([]);
    expect(tables.pairs.size).toBeGreaterThan(100);
    const offsets = new Float64Array(2);
    const out = new Uint32Array(2 * tables.user.width);
    tables.user.read(Int32Array.of(3, -1), 2, endMs, { out, offsets });
    expect(sequenceOf(offsets[0])).toBeGreaterThan(1_000);
    expect(sequenceOf(offsets[0])).toBeLessThan(role.core.sequence);
    expect(sequenceOf(offsets[1])).toBe(-1);
  });

  // 20 % out of order, 5 % second deliveries, 2 % late, one event from next year (stream.fake.ts).
  test("equal the oracle at every pane end: every scope, size and aggregate; all late", () => {
    const random = new Random(31);
    const perImpression = { ...definition, negatives: "impression" as const };
    const oracle = new WindowsOracle({ definition: perImpression, ...marks });
    const tables = nativeTables();
    const partitions = { events: 1, served: 1 };
    const options = { definition: perImpression, tables, partitions, dedupIdsMax: 10_000 };
    const core = new WindowsCore({ ...options, ...marks });
    const [source] = core.sources;
    const events = fakeEvents(random, { ...shape, records: 1_000 });
    let paneEnds = 0;
    for (let from = 0; from < events.length; ) {
      // As much as stays before the next pane end: the rows are compared as of that end.
      const endMs = paneEndMs(source!.watermark.largestMs, 10_000);
      let to = from + 1;
      const most = from + 1 + random.int(40);
      while (to < Math.min(most, events.length) && usedTime(events[to]!) < endMs) to++;
      const batch = events.slice(from, to);
      core.apply(source!, batchOf(encodeAll(batch), from));
      for (const event of batch) oracle.event("events", event);
      from = to;
      const passes = from === events.length || usedTime(events[from]!) >= endMs;
      if (!passes || source!.watermark.largestMs === 0) continue;
      paneEnds++;
      const asOfMs = paneEndMs(source!.watermark.largestMs, 10_000) - 1;
      expect(differences(tables, oracle, asOfMs)).toEqual([]);
    }
    expect(paneEnds).toBeGreaterThan(20);
    expect(core.counts).toMatchObject({ duplicates: oracle.duplicates, late: oracle.late });
    expect(core.counts.late).toBeGreaterThan(10);
    expect(core.counts.future).toBe(1);
    // Enough users clicked in five minutes for an estimate; elsewhere counts are exact.
    const clicks = oracle.facts.filter(({ type }) => type === 1);
    const panes = [...Map.groupBy(clicks, ({ timeMs }) => Math.floor(timeMs / 300_000)).values()];
    expect(panes.some((list) => new Set(list.map((one) => one.userRow)).size > 32)).toBe(true);
  }, 60_000);

  test("features of every kind in every scope stand in the definition", () => {
    for (const scope of scopeNames) {
      const kinds = featuresOf(definition, scope).map(({ kind }) => kind);
      const each = ["logCount", "rateLogit", "maxValue", "logDistinct", "logDecayed"] as const;
      expect(each.filter((kind) => !kinds.includes(kind))).toEqual([]);
    }
  });

  test.each([
    ["with room for all rows", rows],
    ["with room for a few", 7],
  ])(
    "a new process, and a new thread over the same memory, restore the same state: %s",
    async (_, inMemory) => {
      const { log, oracle } = await fill(22);
      const random = new Random(22);
      const checkpoints = new MemoryCheckpointStore();
      let tables = nativeTables(inMemory);
      let role = await open(log, tables, checkpoints);
      let restarts = 0;
      while ((await role.step()) > 0) {
        if (random.int(3) === 0) await role.checkpoint();
        if (random.int(4) !== 0) continue;
        restarts++;
        // Every other time only the thread dies: the tables keep what it counted last.
        if (restarts % 2 === 0) tables = nativeTables(inMemory);
        role = await open(log, tables, checkpoints);
      }
      expect(restarts).toBeGreaterThan(2);
      const endMs = Math.max(...role.core.sources.map((source) => source.watermark.largestMs));
      expect(differences(tables, oracle, endMs)).toEqual([]);
      const { user, item, userCategory } = tables.aggregates;
      for (const { usage } of [user!, item!, userCategory!, tables.recent]) {
        expect(usage.evicted).toBe(0);
        expect(usage.broughtBack > 10).toBe(inMemory < rows);
      }
    },
  );

  test("a checkpoint that was written while the role went on restores the same state", async () => {
    const { log, oracle } = await fill(23);
    const crowded = () => nativeTables(7);
    const checkpoints = new SnapshotCheckpoints({
      ...{ files: memoryFileSystem(), directory: "c", definitionHash: "d" },
      ...{ clock: new ManualClock(startMs), report: expect.unreachable },
    });
    let role = await open(log, crowded(), checkpoints);
    while (role.core.sequence < 300) await role.step();
    const begun = role.core.sequence;
    const saving = role.checkpoint();
    let saved = false;
    void saving.then(() => {
      saved = true;
    });
    while (!saved) await role.step();
    const ahead = role.core.sequence - begun;
    const tables = crowded();
    role = await open(log, tables, checkpoints);
    expect(role.core.sequence).toBe(begun);
    expect(ahead).toBeGreaterThan(100);
    while ((await role.step()) > 0);
    const endMs = Math.max(...role.core.sources.map((source) => source.watermark.largestMs));
    expect(differences(tables, oracle, endMs)).toEqual([]);
  });

  test("a checkpoint of another version is passed over, and said so", async () => {
    const { log, oracle } = await fill(24);
    const checkpoints = new MemoryCheckpointStore();
    await checkpoints.save([{ name: "meta", bytes: utf8('{"version":5}') }], []);
    const tables = nativeTables();
    const said: string[] = [];
    const warn = (text: string) => void said.push(text);
    const role = await open(log, tables, checkpoints, { warn });
    expect(said).toEqual([expect.stringContaining("another version")]);
    while ((await role.step()) > 0);
    const endMs = Math.max(...role.core.sources.map((source) => source.watermark.largestMs));
    expect(differences(tables, oracle, endMs)).toEqual([]);
  });

  test("a start that read much again writes a checkpoint; others come when due", async () => {
    const { log } = await fill(25);
    const checkpoints = new MemoryCheckpointStore();
    const often = { checkpointEveryRecords: 2_000 };
    const role = await open(log, nativeTables(), checkpoints, often);
    while ((await role.step()) > 0);
    const saved = (saves: number) => until("a save", 30_000, () => checkpoints.saves === saves);
    // While it was behind none was due, though 2,000 had been read.
    expect(role.core.sequence).toBe(2_650);
    await saved(1);
    for (let saves = 1; saves < 3; saves++) {
      const due = role.core.sequence + 2_000;
      while (role.core.sequence < due) {
        expect(checkpoints.saves).toBe(saves);
        const events = fakeEvents(new Random(26), { ...shape, records: 500 });
        await log.append("events", 0, encodeAll(events));
        while ((await role.step()) > 0);
      }
      await saved(saves + 1);
    }
  });
});
