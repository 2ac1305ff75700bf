import { describe, expect, test } from "bun:test";
import { noId } from "../../models/core/bytes.ts";
import { ManualClock } from "../../models/core/clock.ts";
import { encodeEvent } from "../../models/core/event.ts";
import { Random } from "../../models/core/random.ts";
import definition from "../../models/definition/default.ts";
import { GenerationHolder, type IndexGeneration } from "../../models/recall/generation.ts";
import { InteractionWeights } from "../../models/recall/interaction-weights.ts";
import { GraphIndex } from "../../native/index.ts";
import { type CheckpointStore, inMemory, type SlicedBytes } from "../stores/checkpoint-store.ts";
import { SnapshotCheckpoints } from "../stores/embedded/snapshot-checkpoints.ts";
import { FakeEventLog } from "../stores/event-log.fake.ts";
import { itemColumns } from "../stores/item-attributes.ts";
import { memoryFileSystem } from "../stores/memory-file-system.ts";
import { InteractionWindow, type SavedInteractions } from "./interaction-window.ts";
import { sharedItemCatalog } from "./item-catalog.ts";
import { type ItemCatalog, RecallCore, type RecallCoreOptions } from "./recall-core.ts";
import { RecallRole } from "./worker.ts";

const click = 1;
const impression = 0;
const startMs = 1_700_000_000_000;

function event(userRow: number, itemRow: number, type = click): Uint8Array {
  const user = `u${userRow}`;
  const item = `i${itemRow}`;
  const times = { timeMs: startMs, receivedMs: startMs };
  return encodeEvent({
    type,
    userRow,
    itemRow,
    user,
    item,
    value: 0,
    id: noId,
    requestId: noId,
    ...times,
  });
}

/** Users of two tastes: even users like even items, odd ones odd. Item 40 and 41 are never seen. */
function clicks(random: Random, count: number): Uint8Array[] {
  return Array.from({ length: count }, () => {
    const user = random.int(60);
    return event(user, 2 * random.int(20) + (user % 2));
  });
}

/** Items know their taste by category; item 42 is hidden, items from 43 on say nothing. */
function catalog(rows = 45): ItemCatalog {
  return {
    rows: () => rows,
    metadata: (asked) => ({
      rows: asked,
      perItem: 2,
      categories: Int32Array.from({ length: 2 * asked }, (_, i) => {
        return i % 2 === 0 && i < 86 ? (i / 2) % 2 : -1;
      }),
      authors: new Uint32Array(asked),
      unavailable: Uint8Array.from({ length: asked }, (_, i) => (i === 42 ? 1 : 0)),
    }),
  };
}

interface Setup {
  readonly log: FakeEventLog;
  readonly clock: ManualClock;
  readonly checkpoints: CheckpointStore;
}

function fresh(): Setup {
  const clock = new ManualClock(startMs);
  const report = () => {};
  const files = memoryFileSystem();
  const options = { files, directory: "recall", definitionHash: "abc", clock, report };
  const checkpoints = new SnapshotCheckpoints(options);
  return { log: new FakeEventLog({ events: 2 }), clock, checkpoints };
}

async function open(setup: Setup, core: Partial<RecallCoreOptions> = {}) {
  const published: IndexGeneration[] = [];
  const role = await RecallRole.open({
    ...setup,
    weights: new InteractionWeights(definition.interactions),
    core: {
      items: catalog(),
      seed: 1,
      training: { dim: 8, batch: 32 },
      ...{ epochs: 1, trainBatchesLeast: 60 },
      ...core,
    },
    publish: (generation) => published.push(generation),
  });
  const run = async (steps: number) => {
    for (let i = 0; i < steps; i++) {
      await role.step();
      setup.clock.advanceTo(setup.clock.nowMs() + 1);
    }
  };
  return { role, published, run };
}

function neighboursOf({ itemToItem }: IndexGeneration, row: number): number[] {
  const { neighbours, perItem } = itemToItem;
  return [...neighbours.subarray(row * perItem, (row + 1) * perItem)].filter((j) => j >= 0);
}

function nearest(generation: IndexGeneration, row: number, k: number): number[] {
  const { data, dim } = generation.vectors;
  const rows = new Int32Array(k);
  const scores = new Float32Array(k);
  const graph = GraphIndex.attach(generation.graph);
  const query = data.slice(row * dim, (row + 1) * dim);
  return [...rows.subarray(0, graph.search(query, { k, ef: 100, rows, scores }))];
}

describe("recall role", () => {
  test("makes a generation from events and metadata", async () => {
    const setup = fresh();
    await setup.log.append("events", 0, clicks(new Random(1), 300));
    await setup.log.append("events", 1, clicks(new Random(2), 300));
    const { role, published, run } = await open(setup);
    await run(60);
    expect(published.length).toBe(1);
    const [first] = published;
    expect(neighboursOf(first, 4).length).toBe(19);
    expect(neighboursOf(first, 4).every((row) => row % 2 === 0)).toBe(true);
    const near = nearest(first, 4, 10).filter((row) => row % 2 === 0);
    expect(near.length).toBeGreaterThanOrEqual(9);
    expect(first.popular.rows.length).toBe(40);
    await role.close();
  });

  test("items that nobody took to stand where their kind stands", async () => {
    const setup = fresh();
    await setup.log.append("events", 0, clicks(new Random(1), 600));
    const { role, published, run } = await open(setup);
    await run(60);
    const [first] = published;
    expect([...first.vectors.has.subarray(38)]).toEqual([1, 1, 1, 1, 1, 0, 0]);
    const cold = nearest(first, 41, 12).filter((row) => row % 2 === 1);
    expect(cold.length).toBeGreaterThanOrEqual(11);
    expect(nearest(first, 40, 45)).toContain(41);
    expect(nearest(first, 40, 45)).not.toContain(42);
    await role.close();
  });

  test("waits for enough, and for something new", async () => {
    const setup = fresh();
    const shown = Array.from({ length: 100 }, (_, i) => event(i, i % 9, impression));
    await setup.log.append("events", 0, [...clicks(new Random(1), 19), ...shown]);
    const { role, published, run } = await open(setup);
    await run(30);
    expect(published).toEqual([]);
    await setup.log.append("events", 0, clicks(new Random(2), 1));
    await run(60);
    expect(published.length).toBe(1);
    setup.clock.advanceTo(startMs + 3_600_000);
    await run(60);
    expect(published.length).toBe(1);
    await setup.log.append("events", 0, clicks(new Random(3), 1));
    await run(60);
    expect(published.map(({ generation }) => generation)).toEqual([1, 2]);
    await role.close();
  });

  test("a long history is learned over several generations", async () => {
    const setup = fresh();
    await setup.log.append("events", 0, clicks(new Random(1), 600));
    // 4 x 600 examples are 75 batches of 32: three generations of at most 30, then nothing.
    const { role, published, run } = await open(setup, {
      epochs: 4,
      trainBatchesLeast: 1,
      trainBatchesMax: 30,
    });
    for (let round = 0; round < 6; round++) {
      await run(60);
      setup.clock.advanceTo(setup.clock.nowMs() + 3_600_000);
    }
    expect(published.length).toBe(3);
    await role.close();
  });

  test("in virtual time one step is a whole generation, the same as in slices", async () => {
    const generationOf = async (rebuildAtOnce: boolean) => {
      const setup = { ...fresh(), rebuildAtOnce };
      await setup.log.append("events", 0, clicks(new Random(1), 300));
      const { role, published, run } = await open(setup);
      await run(1);
      expect(published.length).toBe(rebuildAtOnce ? 1 : 0);
      await run(60);
      await role.close();
      return { ...published[0], graph: 0 };
    };
    expect(await generationOf(true)).toEqual(await generationOf(false));
  });

  test("a number is never given twice, even after a crash behind the last checkpoint", async () => {
    const setup = fresh();
    setup.clock.advanceTo(startMs + 3 * 365 * 86_400_000);
    const numbers: number[] = [];
    let role = await open(setup);
    for (const round of [1, 2, 3, 4]) {
      setup.clock.advanceTo(setup.clock.nowMs() + 60_000);
      await setup.log.append("events", 0, clicks(new Random(round), 100));
      // The third generation was never kept: the role starts again from the first.
      if (round === 4) role = await open(setup);
      await role.run(60);
      numbers.push(role.role.core.current?.generation ?? 0);
    }
    expect(new Set(numbers).size).toBe(4);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    await role.role.close();
  });

  test("a restart serves the last generation at once and goes on from its offsets", async () => {
    const setup = fresh();
    await setup.log.append("events", 0, clicks(new Random(1), 400));
    const before = await open(setup);
    await before.run(60);
    await before.role.close();
    await setup.log.append("events", 0, clicks(new Random(2), 50));
    const after = await open(setup);
    expect(after.published.length).toBe(1);
    const [old] = before.published;
    const [restored] = after.published;
    expect({ ...restored, graph: 0 }).toEqual({ ...old, graph: 0 });
    expect(nearest(restored, 4, 10).length).toBe(10);
    expect(after.role.core.offsets).toEqual([400, 0]);
    await after.run(60);
    expect(after.published.map(({ generation }) => generation)).toEqual([1, 2]);
    await after.role.close();
  });

  test("a rebuild takes its share of the time, but for the first", () => {
    const workedWith = (rebuildShare: number) => {
      let [nowMs, processorMs] = [startMs, 0];
      // Ten milliseconds pass with each look at the clock: the machine waits, or others have it.
      const clock = { nowMs: () => (nowMs += 10) };
      const training = { dim: 8, batch: 32 };
      const core = new RecallCore(
        {
          ...{ items: catalog(), seed: 1, training, rebuildShare, periodMs: 0 },
          // Looked at before and after a slice: each takes ten milliseconds of processor.
          processorMs: () => (processorMs += 10),
        },
        1,
      );
      const random = new Random(1);
      for (let i = 0; i < 100; i++) core.take(random.int(60), random.int(40), 1);
      const work = (untilGeneration: boolean, turns: number) => {
        let worked = 0;
        const fromMs = nowMs;
        for (let i = 0; i < turns && !(untilGeneration && core.current !== null); i++) {
          core.take(random.int(60), random.int(40), 1);
          if (core.advance(clock, true)) worked += 10;
        }
        return worked / (nowMs - fromMs);
      };
      const first = work(true, 500);
      const later = work(false, 500);
      core.close();
      return { first, later };
    };
    const [whole, fifth] = [workedWith(1), workedWith(0.2)];
    expect(fifth.first).toBeGreaterThan(0.4);
    expect(whole.later).toBeGreaterThan(0.4);
    expect(fifth.later).toBeGreaterThan(0.15);
    expect(fifth.later).toBeLessThan(0.25);
  });

  test("a restart in the middle of a rebuild loses and doubles no history", async () => {
    const run = async (restart: boolean) => {
      const setup = fresh();
      await setup.log.append("events", 0, clicks(new Random(1), 400));
      let role = await open(setup);
      if (restart) {
        await role.run(1);
        await role.role.close();
        role = await open(setup);
      }
      await role.run(60);
      await role.role.close();
      return role.published[0];
    };
    const [stopped, whole] = [await run(true), await run(false)];
    expect(stopped.itemToItem).toEqual(whole.itemToItem);
    expect(stopped.popular).toEqual(whole.popular);
  });

  test("a damaged checkpoint is left out and the log is read again", async () => {
    const setup = fresh();
    await setup.log.append("events", 0, clicks(new Random(1), 400));
    const before = await open(setup);
    await before.run(60);
    await before.role.close();
    const sections = new Map((await setup.checkpoints.load()) ?? []);
    sections.set("generation.neighbours", sections.get("generation.neighbours")!.slice().fill(99));
    const damaged = {
      load: async () => sections,
      open: async () => inMemory(sections),
      save: async () => {},
      needed: () => [],
    };
    const after = await open({ ...setup, checkpoints: damaged });
    expect(after.published).toEqual([]);
    expect(after.role.core.offsets).toEqual([0, 0]);
    await after.run(60);
    expect(after.published.length).toBe(1);
    await after.role.close();
  });
});

describe("generation holder", () => {
  test("keeps a replaced generation until its last request is over", async () => {
    const setup = fresh();
    await setup.log.append("events", 0, clicks(new Random(1), 400));
    const { role, published, run } = await open(setup);
    await run(60);
    const holder = new GenerationHolder(5);
    expect(holder.lease()).toBeNull();
    expect(holder.adopt(published[0])).toBe(true);
    expect(holder.adopt(published[0])).toBe(false);
    const lease = holder.lease();
    for (const round of [1, 2]) {
      setup.clock.advanceTo(startMs + round * 3_600_000);
      await setup.log.append("events", 0, clicks(new Random(round), 5));
      await run(60);
      expect(holder.adopt(published[round])).toBe(true);
    }
    // The builder has let go of the first graph; only the lease keeps it.
    expect(nearest(published[0], 4, 5).length).toBe(5);
    expect(holder.current?.generation).toBe(3);
    lease?.release();
    lease?.release();
    expect(() => nearest(published[0], 4, 5)).toThrow("no graph");
    expect(new GenerationHolder(6).adopt(published[0])).toBe(false);
    await role.close();
    expect(GraphIndex.clearHolder(5)).toBe(1);
  });
});

/** What a checkpoint gives back of a window. */
function savedOf(window: InteractionWindow): SavedInteractions {
  const { users, items } = window.save();
  const column = ({ slices }: SlicedBytes) =>
    new Int32Array(Uint8Array.from(Buffer.concat([...slices()])).buffer);
  expect([users.byteLength, items.byteLength]).toEqual([4 * window.size, 4 * window.size]);
  return { users: column(users), items: column(items) };
}

describe("interaction window", () => {
  test("keeps the newest pairs, each user's last distinct items", () => {
    const window = new InteractionWindow(6);
    for (const [user, item] of [
      [0, 9],
      [0, 1],
      [1, 7],
      [0, 2],
      [0, 1],
      [0, 3],
      [1, 8],
    ]) {
      window.add(user, item);
    }
    expect(window.size).toBe(6);
    const lists = (perUserMax: number) => {
      const { offsets, items, users } = window.histories(perUserMax, 0);
      return Array.from({ length: users }, (_, u) => [
        ...items.subarray(offsets[u], offsets[u + 1]),
      ]);
    };
    expect(lists(10)).toEqual([
      [2, 1, 3],
      [7, 8],
    ]);
    expect(lists(2)).toEqual([
      [1, 3],
      [7, 8],
    ]);
    const copy = new InteractionWindow(6);
    copy.restore(savedOf(window));
    expect(copy.histories(10, 10)).toEqual(window.histories(10, 10));
    expect(window.histories(10, 50).itemRows).toBe(50);
  });

  test("makes histories in one buffer, whatever the number of rebuilds", () => {
    const window = new InteractionWindow(10_000);
    const buffers = new Set<ArrayBufferLike>();
    for (let i = 0; i < 30_000; i++) {
      window.add(i % 7, i % 1_000);
      if (i >= 10_000 && i % 1_000 === 0) buffers.add(window.histories(100, 1_000).items.buffer);
    }
    expect(buffers.size).toBe(1);
  });

  test("grows to its capacity and no further", () => {
    const window = new InteractionWindow(3_000);
    for (let i = 0; i < 10_000; i++) window.add(i % 7, i);
    const { users, items } = savedOf(window);
    expect(items.length).toBe(3_000);
    expect([items[0], items[2_999]]).toEqual([7_000, 9_999]);
    expect(users[2_999]).toBe(9_999 % 7);
  });
});

test("the catalog reads every row of the shared attributes once", () => {
  const size = 10_000;
  const catalog = sharedItemCatalog({
    items: { size },
    readAttributes(rows, count, out) {
      expect(out.hidden.length).toBe(itemColumns(4_096).hidden.length);
      for (let i = 0; i < count; i++) {
        out.categories.set([rows[i] % 9, -1, -1, -1], 4 * i);
        out.authorHash[i] = rows[i] + 1;
        out.hidden[i] = rows[i] === 5_000 ? 1 : 0;
        out.deleted[i] = rows[i] === 9_999 ? 1 : 0;
      }
    },
  });
  expect(catalog.rows()).toBe(size);
  const { categories, authors, unavailable } = catalog.metadata(size);
  expect([...categories.subarray(4 * 9_998)]).toEqual([9_998 % 9, -1, -1, -1, 0, -1, -1, -1]);
  expect(authors.every((author, row) => author === row + 1)).toBe(true);
  expect([unavailable[5_000], unavailable[9_999]]).toEqual([1, 1]);
  expect(unavailable.reduce((a, b) => a + b)).toBe(2);
});
