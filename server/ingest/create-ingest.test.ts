import { expect, test } from "bun:test";
import { ManualClock } from "../../models/core/clock.ts";
import { decodeEvent } from "../../models/core/event.ts";
import recommender from "../../models/definition/default.ts";
import { createSharedState } from "../../workers/shared-state.ts";
import { recordOf } from "../../workers/stores/event-log.ts";
import { memoryFileSystem } from "../../workers/stores/memory-file-system.ts";
import { openDocumentStore, openEventLog } from "../../workers/stores/open.ts";
import { localSink } from "../import/local-sink.ts";
import { createIngest } from "./create-ingest.ts";

const topics = { events: 1, items: 1 };
const small = { usersMax: 100, itemsMax: 100, categoriesMax: 10, userCategoryPairsMax: 100 };

function open() {
  const fileSystem = memoryFileSystem();
  const parts = {
    definition: recommender,
    state: createSharedState(recommender, { dataDir: null, modelFloats: 16, limits: small }),
    log: openEventLog("embedded:", { dataDir: "d", topics, fileSystem }),
    store: openDocumentStore({ dataDir: null }),
    clock: new ManualClock(Date.UTC(2026, 0, 1)),
    categoriesMax: small.categoriesMax,
  };
  return { ...parts, assembly: createIngest(parts) };
}

test("history in its own time and documents reach the log and shared memory", async () => {
  const { assembly, definition, state, log } = open();
  const { events: ingest, documents } = assembly;
  const sink = localSink({ ingest, documents, interactions: definition.interactions });
  await sink.items([
    { id: "x", title: "X", categories: ["war"], publishedAt: "1950-01-01T00:00:00Z" },
  ]);
  const time = Date.UTC(2001, 0, 1);
  const event = { id: "e", type: "click", user: "u", item: "x", time };
  expect(await sink.events([event])).toMatchObject({ accepted: 1, duplicates: 0 });
  expect(await sink.events([event])).toMatchObject({ accepted: 0, duplicates: 1 });
  await assembly.settle();
  const batch = await log.read("events", 0, 0, 1 << 20);
  expect(batch.count).toBe(1);
  const row = state.items.find("x");
  expect(decodeEvent(recordOf(batch, 0))).toMatchObject({
    timeMs: time,
    receivedMs: time,
    itemRow: row,
  });
  const fresh = new Uint32Array(512);
  expect([state.fresh.read(0, fresh), fresh[0]]).toEqual([1, row]);
  expect(state.fresh.read(1 + state.categories.find("war"), fresh)).toBe(1);
});
