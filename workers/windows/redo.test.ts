import { expect, test } from "bun:test";
import { ManualClock } from "../../models/core/clock.ts";
import { Random } from "../../models/core/random.ts";
import definition from "../../models/definition/default.ts";
import { limits } from "../../models/limits.ts";
import { MemoryCheckpointStore } from "../stores/checkpoint-store.ts";
import { decodeCommit } from "../stores/commit-record.ts";
import { FakeEventLog } from "../stores/event-log.fake.ts";
import { recordOf } from "../stores/event-log.ts";
import { encodeAll, encodeSlates, fakeEvents, fakeServed } from "./stream.fake.ts";
import { fakeTables } from "./tables.fake.ts";
import { WindowsCore } from "./windows.ts";
import { WindowsRole } from "./worker.ts";

const startMs = Date.UTC(2026, 2, 1, 12);
const recentLength = 5;

async function filledLog(random: Random): Promise<FakeEventLog> {
  const shape = { records: 600, users: 9, items: 30, types: 6, startMs, gapMs: 900 };
  const log = new FakeEventLog();
  await log.append("events", 0, encodeAll(fakeEvents(random, shape)));
  const slates = Array.from({ length: 80 }, (_, i) =>
    fakeServed({ user: i % 9, items: [i % 30, 3], timeMs: startMs + 6_000 * i, request: `s${i}` }),
  );
  await log.append("served", 0, encodeSlates(slates));
  return log;
}

function makeRole(log: FakeEventLog, checkpoints: MemoryCheckpointStore, readBytes: number) {
  const tables = fakeTables(definition.windows, { recentLength });
  const core = new WindowsCore({
    ...{ definition, tables, recentLength },
    partitions: { events: 1, served: 1 },
    maxDisorderMs: limits.maxDisorderMs,
  });
  const options = { log, core, clock: new ManualClock(startMs), checkpoints, readBytes };
  return { tables, open: () => WindowsRole.open(options) };
}

/** Every row with the offset that it has taken in. */
function rowsOf({ tables }: ReturnType<typeof makeRole>): string {
  const { user, item, category, userCategory } = tables;
  const counters = [user, item, category, userCategory].map(({ rows }) =>
    [...rows].map(([row, cells]) => [row, [...cells].sort()]).sort(),
  );
  return JSON.stringify([counters, [...tables.recent.rows].sort()]);
}

test("after a restart every record has the sequence number that it had", async () => {
  const log = await filledLog(new Random(31));
  const checkpoints = new MemoryCheckpointStore();
  const first = makeRole(log, checkpoints, 2_000);
  const before = await first.open();
  for (let step = 0; (await before.step()) > 0; step++) if (step === 3) await before.checkpoint();
  const want = rowsOf(first);
  // Other sizes would interleave the topics otherwise.
  for (const store of [checkpoints, new MemoryCheckpointStore()]) {
    const again = makeRole(log, store, 50_000);
    const role = await again.open();
    while (!role.caughtUp) await role.step();
    expect(rowsOf(again)).toBe(want);
    expect(role.core.sequence).toBe(before.core.sequence);
  }
});

test("commits say which records were taken in, without a gap", async () => {
  const log = await filledLog(new Random(32));
  const role = await makeRole(log, new MemoryCheckpointStore(), 3_000).open();
  while (!role.caughtUp) await role.step();
  const batch = await log.read("commits", 0, 0, 1 << 20);
  const next = { events: 0, served: 0 };
  let sequence = 0;
  for (let i = 0; i < batch.count; i++) {
    const commit = decodeCommit(recordOf(batch, i));
    const topic = commit.topic === "events" ? "events" : "served";
    expect(commit.first).toBe(next[topic]);
    expect(commit.sequence).toBe(sequence);
    next[topic] += commit.count;
    sequence += commit.count;
  }
  expect(next.events).toBe(log.endOffset("events", 0));
  expect(next.served).toBe(log.endOffset("served", 0));
});

test("a refused commit takes nothing in, and is tried again", async () => {
  const log = await filledLog(new Random(33));
  const { open } = makeRole(log, new MemoryCheckpointStore(), 50_000);
  const role = await open();
  log.failing = "commits";
  expect(role.step()).rejects.toThrow("before the commit");
  expect(role.core.sequence).toBe(0);
  log.failing = null;
  while (!role.caughtUp) await role.step();
  expect(role.core.sequence).toBe(log.endOffset("events", 0) + log.endOffset("served", 0));
});
