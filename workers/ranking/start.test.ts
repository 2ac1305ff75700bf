import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "../../models/core/bytes.ts";
import { decodeServed } from "../../models/training/served.ts";
import { until } from "../loop.ts";
import { recordOf } from "../stores/event-log.ts";
import { openDocumentStore, openEventLog } from "../stores/open.ts";
import { systemClock } from "../system-clock.ts";
import { startRankingPool } from "./start.ts";
import { recommendOf } from "./testing/recommend-of.ts";
import { clicked, generationOf, publishModel, smallState } from "./testing/small-world.ts";

const dataDir = mkdtempSync(join(tmpdir(), "rec-ranking-"));
const faults = mkdtempSync(join(tmpdir(), "rec-faults-"));
process.env.REC_TEST_FAULTS = faults;
afterAll(() => {
  delete process.env.REC_TEST_FAULTS;
  for (const folder of [dataDir, faults]) rmSync(folder, { recursive: true });
});

test("real threads answer over shared state and record what they served", async () => {
  const items = 300;
  const topics = { events: 1, served: 2, samples: 1, items: 1 };
  const state = smallState(items);
  publishModel(state, 4);
  clicked(state, 1, [3, 4]);
  const log = openEventLog("embedded:", { dataDir, topics, durability: "async" });
  const documents = openDocumentStore({ dataDir });
  documents.apply([{ kind: "item", row: 0, id: "i0", json: '{"title":"Zero"}' }], 0);
  const pool = startRankingPool({
    workers: 2,
    state,
    work: {
      ...{ definitionPath: null, handles: state.handles, eventLogUrl: "embedded:", dataDir },
      ...{ topics, control: log.control, durability: "async", detailsPrefetch: true, seed: 1 },
      logRetention: {},
      engine: { kind: "native" },
    },
    releaseServed: (worker) => log.releaseWriter("served", worker),
    clock: systemClock,
  });
  await until("the threads are ready", 20_000, () => pool.ready);
  pool.publishGeneration(generationOf(items, 6));
  const ask = async (n: number) => {
    const request = recommendOf({ n, details: true, requestId: [0, 0, 0, n] });
    return JSON.parse(text(await pool.recommend(request, systemClock.nowMs() + 5_000)));
  };
  // A generation travels as a message, requests in a ring: the first answers may come without it.
  let early = 0;
  for (let arrived = false; !arrived; early += 2) {
    const both = await Promise.all([1, 1].map(ask));
    arrived = both.every(({ index }) => index === 6);
  }
  const answers = await Promise.all([3, 5, 7, 9].map(ask));
  for (const [i, answer] of answers.entries()) {
    expect(answer).toMatchObject({ model: 4, degraded: [] });
    expect(answer.items.length).toBe(3 + 2 * i);
    expect(answer.index).toBe(6);
  }
  let asked = early + 4;
  // The next thread of that number goes on with what a lost one wrote.
  writeFileSync(join(faults, "ranking-0"), "hang");
  await until("the thread is replaced", 20_000, () => pool.replaced === 1 && pool.ready);
  const before = log.endOffset("served", 0);
  for (; log.endOffset("served", 0) === before; asked += 2) {
    await Promise.all([1, 1].map(ask));
    await log.waitForMore("served", 0, before, 10);
  }
  await pool.stop(5_000);
  let served = 0;
  for (const partition of [0, 1]) {
    const batch = await log.read("served", partition, 0, 1 << 24);
    for (let i = 0; i < batch.count; i++) {
      const record = decodeServed(recordOf(batch, i));
      expect(record.items.length).toBe(record.requestId[3]);
      served++;
    }
  }
  expect(served).toBe(asked);
  const { counters } = state.metrics.read();
  const names = state.metrics.names.counters;
  expect(counters[names.indexOf("rec_ranking_served_records_total")]).toBe(asked);
  expect(counters[names.indexOf("rec_ranking_fallback_answers_total")]).toBe(0);
  expect(state.slots.oldestPinnedVersion()).toBe(4);
  documents.close();
  await log.close();
}, 30_000);
