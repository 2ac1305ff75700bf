import { afterAll, describe, expect, test } from "bun:test";
import { EmbeddingTable } from "../../native/index.ts";
import { noRow } from "../core/bytes.ts";
import { Random } from "../core/random.ts";
import { IdVectors } from "../layers/id-vectors.ts";
import { RowIndex } from "../layers/row-index.ts";
import { EmbeddingUpdates } from "./embedding-updates.ts";
import { packColumns, unpackColumns } from "./state-codec.ts";

const hourMs = 3_600_000;
const width = 2;
const batchMax = 32;

const opened: EmbeddingTable[] = [];
afterAll(() => {
  for (const table of opened) table.release();
});

function table(rows: number, dim: number): EmbeddingTable {
  const made = EmbeddingTable.create({ path: null, rows, dim });
  opened.push(made);
  return made;
}

function world({ rows = 64, ids = 1_000_000, admission = 0, expiryMs = 5 * hourMs } = {}) {
  const vectors = table(rows, width);
  const index = new RowIndex(table(ids, 1), rows);
  const updates = new EmbeddingUpdates(
    vectors,
    { width, rowsMax: batchMax, ids: index },
    { learningRate: 0.1, epsilon: 0.05, decay: 1, admission, expiryMs },
  );
  return { vectors, index, updates, reader: new IdVectors(vectors, index) };
}

/** Gradients that point where the id says: no two ids learn the same direction. */
function learn({ updates }: ReturnType<typeof world>, keys: Uint32Array, hours: number): void {
  const gradients = new Float32Array(keys.length * width);
  for (const [i, id] of keys.entries()) {
    gradients[2 * i] = Math.cos(id);
    gradients[2 * i + 1] = Math.sin(id);
  }
  updates.apply({ keys, gradients, count: keys.length, scale: 1, timeMs: hours * hourMs });
}

/** Null where the vector is zeros; whether it is the id's own, otherwise. */
function isOwn(id: number, [x = 0, y = 0]: ArrayLike<number> & Iterable<number>): boolean | null {
  if (x === 0 && y === 0) return null;
  const length = Math.hypot(x, y);
  return Math.abs(-x / length - Math.cos(id)) < 1e-3 && Math.abs(-y / length - Math.sin(id)) < 1e-3;
}

test("a table of 64 rows serves a stream of ids without end, each its own vector", () => {
  const here = world();
  const { reader, index } = here;
  const out = new Float32Array(width);
  let learned = 0;
  for (let batch = 0; batch < 4_000; batch++) {
    // 20 ids every 6 minutes, new ones all the time: after 18 batches older ones must make room.
    const ids = Uint32Array.from({ length: 20 }, (_, i) => 10 * batch + (i % 20));
    learn(here, ids, batch / 10);
    for (const id of [ids[0]!, ids[19]!]) {
      reader.gatherWorking(Uint32Array.of(id), 1, out);
      const own = isOwn(id, out);
      expect(own).not.toBe(false);
      if (own === true) learned++;
    }
  }
  expect(here.vectors.usedRows).toBe(64);
  expect(learned).toBeGreaterThan(1_500);
  // Whatever had its turn long ago is as if it had never been.
  const old = Uint32Array.from({ length: 30_000 }, (_, id) => id);
  const rows = new Uint32Array(30_000);
  index.rowsOf(old, 30_000, rows);
  expect(rows.every((row) => row === noRow)).toBe(true);
});

test("under a pin an id reads what it was in that version, whoever has its row by now", () => {
  const random = new Random(11);
  const here = world({ rows: 16, ids: 1_024, expiryMs: hourMs });
  const { vectors, index, updates, reader } = here;
  const ids = Uint32Array.from({ length: 200 }, (_, id) => id);
  const as = (version: number | null) => {
    const out = new Float32Array(200 * width);
    if (version === null) reader.gatherWorking(ids, 200, out);
    else reader.gather(ids, 200, version, out);
    return out;
  };
  let [before, current] = [as(null), as(null)];
  let moved = 0;
  for (let version = 1; version <= 400; version++) {
    const holds = () => {
      expect(as(version - 1)).toEqual(current);
      // A reader that pins the version before is why no further one is published.
      if (version > 2) expect(as(version - 2)).toEqual(before);
    };
    // Ids expire, wait, take others' rows and come back, some of it between two publishes.
    for (let step = random.int(4); step > 0; step--) {
      const first = random.int(170);
      const keys = Uint32Array.from({ length: 12 }, () => first + random.int(30));
      learn(here, keys, Math.floor(version / 3) + random.next());
      holds();
    }
    const touched = updates.takeTouched();
    moved += touched.ids.length;
    const working = as(null);
    // The publisher waits for readers of older versions than the current one.
    vectors.publish(touched.rows, touched.rows.length, version);
    expect(as(version - 1)).toEqual(current);
    index.table.publish(touched.ids, touched.ids.length, version);
    expect(as(version - 1)).toEqual(current);
    expect(as(version)).toEqual(working);
    [before, current] = [current, working];
  }
  expect(moved).toBeGreaterThan(1_000);
});

describe("rows that are handed out", () => {
  test("go to ids that are admitted, and back when these expire", () => {
    const here = world({ rows: 4, admission: 2, expiryMs: 2 * hourMs });
    const rowOf = (id: number) => {
      const out = new Uint32Array(1);
      here.index.rowsOf(Uint32Array.of(id), 1, out);
      return out[0];
    };
    for (let i = 0; i < 2; i++) learn(here, Uint32Array.of(7, 9), 1);
    expect(rowOf(7)).toBe(noRow);
    learn(here, Uint32Array.of(7), 1);
    expect([rowOf(7), rowOf(9)]).toEqual([0, noRow]);
    learn(here, Uint32Array.of(9), 2);
    expect(rowOf(9)).toBe(1);
    // Both are looked at by an expiry of a later hour.
    for (let i = 0; i < 4; i++) learn(here, Uint32Array.of(30), 5.5);
    expect([rowOf(7), rowOf(9), rowOf(30)]).toEqual([noRow, noRow, 1]);
    expect(here.updates.expired).toBe(2);
    const { ids } = here.updates.takeTouched();
    expect([...ids].sort()).toEqual([30, 7, 9].sort());
  });

  test("stay with ids of the same hour: one that finds none waits", () => {
    const here = world({ rows: 4 });
    learn(here, Uint32Array.of(1, 2, 3, 4, 5), 1);
    const rows = new Uint32Array(5);
    here.index.rowsOf(Uint32Array.of(1, 2, 3, 4, 5), 5, rows);
    expect([...rows]).toEqual([0, 1, 2, 3, noRow]);
    expect([here.updates.takeWaiting(), here.updates.takeWaiting()]).toEqual([1, 0]);
    learn(here, Uint32Array.of(1, 2, 4), 2);
    learn(here, Uint32Array.of(5), 2);
    here.index.rowsOf(Uint32Array.of(1, 2, 3, 4, 5), 5, rows);
    expect([...rows]).toEqual([0, 1, noRow, 3, 2]);
    expect([...here.updates.takeHandedOut()]).toEqual([0, 1, 2, 3, 2]);
    expect([...here.updates.takeHandedOut()]).toEqual([]);
  });

  test.each([
    ["too few", { span: 40, hours: 5 }],
    ["some free", { span: 10, hours: 1 }],
  ])("%s: continue bit for bit from what was saved", (_, { span, hours }) => {
    const options = { rows: 24, expiryMs: hours * hourMs };
    const [through, resumed] = [world(options), world(options)];
    const random = new Random(5);
    const keys = Array.from({ length: 300 }, (_, i) => {
      return Uint32Array.from({ length: 16 }, () => Math.floor(i / 4) + random.int(span));
    });
    const learnAll = (one: ReturnType<typeof world>, from: number, to: number) => {
      for (let i = from; i < to; i++) learn(one, keys[i]!, i / 7);
    };
    learnAll(through, 0, 150);
    expect(through.updates.saveOwners()[1]!.length > 0).toBe(span === 10);
    const copy = (columns: ReturnType<EmbeddingUpdates["save"]>) =>
      unpackColumns(packColumns(columns), columns.length);
    resumed.updates.restore(copy(through.updates.save()));
    resumed.updates.restoreOwners(copy(through.updates.saveOwners()));
    const tablesOf = ({ vectors, index }: ReturnType<typeof world>) => [vectors, index.table];
    const saved = (one: ReturnType<typeof world>) =>
      tablesOf(one).map((part) => {
        const bytes = new Uint8Array(200 * part.rowBytes);
        const rows = Math.min(200, part.rows);
        part.save(0, rows, bytes.subarray(0, rows * part.rowBytes));
        return bytes;
      });
    for (const [i, bytes] of saved(through).entries()) {
      const part = tablesOf(resumed)[i]!;
      part.load(0, Math.min(200, part.rows), bytes);
    }
    for (const one of [through, resumed]) learnAll(one, 150, 300);
    expect(saved(resumed)).toEqual(saved(through));
    expect(resumed.updates.saveOwners()).toEqual(through.updates.saveOwners());
    expect(resumed.updates.save()).toEqual(through.updates.save());
    through.updates.forget();
    const out = new Float32Array(200 * width);
    through.reader.gatherWorking(
      Uint32Array.from({ length: 200 }, (_, id) => id),
      200,
      out,
    );
    expect(out).toEqual(new Float32Array(200 * width));
    const [owners, free] = through.updates.saveOwners();
    expect(free!.length).toBe(owners!.length);
  });
});
