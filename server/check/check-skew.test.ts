import { expect, test } from "bun:test";
import { viewOf } from "../../models/core/bytes.ts";
import { eventAt } from "../../models/core/event.ts";
import definition from "../../models/definition/default.ts";
import { scopeNames } from "../../models/definition/define.ts";
import aggregates from "../../models/definition/examples/aggregates.ts";
import { featureCatalog } from "../../models/features/catalog.ts";
import { decodeServed, encodeServed, type ServedRecord } from "../../models/training/served.ts";
import type { EventLog, LogBatch, Topic } from "../../workers/stores/event-log.ts";
import { recordOf } from "../../workers/stores/event-log.ts";
import { checkSkew } from "./check-skew.ts";
import type { ReadableLog } from "./ordered-log.ts";
import { serveVirtually } from "./virtual-hour.ts";

/** The log with some records replaced. */
function changed(
  log: EventLog,
  topic: Topic,
  change: (record: Uint8Array, at: number) => Uint8Array,
) {
  const read: ReadableLog["read"] = async (of, partition, offset, maxBytes) => {
    const batch = await log.read(of, partition, offset, maxBytes);
    if (of !== topic) return batch;
    const records = Array.from({ length: batch.count }, (_, i) =>
      change(recordOf(batch, i), batch.firstOffset + i),
    );
    return batchOf(batch.firstOffset, records);
  };
  return {
    read,
    partitions: (of: Topic) => log.partitions(of),
    startOffset: (of: Topic, partition: number) => log.startOffset(of, partition),
    endOffset: (of: Topic, partition: number) => log.endOffset(of, partition),
  };
}

function batchOf(firstOffset: number, records: readonly Uint8Array[]): LogBatch {
  const bounds = new Uint32Array(records.length + 1);
  records.forEach((record, i) => {
    bounds[i + 1] = bounds[i]! + record.length;
  });
  const data = new Uint8Array(Buffer.concat(records));
  return { firstOffset, count: records.length, data, bounds };
}

/** One served record, changed. */
function slate(log: EventLog, offset: number, change: (record: ServedRecord) => ServedRecord) {
  return changed(log, "served", (record, at) =>
    at === offset ? encodeServed(change(decodeServed(record))) : record,
  );
}

test("what was served follows from the log of each partition of users", async () => {
  const traffic = { seed: 4, minutes: 2, users: 60, items: 200, rate: 3, partitions: 3 };
  await serveVirtually(traffic, async (log) => {
    const skew = (of: ReadableLog) => checkSkew({ log: of, definition, slatesAtOnce: 120 });
    const good = await skew(log);
    expect(good.differences.shown).toEqual([]);
    expect(good.differing + good.unexplained + good.unsettled).toBe(0);
    expect(good.rows).toBeGreaterThan(1_500);
    const all = log.partitions("events");
    for (let partition = 0; partition < all; partition++) {
      expect(log.endOffset("events", partition)).toBeGreaterThan(50);
      expect(log.endOffset("commits", partition)).toBeGreaterThan(5);
    }

    // A part of an item's row in another partition than the user's.
    const part = slate(log, 30, (record) => {
      const at = record.itemOffsets.findLastIndex((offset) => offset >= 0);
      const itemOffsets = record.itemOffsets.map((offset, i) => (i === at ? offset - 1 : offset));
      return { ...record, itemOffsets };
    });
    expect((await skew(part)).differing).toBeGreaterThan(0);
  });
}, 60_000);

test("what was served follows from the log, and what does not is found", async () => {
  const traffic = { seed: 3, minutes: 2, users: 60, items: 200, rate: 3 };
  await serveVirtually(traffic, async (log) => {
    const skew = (of: ReadableLog) => checkSkew({ log: of, definition, slatesAtOnce: 120 });
    const good = await skew(log);
    expect(good.differences.shown).toEqual([]);
    expect(good.differing + good.unexplained + good.unsettled).toBe(0);
    expect(good.rows).toBeGreaterThan(2_000);
    expect(good.values).toBeGreaterThan(30 * good.rows);

    const item = slate(log, 150, (record) => {
      record.itemDense[3]! += 1e-3;
      return record;
    });
    expect((await skew(item)).differing).toBe(1);
    const user = slate(log, 151, (record) => {
      record.userDense[2]! += 1e-3;
      return record;
    });
    expect((await skew(user)).differing).toBe(10);
    const offset = slate(log, 152, (record) => ({ ...record, userOffset: record.userOffset - 1 }));
    expect((await skew(offset)).differing).toBeGreaterThan(0);
    const late = slate(log, 153, (record) => ({ ...record, asOfMs: record.asOfMs + 600_000 }));
    expect((await skew(late)).differing).toBeGreaterThan(0);

    // An event that the windows saw as a click: its user's and its item's later rows differ.
    const event = changed(log, "events", (record) => {
      const copy = record.slice();
      const isClick = copy[eventAt.type] === 1 && viewOf(copy).getUint32(eventAt.userRow, true) < 3;
      if (isClick) copy[eventAt.type] = 2;
      return copy;
    });
    expect((await skew(event)).differing).toBeGreaterThan(5);
  });
}, 60_000);

test("the same of aggregates, and of the scope for all, merged over partitions", async () => {
  const traffic = { seed: 4, minutes: 2, users: 60, items: 200, rate: 3, partitions: 2 };
  await serveVirtually({ ...traffic, definition: aggregates }, async (log) => {
    const skew = (of: ReadableLog) => checkSkew({ log: of, definition: aggregates });
    const good = await skew(log);
    expect(good.differences.shown).toEqual([]);
    expect(good.differing + good.unexplained + good.unsettled).toBe(0);
    expect(good.rows).toBeGreaterThan(1_000);

    // They were no zeros, and a changed one is found.
    const last = log.endOffset("served", 0) - 1;
    const batch = await log.read("served", 0, last, 1);
    const { userDense } = decodeServed(recordOf(batch, 0));
    const { userNames } = featureCatalog(aggregates);
    const names = ["global.clickDecayed6h", "global.1h.watchMax", "global.1h.usersClicked"];
    for (const name of names) {
      const at = userNames.indexOf(name);
      expect(userDense[at]!).toBeGreaterThan(0.5);
      const wrong = slate(log, last, (record) => {
        record.userDense[at]! += 1e-3;
        return record;
      });
      expect((await skew(wrong)).differing).toBeGreaterThan(9);
    }
    const offsets = slate(log, last, (record) => {
      // No update has it: one before may be of the same row.
      record.reads!.aggregateOffsets[scopeNames.indexOf("global")]![0]! -= 0.5;
      return record;
    });
    expect((await skew(offsets)).differing).toBeGreaterThan(9);
  });
}, 60_000);
