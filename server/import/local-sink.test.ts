import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../models/core/clock.ts";
import { decodeEvent } from "../../models/core/event.ts";
import definition from "../../models/definition/default.ts";
import type { DocumentPut } from "../http/ports.ts";
import { Deduplicator } from "../ingest/deduplicate.ts";
import { FakeIds, FakeLog, FakeMetrics } from "../ingest/fakes.ts";
import { EventIngest } from "../ingest/ingest.ts";
import { ratingEvents } from "./identity.ts";
import { localSink } from "./local-sink.ts";

function setUp() {
  const log = new FakeLog();
  const stored: string[] = [];
  const documents = {
    put: async (kind: string, puts: readonly DocumentPut[]) => {
      for (const { id, document } of puts) {
        stored.push(`${kind} ${id} ${JSON.stringify(document)}`);
      }
    },
  };
  const ingest = new EventIngest({
    ...{ interactions: definition.interactions, users: new FakeIds(), items: new FakeIds(), log },
    ...{ deduplicator: new Deduplicator(1_000), clock: new ManualClock(Date.UTC(2026, 0, 1)) },
    metrics: new FakeMetrics(),
  });
  const sink = localSink({ ingest, documents, interactions: definition.interactions });
  return { sink, log, stored };
}

describe("the local sink", () => {
  test("history keeps its own time and is known the second time", async () => {
    const { sink, log } = setUp();
    const time = Date.UTC(1996, 2, 29);
    const events = ratingEvents({ user: "1", item: "7", time, value: 5 });
    expect(await sink.events(events)).toMatchObject({ accepted: 4, duplicates: 0 });
    expect(await sink.events(events)).toMatchObject({ accepted: 0, duplicates: 4 });
    const records = log.records("events").map(decodeEvent);
    const names = records.map(({ type }): string => definition.interactions[type]?.name ?? "");
    expect(names).toEqual(["impression", "click", "finish", "like"]);
    for (const { timeMs, receivedMs } of records)
      expect([timeMs, receivedMs]).toEqual([time, time]);
  });

  test("documents reach the store checked, their ids beside", async () => {
    const { sink, stored } = setUp();
    await sink.items([{ id: "7", title: "T", publishedAt: "1995-01-01T00:00:00Z" }]);
    await sink.users([{ id: "1", ageYears: 24 }]);
    expect(stored).toEqual([
      `item 7 {"title":"T","publishedAt":${Date.UTC(1995, 0, 1)}}`,
      'user 1 {"ageYears":24}',
    ]);
  });
});
