import { expect, test } from "bun:test";
import { ManualClock } from "../../models/core/clock.ts";
import recommender from "../../models/definition/default.ts";
import { createSharedState } from "../../workers/shared-state.ts";
import {
  type CheckpointStore,
  MemoryCheckpointStore,
} from "../../workers/stores/checkpoint-store.ts";
import type { DocumentStore } from "../../workers/stores/document-store.ts";
import type { FileSystem } from "../../workers/stores/file-system.ts";
import { memoryFileSystem } from "../../workers/stores/memory-file-system.ts";
import { openDocumentStore, openEventLog } from "../../workers/stores/open.ts";
import { createIngest } from "./create-ingest.ts";

const topics = { events: 2, items: 1 } as const;
const retention = { sizeBytesMax: 1, heldBy: ["ingest"] as const };
const limits = { usersMax: 5_000, itemsMax: 5_000, categoriesMax: 50, userCategoryPairsMax: 100 };

/** What outlives a process: the files of the log, the checkpoints, the documents. */
interface Disk {
  readonly fileSystem: FileSystem;
  readonly checkpoints: CheckpointStore;
  readonly documents: () => DocumentStore;
}

function newDisk(): Disk {
  const store = openDocumentStore({ dataDir: null });
  const documents = () => ({
    ...{ apply: store.apply.bind(store), getMany: store.getMany.bind(store), close() {} },
    ...{ appliedOffset: store.appliedOffset.bind(store), sync: store.sync.bind(store) },
    all: store.all.bind(store),
  });
  return { fileSystem: memoryFileSystem(), checkpoints: new MemoryCheckpointStore(), documents };
}

async function open(disk: Disk, with_: { checkpoints?: CheckpointStore } = disk) {
  const { fileSystem } = disk;
  const said: string[] = [];
  const state = createSharedState(recommender, { dataDir: null, modelFloats: 16, limits });
  const log = openEventLog("embedded:", {
    ...{ dataDir: "d", topics, fileSystem, segmentBytes: 4_000 },
    retention: { events: retention, items: retention },
  });
  const parts = { definition: recommender, state, log, store: disk.documents() };
  const kept = with_.checkpoints === undefined ? {} : { checkpoints: with_.checkpoints };
  const ingest = createIngest({
    ...{ ...parts, ...kept, clock: new ManualClock(1e12), dedupIdsMax: 4_000 },
    ...{ categoriesMax: 50, report: (text: string) => void said.push(text) },
  });
  const restored = await ingest.restore();
  const crash = async () => {
    await log.close();
    state.release();
  };
  return { ingest, state, log, restored, said, crash };
}

type Opened = Awaited<ReturnType<typeof open>>;

const click = (n: number) => ({
  value: { type: "click", user: `u${n % 900}`, item: `i${n % 1_300}`, id: `e${n}` },
});

async function send({ ingest }: Opened, from: number, count: number) {
  return await ingest.events.ingest(
    Array.from({ length: count }, (_, i) => click(from + i)),
    null,
  );
}

/** Documents that come, change, hide, go and come back. */
async function change({ ingest }: Opened, round: number): Promise<void> {
  const puts = Array.from({ length: 40 }, (_, i) => ({
    id: `i${(round * 17 + i) % 200}`,
    document: { categories: [`c${(round + i) % 23}`, "all"], hidden: (round + i) % 7 === 0 },
  }));
  await ingest.documents.put("item", puts);
  for (let i = 0; i < 5; i++) await ingest.documents.remove("item", `i${(round * 31 + i) % 200}`);
}

/** Everything that a start rebuilds. */
function stateOf({ state }: Opened) {
  const { users, items, categories, fresh } = state;
  const names = [users, items, categories].map((table) => [...table.save(0, table.size)]);
  const rows = Int32Array.from({ length: items.size }, (_, row) => row);
  const attributes = new Uint8Array(rows.length * state.itemAttributes.table.rowBytes);
  state.itemAttributes.table.read(rows, rows.length, attributes);
  const lists = Array.from({ length: 1 + categories.size }, (_, row) => {
    const out = new Uint32Array(fresh.length);
    return [...out.subarray(0, fresh.read(row, out))];
  });
  return { names, attributes: [...attributes], lists };
}

async function filled(disk: Disk): Promise<Opened> {
  const server = await open(disk);
  for (let round = 0; round < 6; round++) {
    await send(server, round * 400, 400);
    await change(server, round);
    if (round === 3) await server.ingest.checkpoint();
  }
  return server;
}

test("a start from a checkpoint stands where a start from the whole log stands", async () => {
  const disk = newDisk();
  const before = await filled(disk);
  const expected = stateOf(before);
  const endOfItems = before.log.endOffset("items", 0);
  await before.crash();
  const whole = await open(disk, {});
  expect(whole.restored).toMatchObject({ events: 2_400, documents: endOfItems });
  expect(stateOf(whole)).toEqual(expected);
  await whole.crash();
  const saved = await open(disk);
  expect(saved.restored.events).toBe(800);
  expect(saved.restored.documents).toBeLessThan(endOfItems / 2);
  expect(stateOf(saved)).toEqual(expected);
  expect(saved.said).toEqual([]);
  // Events from before and behind the checkpoint are known, others are not.
  expect(await send(saved, 0, 2_400)).toMatchObject({ accepted: 0, duplicates: 2_400 });
  expect(await send(saved, 2_400, 10)).toMatchObject({ accepted: 10, duplicates: 0 });
  await saved.crash();
});

test("an event that was on its way at the checkpoint and refused may come again", async () => {
  const disk = newDisk();
  const before = await open(disk);
  await send(before, 0, 100);
  const append = before.log.append.bind(before.log);
  const first = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  const held = [first.promise, first.promise, second.promise, second.promise];
  before.log.append = async (...args) => {
    await held.shift();
    return await append(...args);
  };
  const kept = send(before, 100, 50);
  const saving = before.ingest.checkpoint();
  // Comes while the checkpoint waits for the first batch: its ids are in the tables it saves.
  const refused = send(before, 150, 50).catch(() => undefined);
  first.resolve();
  await Promise.all([kept, saving]);
  second.reject(new Error("no room"));
  await refused;
  await before.crash();
  const after = await open(disk);
  expect(after.restored.events).toBe(50);
  expect(await send(after, 0, 200)).toMatchObject({ accepted: 50, duplicates: 150 });
  await after.crash();
});

test("a log that lost its end goes on: what comes there is read by the next start", async () => {
  const disk = newDisk();
  const before = await open(disk);
  await send(before, 0, 300);
  await before.ingest.checkpoint();
  await before.crash();
  const shorter = { ...newDisk(), checkpoints: disk.checkpoints };
  const after = await open(shorter);
  expect(after.restored.events).toBe(0);
  await send(after, 1_000, 20);
  const names = stateOf(after).names;
  await after.crash();
  const again = await open(shorter);
  expect(again.restored.events).toBe(20);
  expect(stateOf(again).names).toEqual(names);
  await again.crash();
});

test("checkpoints hold what retention drops; a start without them says what is lost", async () => {
  const disk = newDisk();
  const before = await open(disk);
  for (let round = 0; round < 12; round++) {
    await send(before, round * 200, 200);
    await change(before, round);
    if (round % 3 === 2) await before.ingest.checkpoint();
  }
  const dropped = [0, 1].map((partition) => before.log.startOffset("events", partition));
  expect(Math.min(...dropped, before.log.startOffset("items", 0))).toBeGreaterThan(0);
  const expected = stateOf(before);
  await before.crash();
  const after = await open(disk);
  expect(stateOf(after)).toEqual(expected);
  expect(after.said).toEqual([]);
  await after.crash();
  const without = await open({ ...disk, documents: newDisk().documents }, {});
  expect(without.said.map((text) => text.split(" ")[0])).toEqual([
    "events/0",
    "events/1",
    "items/0",
  ]);
  await without.crash();
});
