import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hash128 } from "../../models/core/bytes.ts";
import { encodeEvent } from "../../models/core/event.ts";
import { Random } from "../../models/core/random.ts";
import definition from "../../models/definition/default.ts";
import { encodeServed } from "../../models/training/served.ts";
import { systemClock } from "../../workers/system-clock.ts";
import { makeWindowsRole } from "../../workers/windows/make.ts";
import { fakeServed } from "../../workers/windows/stream.fake.ts";
import { openStorage, type Storage } from "../assembly/storage.ts";
import { checkState } from "./check-state.ts";

const directories: string[] = [];
afterEach(() => {
  for (const path of directories.splice(0)) rmSync(path, { recursive: true, force: true });
});

const warn = () => {};

async function withStorage<T>(dataDir: string, use: (storage: Storage) => Promise<T>): Promise<T> {
  const stores = { dataDir, eventLogUrl: "embedded:", durability: "async" as const };
  const storage = await openStorage({
    ...{ definition, ...stores, rankWorkers: 1, clock: systemClock, warn },
  });
  try {
    return await use(storage);
  } finally {
    await storage.close();
    storage.state.release();
  }
}

function newDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), "recmaster-check-"));
  directories.push(path);
  return path;
}

/** Events before and after their items' documents change, repeats, disorder, slates. */
async function live(storage: Storage, random: Random): Promise<void> {
  const { ingest, log } = storage;
  const nowMs = systemClock.nowMs();
  const item = () => `i${random.int(20)}`;
  for (let round = 0; round < 20; round++) {
    const events = Array.from({ length: 60 }, (_, i) => ({
      value: {
        id: `e${random.int(5) === 0 ? 7 : round * 100 + i}`,
        type: definition.interactions[random.int(definition.interactions.length)]?.name,
        ...{ user: `u${random.int(9)}`, item: item() },
        time: Math.floor(nowMs - (20 - round) * 20_000 - random.exponential(20_000)),
      },
    }));
    for (const { value } of events) if (value.type === "watch") Object.assign(value, { value: 9 });
    await ingest.events.ingest(events, null);
    const categories = [`c${random.int(5)}`, `c${random.int(5)}`];
    await ingest.documents.put("item", [{ id: item(), document: { title: "t", categories } }]);
    const timeMs = nowMs - (20 - round) * 20_000;
    const slate = { user: random.int(5), items: [random.int(10), 10 + random.int(5)], timeMs };
    const served = encodeServed(fakeServed({ ...slate, request: `r${round}` }));
    await log.append("served", 0, [served]);
  }
}

const check = (dataDir: string) =>
  withStorage(dataDir, (storage) => checkState({ storage, dataDir, warn }));

describe("check state", () => {
  test("what is rebuilt is what the log says, with and without a checkpoint", async () => {
    const dataDir = newDirectory();
    const random = new Random(3);
    for (const checkpointed of [false, true]) {
      await withStorage(dataDir, async (storage) => {
        await live(storage, random);
        if (!checkpointed) return;
        const { state, log } = storage;
        const parts = { definition, state, log, dataDir, clock: systemClock, warn };
        const role = await makeWindowsRole(parts);
        while (!role.caughtUp) await role.step();
        await role.close();
        await live(storage, random);
      });
      const report = await check(dataDir);
      expect(report.differences.shown).toEqual([]);
      expect(report.records.events).toBeGreaterThan(800);
      const rows = report.compared.map(({ rows: compared }) => compared);
      expect(rows.slice(0, -1).every((count) => count > 0)).toBe(true);
    }
  });

  test("an event that stands twice is found", async () => {
    const dataDir = newDirectory();
    await withStorage(dataDir, async ({ ingest, log }) => {
      await ingest.events.ingest(
        [{ value: { id: "a", type: "click", user: "u", item: "i" } }],
        null,
      );
      const again = { type: 1, userRow: 0, itemRow: 0, user: "u", item: "i", timeMs: 1, value: 0 };
      const id = hash128("a");
      const record = encodeEvent({ ...again, receivedMs: 1, id, requestId: [0, 0, 0, 0] });
      await log.append("events", 0, [record]);
    });
    const report = await check(dataDir);
    expect(report.differences.shown).toEqual([expect.stringContaining("twice")]);
  });

  test("a counter of a checkpoint that the log does not give is found", async () => {
    const dataDir = newDirectory();
    await withStorage(dataDir, async (storage) => {
      await live(storage, new Random(5));
      const { state, log } = storage;
      const role = await makeWindowsRole({
        ...{ definition, state, log, dataDir, clock: systemClock, warn },
      });
      while (!role.caughtUp) await role.step();
      const one = (value: number) => Uint32Array.of(value);
      state.partials[0]!.item.apply(
        {
          ...{ rows: one(3), counters: Uint8Array.of(1), deltas: one(1), count: 1 },
          ...{ times: Float64Array.of(0), offsets: Float64Array.of(-1), watermarkMs: 1e15 },
        },
        new Uint32Array(definition.windows.length),
      );
      await role.close();
    });
    const report = await check(dataDir);
    expect(report.differences.shown).toEqual([expect.stringMatching(/^item .* click \(total\)/)]);
  });
});
