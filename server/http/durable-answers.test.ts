import { expect, test } from "bun:test";
import { utf8 } from "../../models/core/bytes.ts";
import { ManualClock } from "../../models/core/clock.ts";
import { decodeDocument, decodeEvent } from "../../models/core/event.ts";
import { Random } from "../../models/core/random.ts";
import recommender from "../../models/definition/default.ts";
import { recordOf } from "../../workers/stores/event-log.ts";
import { FaultyFileSystem } from "../../workers/stores/faulty-file-system.ts";
import { openDocumentStore, openEventLog } from "../../workers/stores/open.ts";
import { readAll } from "../../workers/stores/read-all.ts";
import { smallState } from "../check/simulation/simulated-server.ts";
import { createIngest } from "../ingest/create-ingest.ts";
import { FakeMetrics } from "../ingest/fakes.ts";
import { callOf, fakeDoor } from "./fake-ports.ts";

const topics = { events: 1, items: 1 } as const;

/** The door over real ingest and a real log on a disk with sectors; `steps` is what happened. */
function openDoor(disk: FaultyFileSystem, steps: string[], said: string[] = []) {
  const clock = new ManualClock(Date.UTC(2026, 0, 5, 8));
  const state = smallState(recommender);
  const store = openDocumentStore({ dataDir: null });
  const log = openEventLog("embedded:", {
    ...{ dataDir: "d", topics, fileSystem: disk, clock, lingerMs: 0 },
    trace: (step, { topic }, end) => void steps.push(`${step} ${topic} ${end}`),
    report: (text) => void said.push(text),
  });
  const ingest = createIngest({ definition: recommender, state, log, store, clock });
  const nothing = async () => utf8("[]");
  const { app } = fakeDoor({
    clock,
    ports: {
      ranking: { recommend: nothing, rank: nothing, similar: nothing, popular: nothing },
      models: { list: nothing, promote: nothing, rollback: nothing },
      readiness: () => ({ ready: true, waitingFor: [] }),
      ...{ exposition: () => "", status: () => ({}), metrics: new FakeMetrics() },
      ...{ ingest: ingest.events, documents: ingest.documents },
    },
  });
  const close = async () => {
    await ingest.settle();
    store.close();
    state.release();
  };
  return { app, close };
}

/** Ids that a start finds on the disk. */
async function foundOn(disk: FaultyFileSystem): Promise<Set<string>> {
  const report = () => {};
  const log = openEventLog("embedded:", { dataDir: "d", topics, fileSystem: disk, report });
  const found = new Set<string>();
  await readAll(log, { topic: "events", partition: 0, offset: 0 }, (batch) => {
    for (let i = 0; i < batch.count; i++) found.add(decodeEvent(recordOf(batch, i)).item);
  });
  await readAll(log, { topic: "items", partition: 0, offset: 0 }, (batch) => {
    for (let i = 0; i < batch.count; i++) found.add(decodeDocument(recordOf(batch, i)).id);
  });
  await log.close();
  return found;
}

/** Requests at once; the power goes the moment that one of them is answered with 2xx. */
async function loseAtAnswer(seed: number): Promise<{ answered: number; steps: string[] }> {
  const random = new Random(seed);
  const disk = new FaultyFileSystem(random.fork(), { failedSync: 0.05, tornWrite: 0.02 });
  const steps: string[] = [];
  const { app, close } = openDoor(disk, steps);
  const acknowledged: string[] = [];
  const loseAfter = 1 + random.int(6);
  let isOff = false;
  const running = Array.from({ length: 12 }, async (_, i) => {
    for (let turns = random.int(20); turns > 0; turns--) await null;
    const id = `x${i}`;
    const call =
      i % 3 === 0
        ? callOf("PUT", `/v1/items/${id}`, '{"title":"T"}')
        : callOf("POST", "/v1/events", JSON.stringify([{ type: "click", user: "u", item: id }]));
    const { status } = await app.fetch(call);
    steps.push(`answered ${i % 3 === 0 ? "items" : "events"} ${status}`);
    if (isOff || status >= 300) return;
    acknowledged.push(id);
    if (acknowledged.length < loseAfter) return;
    isOff = true;
    disk.rates = {};
    disk.losePower();
  });
  await Promise.all(running);
  await close();
  const found = await foundOn(disk);
  expect(acknowledged.filter((id) => !found.has(id))).toEqual([]);
  return { answered: acknowledged.length, steps };
}

test("a disk that is full or fails is answered with 503 until it takes writes again", async () => {
  const faults = [{ fullDisk: 1 }, { tornWrite: 1 }, { failedSync: 1 }];
  for (const [seed, rates] of faults.entries()) {
    const disk = new FaultyFileSystem(new Random(seed));
    const said: string[] = [];
    const { app, close } = openDoor(disk, [], said);
    const send = async (from: number) => {
      const events = [{ type: "click", user: "u", item: `x${from}`, id: `${from}` }];
      const answers = await Promise.all([
        app.fetch(callOf("POST", "/v1/events", JSON.stringify(events))),
        app.fetch(callOf("PUT", `/v1/items/y${from}`, '{"title":"T"}')),
      ]);
      const bodies = await Promise.all(answers.map((answer) => answer.text()));
      // Where the log stands is nobody's business.
      expect(bodies.filter((body) => body.includes("d/log"))).toEqual([]);
      return answers.map(({ status, headers }) => [status, headers.get("retry-after")]);
    };
    expect(await send(0)).toEqual([
      [200, null],
      [200, null],
    ]);
    disk.rates = rates;
    for (let i = 1; i <= 20; i++)
      expect(await send(i)).toEqual([
        [503, "1"],
        [503, "1"],
      ]);
    expect(said.map((text) => text.split(":")[0]).toSorted()).toEqual(
      ["events", "items"].map((topic) => `d/log/${topic}/0/0000000000000000.log`),
    );
    disk.rates = {};
    for (let i = 1; i <= 20; i++)
      expect(await send(i)).toEqual([
        [200, null],
        [200, null],
      ]);
    expect(said.filter((text) => text.endsWith("appends are taken again"))).toHaveLength(2);
    await close();
    disk.losePower();
    expect((await foundOn(disk)).size).toBe(42);
  }
});

test("no 2xx leaves before its sync: what was answered is there when the power goes", async () => {
  let answered = 0;
  for (let seed = 1; seed <= 60; seed++) {
    const run = await loseAtAnswer(seed);
    answered += run.answered;
    // And so says the trace: each topic's answers come after a sync of that topic.
    for (const topic of ["events", "items"]) {
      const first = run.steps.indexOf(`answered ${topic} 200`);
      const synced = run.steps.findIndex((step) => step.startsWith(`synced ${topic} `));
      if (first >= 0) expect(synced >= 0 && synced < first).toBe(true);
    }
  }
  expect(answered).toBeGreaterThan(100);
});
