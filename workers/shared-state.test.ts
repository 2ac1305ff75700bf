import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noRow } from "../models/core/bytes.ts";
import definition from "../models/definition/default.ts";
import { RowIndex } from "../models/layers/row-index.ts";
import { limits } from "../models/limits.ts";
import { attachSharedState, createSharedState, type SharedHandles } from "./shared-state.ts";
import { itemColumns } from "./stores/item-attributes.ts";

const dataDir = mkdtempSync(join(tmpdir(), "shared-state-"));
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

test("what one attachment writes, another sees, for every part", () => {
  const made = createSharedState(definition, { dataDir: null, modelFloats: 100 });
  const handles: SharedHandles = JSON.parse(JSON.stringify(made.handles));
  const seen = attachSharedState(handles);
  expect(seen.users.find("u")).toBe(-1);
  expect(made.users.intern("u")).toBe(0);
  expect(made.items.intern("i")).toBe(0);
  expect(seen.users.find("u")).toBe(0);
  expect(seen.items.id(0)).toBe("i");
  expect(seen.partials[0]?.pairs.internPair(0, 3)).toBe(0);
  made.recent.push(0, Uint32Array.of(1, 2, 3, 4), 9);
  const record = new Uint32Array(seen.recent.length * 4);
  expect(seen.recent.read(0, record)).toBe(1);
  expect([...record.subarray(0, 4)]).toEqual([1, 2, 3, 4]);
  expect(seen.windows.item.width).toBe(
    (definition.windows.length + 1) * definition.interactions.length,
  );
  made.metrics.add("rec_events_accepted_total", 3);
  expect(seen.metrics.read().counters[0]).toBe(3);
  expect(seen.slots.pin(0)).toBe(-1);
  expect(seen.trending.rows).toBe(seen.categories.size + 65_537);
  made.release();
  expect(() => seen.users.find("u")).toThrow("handle");
});

test("item attributes come back as columns", () => {
  const state = createSharedState(definition, { dataDir: null, modelFloats: 1 });
  const values = {
    categories: Int32Array.of(7, -1, 0, -1),
    publishedAtMs: 1_700_000_000_123,
    expiresAtMs: 1_800_000_000_456,
    durationSeconds: 12.5,
    hidden: true,
    deleted: false,
    known: true,
    authorHash: 0xdead_beef,
  };
  state.itemAttributes.write(5, values);
  const out = itemColumns(3);
  state.readAttributes(Int32Array.of(-1, 5, 6), 3, out);
  expect([...out.categories]).toEqual([-1, -1, -1, -1, 7, -1, 0, -1, -1, -1, -1, -1]);
  expect([...out.publishedAtMs]).toEqual([0, values.publishedAtMs, 0]);
  expect([...out.expiresAtMs]).toEqual([0, values.expiresAtMs, 0]);
  expect([...out.durationSeconds]).toEqual([0, 12.5, 0]);
  expect([...out.hidden, ...out.deleted, ...out.known]).toEqual([0, 1, 0, 0, 0, 0, 0, 1, 0]);
  expect([...out.authorHash]).toEqual([0, 0xdead_beef, 0]);
  const categories = new Int32Array(4);
  expect(state.itemAttributes.categoriesOf(5, categories)).toBe(2);
  expect([...categories.subarray(0, 2)]).toEqual([7, 0]);
  const many = new Int32Array(1_000).fill(5);
  const columns = itemColumns(1_000);
  state.readAttributes(many, 1_000, columns);
  expect(columns.authorHash.every((hash) => hash === 0xdead_beef)).toBe(true);
  state.release();
});

test("hashed ids of any number share the rows that the definition asks for", () => {
  const ranking = { ...definition.ranking, itemIds: { kind: "hashed", rows: 100 } } as const;
  const made = createSharedState({ ...definition, ranking }, { dataDir: null, modelFloats: 1 });
  const handles: SharedHandles = JSON.parse(JSON.stringify(made.handles));
  const state = attachSharedState(handles);
  expect([state.itemEmbeddings.rows, state.userEmbeddings.rows]).toEqual([100, limits.usersMax]);
  const { dim } = state.itemEmbeddings;
  const all = Uint32Array.from({ length: 100 }, (_, row) => row);
  const values = Float32Array.from({ length: 100 * dim }, (_, i) => Math.floor(i / dim));
  made.itemEmbeddings.initialise(all, 100, values);
  made.itemEmbeddings.publish(all, 100, 1);
  const ids = Int32Array.of(7, 2_000_000_000, -1);
  const rows = new Uint32Array(6);
  state.ids.items.rowsOf(ids, 3, rows);
  const vectors = new Float32Array(3 * dim).fill(-1);
  state.itemVectors.gather(ids, 3, 1, vectors);
  for (const i of [0, 1]) expect(vectors[i * dim]).toBe((rows[2 * i]! + rows[2 * i + 1]!) / 2);
  expect(vectors.subarray(2 * dim)).toEqual(new Float32Array(dim));
  state.userVectors.gather(ids, 1, 1, vectors);
  made.release();
});

test("hashed ids use a table of over 4 GiB from end to end", () => {
  const itemIds = { kind: "hashed", rows: 24_000_000 } as const;
  const wide = { ...definition, ranking: { ...definition.ranking, itemIds } };
  const state = createSharedState(wide, { dataDir, modelFloats: 1 });
  const { itemEmbeddings: table, ids, itemVectors } = state;
  expect(table.rows * table.rowBytes).toBeGreaterThan(2 ** 32);
  const some = Int32Array.from({ length: 12 }, (_, i) => 300_000 * i);
  const rows = new Uint32Array(24);
  ids.items.rowsOf(some, 12, rows);
  const far = Math.ceil(2 ** 32 / table.rowBytes);
  expect([rows.some((row) => row > far), rows.some((row) => row < far)]).toEqual([true, true]);
  const { dim } = table;
  const values = Float32Array.from({ length: 24 * dim }, (_, i) => 1 + Math.floor(i / dim));
  table.initialise(rows, 24, values);
  table.publish(rows, 24, 1);
  const vectors = new Float32Array(12 * dim);
  itemVectors.gather(some, 12, 1, vectors);
  // Rows 2 i and 2 i + 1 hold 2 i + 1 and 2 i + 2.
  for (let i = 0; i < 12; i++) expect(vectors[i * dim]).toBe(2 * i + 1.5);
  // Disk is taken in steps of a megabyte, one for a row where they are this far apart.
  const { blocks } = statSync(join(dataDir, "embeddings", "items.f32"));
  expect(512 * blocks).toBeLessThan(32 << 20);
  state.release();
});

test("rows that are handed out are found by an index, in any thread", () => {
  const ranking = { ...definition.ranking, userIds: { kind: "exact", rows: 10 } } as const;
  const made = createSharedState({ ...definition, ranking }, { dataDir, modelFloats: 1 });
  const handles: SharedHandles = JSON.parse(JSON.stringify(made.handles));
  const state = attachSharedState(handles);
  const [own, other] = [made.ids.users, state.ids.users];
  if (!(own instanceof RowIndex && other instanceof RowIndex)) throw new Error("no index");
  expect([own.rows, own.table.rows, state.indexes.itemIndex]).toEqual([
    10,
    limits.usersMax,
    undefined,
  ]);
  own.set(3_000_000, 7);
  const out = new Uint32Array(2);
  other.rowsOf(Uint32Array.of(3_000_000, 5), 2, out);
  expect([...out]).toEqual([7, noRow]);
  other.rowsOf(Uint32Array.of(3_000_000, 5), 2, out, 1);
  expect([...out]).toEqual([noRow, noRow]);
  made.release();
});

test("embeddings stand in files that take disk space only for rows in use", () => {
  const state = createSharedState(definition, { dataDir, modelFloats: 1 });
  const dim = state.itemEmbeddings.dim;
  state.itemEmbeddings.initialise(Int32Array.of(3), 1, new Float32Array(dim).fill(2));
  const file = statSync(join(dataDir, "embeddings", "items.f32"));
  expect(file.size).toBe(state.itemEmbeddings.rows * state.itemEmbeddings.rowBytes);
  expect(file.blocks * 512).toBeLessThan(64 << 20);
  state.release();
});
