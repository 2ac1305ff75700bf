import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../models/core/clock.ts";
import { RecError } from "../../models/core/errors.ts";
import { decodeDocument } from "../../models/core/event.ts";
import recommender from "../../models/definition/default.ts";
import { Deduplicator } from "./deduplicate.ts";
import { DocumentService } from "./documents.ts";
import {
  FakeApplied,
  FakeAttributes,
  FakeFresh,
  FakeIds,
  FakeLog,
  FakeMetrics,
  FakeStore,
} from "./fakes.ts";
import { EventIngest } from "./ingest.ts";
import { ItemMemory } from "./item-attributes.ts";
import { restore } from "./restore.ts";

function setUp(log = new FakeLog(), store = new FakeStore(), categoriesMax = 100) {
  const ids = { users: new FakeIds(), items: new FakeIds(), categories: new FakeIds() };
  const attributes = new FakeAttributes();
  const fresh = new FakeFresh();
  let left = 0;
  const memory = new ItemMemory({
    ...{ categories: ids.categories, categoriesMax, attributes, fresh },
    onFull: () => void left++,
  });
  const shared = { ...ids, log, clock: new ManualClock(1e12), metrics: new FakeMetrics() };
  const applied = new FakeApplied();
  const documents = new DocumentService({ ...shared, store, memory, applied });
  const deduplicator = new Deduplicator(1_000);
  const { interactions } = recommender;
  const ingest = new EventIngest({ ...shared, interactions, deduplicator });
  const whole = { point: null, report: () => {} };
  const replay = () => restore({ ...ids, log, store, memory, applied, deduplicator, ...whole });
  return { ...shared, attributes, fresh, store, documents, ingest, replay, leftOut: () => left };
}

const film = { title: "Film", categories: ["drama", "war"], publishedAt: 9e11, author: "a" };

describe("documents", () => {
  test("a put is durable, stored, and in shared memory", async () => {
    const { documents, log, attributes, fresh } = setUp();
    await documents.put("item", [{ id: "x", document: film }]);
    const records = log.records("items").map(decodeDocument);
    expect(records).toMatchObject([{ kind: "item", operation: "put", row: 0, id: "x" }]);
    expect(JSON.parse((await documents.get("item", "x")) ?? "")).toEqual({
      ...film,
      publishedAt: "1998-07-09T16:00:00.000Z",
    });
    const row = attributes.rows.get(0);
    expect(row).toMatchObject({ known: true, deleted: false, hidden: false, publishedAtMs: 9e11 });
    expect([...row!.categories]).toEqual([0, 1, -1, -1]);
    expect(Object.fromEntries(fresh.lists)).toEqual({ 0: [0], 1: [0], 2: [0] });
  });

  test("a repeated put is fresh once; after a delete it is fresh again", async () => {
    const { documents, attributes, fresh } = setUp();
    for (let i = 0; i < 3; i++) await documents.put("item", [{ id: "x", document: film }]);
    expect(fresh.lists.get(0)).toEqual([0]);
    expect(await documents.remove("item", "x")).toBe(true);
    expect(attributes.rows.get(0)).toMatchObject({ deleted: true, known: false });
    expect(await documents.get("item", "x")).toBe(null);
    expect(await documents.remove("item", "x")).toBe(false);
    await documents.put("item", [{ id: "x", document: { hidden: true } }]);
    expect(fresh.lists.get(0)).toEqual([0]);
    await documents.put("item", [{ id: "x", document: film }]);
    expect(fresh.lists.get(0)).toEqual([0, 0]);
  });

  test("a failed append changes nothing that can be seen", async () => {
    const { documents, log, attributes, categories } = setUp();
    log.failNext = new RecError("REC_LOG_FULL", "full");
    await expect(documents.put("item", [{ id: "x", document: film }])).rejects.toThrow("full");
    await documents.settle();
    expect(await documents.get("item", "x")).toBe(null);
    expect([attributes.rows.size, categories.size]).toEqual([0, 0]);
  });

  test("a full category table leaves the category out", async () => {
    const { documents, attributes, leftOut } = setUp(new FakeLog(), new FakeStore(), 1);
    await documents.put("item", [{ id: "x", document: film }]);
    expect(leftOut()).toBe(1);
    expect([...attributes.rows.get(0)!.categories]).toEqual([0, -1, -1, -1]);
  });
});

describe("restore", () => {
  test("gives every id its row, every item its attributes, and knows every event", async () => {
    const before = setUp(new FakeLog(2));
    const event = (user: string, item: string, id: string) => ({
      value: { type: "click", user, item, id },
    });
    await before.ingest.ingest([event("u1", "i1", "e1"), event("u2", "i2", "e2")], null);
    await before.documents.put("item", [{ id: "x", document: film }]);
    before.log.failNext = new RecError("REC_LOG_FULL", "full");
    await before.ingest.ingest([event("lost", "i1", "e3")], null).catch(() => undefined);
    await before.documents.put("user", [{ id: "u4", document: { country: "de" } }]);
    await before.documents.put("item", [{ id: "y", document: { categories: ["war", "noir"] } }]);
    await before.documents.remove("item", "x");

    const after = setUp(before.log, before.store);
    expect(await after.replay()).toEqual({ events: 2, documents: 4, users: 4, items: 4 });
    expect(after.users.ids).toEqual(["u1", "u2", "\u0000row 2", "u4"]);
    expect(after.items.ids).toEqual(before.items.ids);
    expect(after.categories.ids).toEqual(before.categories.ids);
    expect(after.attributes.rows).toEqual(before.attributes.rows);
    const again = await after.ingest.ingest(
      [event("u1", "i1", "e1"), event("u1", "i1", "e9")],
      null,
    );
    expect(again).toMatchObject({ accepted: 1, duplicates: 1 });
  });

  test("brings a store that is behind up to the topic", async () => {
    const before = setUp();
    await before.documents.put("item", [{ id: "x", document: film }]);
    const after = setUp(before.log, new FakeStore());
    await after.replay();
    expect(await after.documents.get("item", "x")).toBe(await before.documents.get("item", "x"));
    expect(after.store.appliedOffset()).toBe(1);
  });
});
