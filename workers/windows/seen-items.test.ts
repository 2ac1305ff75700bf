import { expect, test } from "bun:test";
import { Random } from "../../models/core/random.ts";
import definition from "../../models/definition/default.ts";
import { SequenceTable } from "../../native/index.ts";
import { inMemory, wholeOf } from "../stores/checkpoint-store.ts";
import type { LogBatch } from "../stores/event-log.ts";
import { restoreWindows, saveWindows } from "./checkpoint.ts";
import { encodeAll, encodeSlates, fakeEvents, fakeServed } from "./stream.fake.ts";
import { fakeTables } from "./tables.fake.ts";
import { WindowsCore } from "./windows.ts";

const [click, timeMs] = [1, Date.UTC(2026, 2, 1)];

function make() {
  const seen = SequenceTable.create({ rows: 100, length: 8, words: 1 });
  const tables = fakeTables(definition.windows, { recentLength: 50 });
  const partitions = { events: 1, served: 1 };
  return { seen, core: new WindowsCore({ definition, tables, partitions, seen }) };
}

function seenBy(table: SequenceTable, user: number): number[] {
  const out = new Uint32Array(8);
  return [...out.subarray(0, table.read(user, out))];
}

function batchOf(records: readonly Uint8Array[], firstOffset: number): LogBatch {
  const ends = records.map((_, i) =>
    records.slice(0, i + 1).reduce((sum, record) => sum + record.length, 0),
  );
  const data = new Uint8Array(Buffer.concat(records));
  return { firstOffset, count: records.length, data, bounds: Uint32Array.of(0, ...ends) };
}

function feed(core: WindowsCore): void {
  const [event] = fakeEvents(new Random(1), {
    ...{ records: 1, users: 1, items: 1, startMs: timeMs, gapMs: 1 },
    types: definition.interactions.length,
  });
  const one = (id: number, itemRow: number, request: number) => ({
    ...{ ...event!, type: click, userRow: 3, itemRow, timeMs, receivedMs: timeMs },
    id: [id, 0, 0, 9] as const,
    requestId: [request, 0, 0, 0] as const,
  });
  const events = [one(1, 7, 0), one(2, 7, 0), one(3, 8, 5), one(4, 9, 0)];
  core.apply(core.sources[0]!, batchOf(encodeAll(events), 0));
}

test("what follows no slate is noted once; a slate only while the log is replayed", () => {
  const { seen, core } = make();
  feed(core);
  expect(seenBy(seen, 3)).toEqual([7, 9]);
  const slate = (request: string, offset: number) =>
    batchOf(encodeSlates([fakeServed({ user: 3, items: [20, 21], timeMs, request })]), offset);
  core.apply(core.sources[1]!, slate("a", 0));
  expect(seenBy(seen, 3)).toEqual([7, 9, 20, 21]);
  core.seen!.replaying = false;
  core.apply(core.sources[1]!, slate("b", 1));
  expect(seenBy(seen, 3)).toEqual([7, 9, 20, 21]);
});

test("what a user was shown before he had a row is noted as he reports it, nothing twice", () => {
  const { seen, core } = make();
  core.seen!.replaying = false;
  seen.push(3, Uint32Array.of(5), -1);
  for (const item of [5, 6, 7, 6]) core.seen!.shown(3, item);
  core.seen!.flush();
  expect(seenBy(seen, 3)).toEqual([5, 6, 7]);
  // A full list is not a new user's: what he is shown was noted as it left.
  for (let item = 10; item < 18; item++) seen.push(3, Uint32Array.of(item), -1);
  core.seen!.shown(3, 99);
  core.seen!.flush();
  expect(seenBy(seen, 3)).toEqual([10, 11, 12, 13, 14, 15, 16, 17]);
});

test("a checkpoint brings it back", () => {
  const { core } = make();
  feed(core);
  const sections = new Map(saveWindows(core).map(({ name, bytes }) => [name, wholeOf(bytes)]));
  const again = make();
  restoreWindows(again.core, inMemory(sections));
  expect(seenBy(again.seen, 3)).toEqual([7, 9]);
});
