import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../models/core/clock.ts";
import type { EventRecord } from "../../models/core/event.ts";
import { Random } from "../../models/core/random.ts";
import definition from "../../models/definition/default.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { readSequenceTime } from "../../models/features/sequence-record.ts";
import { paneEndMs } from "../../models/features/window.ts";
import type { ServedRecord } from "../../models/training/served.ts";
import { MemoryCheckpointStore } from "../stores/checkpoint-store.ts";
import { FakeEventLog } from "../stores/event-log.fake.ts";
import {
  encodeAll,
  encodeSlates,
  fakeEvents,
  fakeServed,
  type StreamOptions,
} from "./stream.fake.ts";
import { type FakePaneTable, type FakeTables, fakeTables } from "./tables.fake.ts";
import { WindowsOracle } from "./windows.oracle.ts";
import { WindowsCore } from "./windows.ts";
import { WindowsRole } from "./worker.ts";

const recentLength = 50;
const marks = { maxDisorderMs: 30_000, futureLeadMs: 60_000 };
const startMs = Date.UTC(2026, 2, 1);
const shape: StreamOptions = {
  records: 3_000,
  users: 12,
  items: 30,
  types: definition.interactions.length,
  startMs,
  gapMs: 400,
};
const perImpression: RecommenderDefinition = { ...definition, negatives: "impression" };

function makeCore(of: RecommenderDefinition, partitions: { events: number; served: number }) {
  const tables = fakeTables(of.windows, { recentLength });
  const options = { definition: of, tables, partitions, ...marks };
  return { tables, core: new WindowsCore({ ...options, dedupIdsMax: 10_000 }) };
}

function slates(random: Random, count: number): ServedRecord[] {
  let timeMs = startMs;
  return Array.from({ length: count }, (_, i) => {
    timeMs += random.exponential((shape.records * shape.gapMs) / count);
    const items = Array.from({ length: random.int(6) }, () => random.int(shape.items));
    return fakeServed({ user: random.int(shape.users), items, timeMs, request: `s${i}` });
  });
}

function tableRow(table: FakePaneTable, row: number, asOfMs: number): number[] {
  const windows = [...definition.windows, null];
  return windows.flatMap((_, w) =>
    definition.interactions.map((__, counter) => table.value(row, w, counter, asOfMs)),
  );
}

/** Rows whose counters differ from the oracle's at a time, over all scopes. */
function differences(tables: FakeTables, oracle: WindowsOracle, asOfMs: number): string[] {
  const wrong: string[] = [];
  const check = (scope: "user" | "item" | "category" | "userCategory", at: number, row: string) => {
    const got = tableRow(tables[scope], at, asOfMs).join();
    const want = oracle.read(scope, row, asOfMs).join();
    if (got !== want) wrong.push(`${scope} ${row} at ${asOfMs}: ${got} instead of ${want}`);
  };
  for (let row = 0; row < shape.users; row++) check("user", row, `${row}`);
  for (let row = 0; row < shape.items; row++) check("item", row, `${row}`);
  for (let row = 0; row < 23; row++) check("category", row, `${row}`);
  for (const [key, row] of tables.pairs.rows) check("userCategory", row, key);
  return wrong;
}

function recentOf(tables: FakeTables, userRow: number) {
  const out = new Uint32Array(recentLength * 4);
  const count = tables.recent.read(userRow, out);
  return Array.from({ length: count }, (_, i) => ({
    itemRow: out[4 * i],
    type: out[4 * i + 1],
    timeMs: readSequenceTime(out, i),
  }));
}

async function fill(log: FakeEventLog, events: EventRecord[], served: ServedRecord[]) {
  const partitions = log.partitions("events");
  for (let p = 0; p < partitions; p++) {
    const own = events.filter((event) => event.userRow % partitions === p);
    await log.append("events", p, encodeAll(own));
  }
  await log.append("served", 0, encodeSlates(served));
}

describe("windows", () => {
  test("equal the oracle at every pane end the watermark passes, one event at a time", async () => {
    const { core, tables } = makeCore(perImpression, { events: 1, served: 1 });
    const oracle = new WindowsOracle({ definition: perImpression, ...marks });
    const log = new FakeEventLog();
    const events = fakeEvents(new Random(11), { ...shape, records: 1_500 });
    let paneEnds = 0;
    let nextEnd = 0;
    for (const [i, event] of events.entries()) {
      await log.append("events", 0, encodeAll([event]));
      const [source] = core.sources;
      if (source === undefined) throw new Error("no source");
      core.apply(source, await log.read("events", 0, i, 1));
      oracle.event("events", event);
      expect(source.watermark.valueMs).toBe(oracle.watermarkMs("events"));
      if (source.watermark.valueMs < nextEnd) continue;
      if (paneEnds++ % 8 === 0) expect(differences(tables, oracle, nextEnd - 1)).toEqual([]);
      nextEnd = paneEndMs(source.watermark.valueMs, 10_000);
    }
    expect(paneEnds).toBeGreaterThan(50);
    expect(core.counts.duplicates).toBe(oracle.duplicates);
    expect(core.counts.late).toBe(oracle.late);
    expect(core.counts.late).toBeGreaterThan(10);
    expect(core.counts.future).toBe(1);
  });

  test("do not depend on how batches are cut", async () => {
    const random = new Random(12);
    const events = fakeEvents(random, shape);
    const served = slates(random, 200);
    const oracle = new WindowsOracle({ definition, ...marks });
    for (const event of events) oracle.event(`e${event.userRow % 3}`, event);
    for (const record of served) oracle.served("s", record);
    for (const readBytes of [1, 700, 1 << 20]) {
      const log = new FakeEventLog({ events: 3 });
      await fill(log, events, served);
      const { core, tables } = makeCore(definition, { events: 3, served: 1 });
      const clock = new ManualClock(startMs);
      const role = await WindowsRole.open({ log, core, clock, checkpoints: null, readBytes });
      while ((await role.step()) > 0);
      const endMs = Math.max(...core.sources.map((source) => source.watermark.largestMs));
      expect(differences(tables, oracle, endMs)).toEqual([]);
      expect(differences(tables, oracle, endMs - 1_800_000)).toEqual([]);
      expect(core.counts.late).toBe(oracle.late);
    }
  });

  test("keep each user's recent interactions in event-time order", async () => {
    const { core, tables } = makeCore(definition, { events: 1, served: 1 });
    const oracle = new WindowsOracle({ definition, ...marks });
    const log = new FakeEventLog();
    const events = fakeEvents(new Random(13), shape);
    await fill(log, events, []);
    for (const event of events) oracle.event("e", event);
    const clock = new ManualClock(startMs);
    const role = await WindowsRole.open({ log, core, clock, checkpoints: null });
    while ((await role.step()) > 0);
    for (let user = 0; user < shape.users; user++) {
      expect(recentOf(tables, user)).toEqual(oracle.recent(user, recentLength));
    }
  });

  test("stop and restart anywhere leave the same state", async () => {
    const random = new Random(14);
    const events = fakeEvents(random, { ...shape, records: 1_500 });
    const served = slates(random, 200);
    const states: string[] = [];
    for (const restartShare of [0, 0.1, 0.3]) {
      const log = new FakeEventLog({ events: 2 });
      await fill(log, events, served);
      const checkpoints = new MemoryCheckpointStore();
      const clock = new ManualClock(startMs);
      const open = async () => {
        const made = makeCore(definition, { events: 2, served: 1 });
        const options = { log, core: made.core, clock, checkpoints, readBytes: 9_000 };
        return { ...made, role: await WindowsRole.open(options) };
      };
      let running = await open();
      while ((await running.role.step()) > 0) {
        // A crash loses everything after the last checkpoint.
        if (random.next() < 0.4) await running.role.checkpoint();
        if (random.next() < restartShare) running = await open();
      }
      const { tables, core } = running;
      const rows = [tables.user, tables.item, tables.category].map((table) =>
        [...table.rows].map(([row, cells]) => [row, [...cells].sort()]).sort(),
      );
      const pairs = [...tables.pairs.rows.keys()].sort().map((key) => {
        const row = tables.userCategory.rows.get(tables.pairs.rows.get(key) ?? -1) ?? new Map();
        return [key, [...row].filter(([cell]) => cell !== "applied").sort()];
      });
      states.push(JSON.stringify([rows, pairs, [...tables.recent.rows].sort(), core.counts]));
    }
    expect(states[1]).toBe(states[0]);
    expect(states[2]).toBe(states[0]);
  });

  test("a full pair table costs the pair counters and is counted", async () => {
    const tables = fakeTables(definition.windows, { recentLength, pairs: 3 });
    const partitions = { events: 1, served: 1 };
    const core = new WindowsCore({ definition, tables, partitions });
    const log = new FakeEventLog();
    await fill(log, fakeEvents(new Random(15), { ...shape, records: 200 }), []);
    const role = await WindowsRole.open({
      log,
      core,
      clock: new ManualClock(startMs),
      checkpoints: null,
    });
    while ((await role.step()) > 0);
    expect(tables.userCategory.rows.size).toBe(3);
    expect(core.counts.pairsRefused).toBeGreaterThan(50);
  });

  test("imported impressions count beside served slates, live ones do not", async () => {
    const { core, tables } = makeCore(definition, { events: 1, served: 1 });
    const log = new FakeEventLog();
    const [one] = fakeEvents(new Random(16), { ...shape, records: 1 });
    if (one === undefined) throw new Error("no event");
    const base = { ...one, type: 0, userRow: 1, itemRow: 5, timeMs: startMs };
    const imported = { ...base, receivedMs: startMs, requestId: [0, 0, 0, 0], id: [1, 0, 0, 1] };
    const live = { ...base, receivedMs: startMs + 40, id: [2, 0, 0, 1] };
    const events = [imported, live].map((event) => ({ ...event }) as unknown as EventRecord);
    await fill(log, events, [
      fakeServed({ user: 1, items: [5, 6], timeMs: startMs, request: "r" }),
    ]);
    const role = await WindowsRole.open({
      log,
      core,
      clock: new ManualClock(startMs),
      checkpoints: null,
    });
    while ((await role.step()) > 0);
    expect(tables.item.value(5, 0, 0, startMs)).toBe(2);
    expect(tables.user.value(1, 0, 0, startMs)).toBe(3);
    expect(core.counts.impressionsIgnored).toBe(1);
  });
});
