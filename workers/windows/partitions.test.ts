import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "../../models/core/clock.ts";
import { encodeEvent } from "../../models/core/event.ts";
import { Random } from "../../models/core/random.ts";
import definition from "../../models/definition/default.ts";
import { isLate } from "../../models/features/window.ts";
import { limits } from "../../models/limits.ts";
import { encodeServed } from "../../models/training/served.ts";
import { createSharedState, type SharedState } from "../shared-state.ts";
import { recordOf, type TailedLog } from "../stores/event-log.ts";
import { memoryFileSystem } from "../stores/memory-file-system.ts";
import { openEventLog } from "../stores/open.ts";
import { partitionOfUser, servedLogPartition } from "../stores/partitions.ts";
import { readAll } from "../stores/read-all.ts";
import { decodeLate } from "./late-records.ts";
import { makeWindowsRole } from "./make.ts";
import { fakeEvents, fakeServed } from "./stream.fake.ts";
import { WindowsOracle } from "./windows.oracle.ts";
import type { WindowsRole } from "./worker.ts";

const partitions = 3;
const writers = 2;
const startMs = Date.UTC(2026, 2, 1);
const shape = { records: 2_000, users: 12, items: 30, types: 6, startMs, gapMs: 400 };
const capacities = { usersMax: 64, itemsMax: 64, categoriesMax: 32, userCategoryPairsMax: 512 };
/** Far fewer rows than there are, so that all leave memory and come back all the time. */
const crowded = { paneFullRowsMax: 3, rowsInMemoryMax: 3 };
const folder = mkdtempSync(join(tmpdir(), "recmaster-partitions-"));
const opened: { release(): void }[] = [];
let folders = 0;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

afterEach(() => {
  for (const state of opened.splice(0)) state.release();
});

/** A log by user, and what the windows' words say of it. */
async function fill(seed: number) {
  const random = new Random(seed);
  const fileSystem = memoryFileSystem();
  const byUser = {
    events: partitions,
    served: partitions * writers,
    commits: partitions,
    late: partitions,
  };
  const log = openEventLog("embedded:", {
    ...{ dataDir: "data", fileSystem, topics: byUser, durability: "async", lingerMs: 0 },
  });
  const oracle = new WindowsOracle({ definition, ...limits });
  const events = fakeEvents(random, shape);
  for (const event of events) {
    const partition = partitionOfUser(event.user, partitions);
    await log.append("events", partition, [encodeEvent(event)]);
    oracle.event(`events/${partition}`, event);
  }
  for (let i = 0; i < 150; i++) {
    const user = random.int(shape.users);
    const items = Array.from({ length: 5 }, () => random.int(shape.items));
    const timeMs = startMs + (i * shape.records * shape.gapMs) / 150;
    const slate = fakeServed({ user, items, timeMs, request: `s${i}` });
    const share = { partition: partitionOfUser(`u${user}`, partitions), partitions };
    const partition = servedLogPartition(i % writers, share);
    await log.append("served", partition, [encodeServed(slate)]);
    oracle.served(`served/${partition}`, slate);
  }
  const lastSlateMs = startMs + shape.records * shape.gapMs;
  const endMs = Math.max(lastSlateMs, ...events.map(({ receivedMs }) => receivedMs));
  return { log, fileSystem, oracle, endMs };
}

function newState(isCrowded: boolean): SharedState {
  const rowFilesIn = isCrowded ? join(folder, `${folders++}`) : null;
  const state = createSharedState(definition, {
    ...{ dataDir: null, rowFilesIn, modelFloats: 1, partitions },
    limits: { ...capacities, ...(isCrowded ? crowded : {}) },
  });
  for (let row = 0; row < shape.users; row++) state.users.intern(`u${row}`);
  opened.push(state);
  return state;
}

type Filled = Awaited<ReturnType<typeof fill>>;

/** The role of a partition, in a thread of its own: with its own writers of the log. */
async function openRole({ log, fileSystem }: Filled, state: SharedState, partition: number) {
  const topics = {
    events: partitions,
    served: partitions * writers,
    commits: partitions,
    late: partitions,
  };
  const own: TailedLog = openEventLog("embedded:", {
    ...{ dataDir: "data", fileSystem, topics, control: log.control },
    ...{ durability: "async", lingerMs: 0 },
  });
  const clock = new ManualClock(startMs);
  const parts = { definition, state, log: own, dataDir: "data", clock, warn: () => {}, partition };
  const role = await makeWindowsRole({ ...parts, files: fileSystem });
  return { role, own };
}

async function catchUp(role: WindowsRole): Promise<void> {
  while (!role.caughtUp) await role.step();
}

/** What readers see of every row of every scope, in the order of the oracle's words. */
function differences({ oracle, endMs: asOfMs }: Filled, state: SharedState): string[] {
  const wrong: string[] = [];
  const { user, item, category, userCategory } = state.windows;
  const out = new Uint32Array(user.width);
  const into = { out, offsets: null, waits: true };
  const check = (scope: "user" | "item" | "category" | "userCategory", row: string) => {
    const want = oracle.read(scope, row, asOfMs).join();
    if (out.join() !== want) wrong.push(`${scope} ${row}: ${out.join()} instead of ${want}`);
  };
  const scopes = [["user", user, shape.users] as const, ["item", item, shape.items] as const];
  for (const [scope, table, rows] of [...scopes, ["category", category, 23] as const]) {
    for (let row = 0; row < rows; row++) {
      table.read(Int32Array.of(row), 1, asOfMs, into);
      check(scope, `${row}`);
    }
  }
  for (let row = 0; row < shape.users; row++) {
    for (let c = 0; c < 23; c++) {
      userCategory.read({ userRow: row, categories: Int32Array.of(c), count: 1 }, asOfMs, into);
      check("userCategory", `${row}/${c}`);
    }
    const records = new Uint32Array(4 * state.recent.length);
    const count = state.recent.read(row, records, null, true);
    const items = Array.from({ length: count }, (_, i) => records[4 * i]);
    const want = oracle.recent(row, state.recent.length).map(({ itemRow }) => itemRow);
    if (items.join() !== want.join()) wrong.push(`recent of ${row}`);
  }
  return wrong;
}

describe.each([
  ["windows by partition", false],
  ["windows by partition whose rows find room in files", true],
])("%s", (_, isCrowded) => {
  test("sum to what the oracle says of all, whichever thread takes a partition in", async () => {
    const filled = await fill(41);
    const state = newState(isCrowded);
    for (let partition = 0; partition < partitions; partition++) {
      const { role } = await openRole(filled, state, partition);
      await catchUp(role);
      expect(role.core.counts.events).toBeGreaterThan(100);
    }
    expect(differences(filled, state)).toEqual([]);
    const rows = Int32Array.of(4);
    const offsets = new Float64Array(limits.logPartitionsMax).fill(-1);
    const out = new Uint32Array(state.windows.item.width);
    state.windows.item.read(rows, 1, startMs, { out, offsets, waits: true });
    expect(offsets.filter((offset) => offset >= 0)).toHaveLength(partitions);
    offsets.fill(-1);
    state.windows.user.read(rows, 1, startMs, { out, offsets, waits: true });
    expect(offsets.filter((offset) => offset >= 0)).toHaveLength(1);
  });

  test("one's death in the middle costs the others nothing and changes nothing", async () => {
    const filled = await fill(42);
    const random = new Random(42);
    const state = newState(isCrowded);
    const threads = await Promise.all(
      Array.from({ length: partitions }, (_, partition) => openRole(filled, state, partition)),
    );
    let deaths = 0;
    for (let step = 0; step < 60; step++) {
      const partition = random.int(partitions);
      await threads[partition]!.role.step();
      if (random.int(6) === 0) await threads[partition]!.role.checkpoint();
      if (random.int(5) > 0) continue;
      deaths++;
      const others = threads.filter((_, i) => i !== partition).map(({ role }) => role.core);
      const before = others.map(({ sequence }) => sequence);
      filled.log.releaseWriter("commits", partition);
      filled.log.releaseWriter("late", partition);
      threads[partition] = await openRole(filled, state, partition);
      expect(others.map(({ sequence }) => sequence)).toEqual(before);
    }
    expect(deaths).toBeGreaterThan(5);
    let late = 0;
    for (const [partition, { role, own }] of threads.entries()) {
      await catchUp(role);
      await role.close();
      // Each once, in order, whatever was replayed.
      const numbers: number[] = [];
      await readAll(own, { topic: "late", partition, offset: 0 }, (batch) => {
        for (let i = 0; i < batch.count; i++) {
          const { sequence, windows, timeMs, watermarkMs } = decodeLate(recordOf(batch, i));
          numbers.push(sequence);
          const missed = definition.windows.map(({ paneMs }) =>
            isLate(timeMs, paneMs, watermarkMs),
          );
          expect(definition.windows.map((_, w) => ((windows >> w) & 1) === 1)).toEqual(missed);
          expect(missed).toContain(true);
        }
      });
      expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
      expect(numbers.length).toBe(role.core.counts.late);
      late += numbers.length;
    }
    expect(late).toBeGreaterThan(10);
    expect(differences(filled, state)).toEqual([]);
    const { inMemory, broughtBack, evicted } = state.recent.usage;
    if (isCrowded) expect([inMemory, broughtBack > 100]).toEqual([3, true]);
    else expect([inMemory, broughtBack]).toEqual([shape.users, 0]);
    expect(evicted).toBe(0);
  });

  test("a checkpoint holds one partition's users: the others go on where they were", async () => {
    const filled = await fill(43);
    const state = newState(isCrowded);
    for (let partition = 0; partition < partitions; partition++) {
      const { role, own } = await openRole(filled, state, partition);
      await catchUp(role);
      await role.close();
      await own.close();
    }
    const again = newState(isCrowded);
    const { role } = await openRole(filled, again, 1);
    expect(role.caughtUp).toBe(true);
    const records = new Uint32Array(4 * again.recent.length);
    for (let row = 0; row < shape.users; row++) {
      const isOwn = partitionOfUser(`u${row}`, partitions) === 1;
      expect(again.recent.read(row, records, null, true) > 0).toBe(isOwn);
    }
  });
});
