import { expect, test } from "bun:test";
import { hash128, noId } from "../../models/core/bytes.ts";
import { ManualClock } from "../../models/core/clock.ts";
import { encodeEvent } from "../../models/core/event.ts";
import recommender from "../../models/definition/default.ts";
import { encodeServed } from "../../models/training/served.ts";
import { IdTable, SequenceTable } from "../../native/index.ts";
import type { FileSystem } from "../../workers/stores/file-system.ts";
import { memoryFileSystem } from "../../workers/stores/memory-file-system.ts";
import { openDocumentStore, openEventLog } from "../../workers/stores/open.ts";
import { fakeServed } from "../../workers/windows/stream.fake.ts";
import { Deduplicator } from "./deduplicate.ts";
import { DocumentService } from "./documents.ts";
import { FakeApplied, FakeAttributes, FakeMetrics } from "./fakes.ts";
import { EventIngest } from "./ingest.ts";
import { ItemMemory } from "./item-attributes.ts";
import { restore } from "./restore.ts";

/** Ingest on the real log and the real tables; `fileSystem` is what outlives the process. */
function open(fileSystem: FileSystem) {
  const topics = { events: 2, items: 1, served: 1 };
  const log = openEventLog("embedded:", { dataDir: "d", topics, fileSystem });
  const store = openDocumentStore({ dataDir: null });
  const table = () => IdTable.create({ capacity: 1_000, bytesMax: 1 << 16 });
  const ids = { users: table(), items: table(), categories: table() };
  const fresh = SequenceTable.create({ rows: 101, length: 8, words: 1 });
  const attributes = new FakeAttributes();
  const { categories } = ids;
  const memory = new ItemMemory({ categories, categoriesMax: 100, attributes, fresh });
  const deduplicator = new Deduplicator(1_000);
  const shared = { ...ids, log, clock: new ManualClock(1e12), metrics: new FakeMetrics() };
  const { interactions } = recommender;
  const ingest = new EventIngest({ ...shared, interactions, deduplicator });
  const applied = new FakeApplied();
  const documents = new DocumentService({ ...shared, store, memory, applied });
  const idsOf = (of: IdTable) => Array.from({ length: of.size }, (_, row) => of.id(row));
  const freshOf = (row: number) => {
    const out = new Uint32Array(8);
    return [...out.subarray(0, fresh.read(row, out))];
  };
  return {
    ...{ log, ingest, documents, attributes, freshOf },
    replay: () =>
      restore({ ...ids, log, store, memory, applied, deduplicator, point: null, report: () => {} }),
    ids: () => [ids.users, ids.items, ids.categories].map(idsOf),
    async close() {
      await log.close();
      store.close();
      for (const one of [...Object.values(ids), fresh]) one.release();
    },
  };
}

test("a process that starts again stands where the one before stood", async () => {
  const fileSystem = memoryFileSystem();
  const before = open(fileSystem);
  const send = (from: ReturnType<typeof open>, batch: number) =>
    from.ingest.ingest(
      Array.from({ length: 100 }, (_, i) => ({
        value: { type: "click", user: `u${i % 7}`, item: `é${batch}/${i}`, id: `${batch}/${i}` },
      })),
      null,
    );
  await send(before, 1);
  await before.documents.put("item", [
    { id: "new", document: { categories: ["war"] } },
    { id: "é1/5", document: { categories: ["war", "noir"], hidden: true } },
  ]);
  await before.documents.put("user", [{ id: "reader", document: { country: "de" } }]);
  await send(before, 2);
  const [ids, attributes, fresh] = [before.ids(), before.attributes.rows, before.freshOf(0)];
  await before.close();

  const after = open(fileSystem);
  expect(await after.replay()).toEqual({ events: 200, documents: 3, users: 8, items: 201 });
  expect(after.ids()).toEqual(ids);
  expect(after.attributes.rows).toEqual(attributes);
  expect(after.freshOf(0)).toEqual(fresh);
  expect(await after.documents.get("user", "reader")).toBe('{"country":"de"}');
  expect(await send(after, 2)).toMatchObject({ accepted: 0, duplicates: 100 });
  expect(await send(after, 3)).toMatchObject({ accepted: 100, duplicates: 0 });
  await after.close();
});

test("rows whose records were lost are filled with names that no client can send", async () => {
  const fileSystem = memoryFileSystem();
  const before = open(fileSystem);
  const times = { timeMs: 1e12, receivedMs: 1e12 };
  const words = { type: 1, value: 0, id: hash128("e"), requestId: noId };
  const third = { userRow: 2, user: "third", itemRow: 0, item: "i", ...times, ...words };
  await before.log.append("events", 0, [encodeEvent(third)]);
  await before.close();
  const after = open(fileSystem);
  await after.replay();
  expect(after.ids()[0]).toEqual(["\u0000row 0", "\u0000row 1", "third"]);
  await after.close();
});

test("a row that only a slate names is nobody else's after a crash", async () => {
  const fileSystem = memoryFileSystem();
  const before = open(fileSystem);
  const click = { type: "click", user: "first", item: "i", id: "1" };
  await before.ingest.ingest([{ value: click }], null);
  // The event that gave row 1 to its user and to its item did not reach the log.
  const slate = { user: 1, items: [0, 1], timeMs: 1e12, request: "r" };
  for (let i = 0; i < 600; i++) {
    const record = i === 500 ? slate : { ...slate, user: 0, items: [0] };
    await before.log.append("served", 0, [encodeServed(fakeServed(record))]);
  }
  await before.close();
  const after = open(fileSystem);
  await after.replay();
  expect(after.ids().slice(0, 2)).toEqual([
    ["first", "\u0000row 1"],
    ["i", "\u0000row 1"],
  ]);
  await after.close();
});
