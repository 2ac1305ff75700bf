import { describe, expect, test } from "bun:test";
import { hash128, noId } from "../../models/core/bytes.ts";
import { ManualClock } from "../../models/core/clock.ts";
import { type EventRecord, encodeEvent } from "../../models/core/event.ts";
import { Random } from "../../models/core/random.ts";
import definition from "../../models/definition/default.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { featureCatalog } from "../../models/features/catalog.ts";
import { decodeSample, type Sample } from "../../models/training/sample.ts";
import type { ServedRecord } from "../../models/training/served.ts";
import { encodeServed } from "../../models/training/served.ts";
import { FakeEventLog } from "../stores/event-log.fake.ts";
import { joinPlainly } from "./joiner.oracle.ts";
import { JoinerCore } from "./joiner.ts";
import type { JoinerOptions } from "./options.ts";
import { JoinerRole } from "./worker.ts";

const startMs = Date.UTC(2026, 4, 1);
const marks = { maxDisorderMs: 30_000, futureLeadMs: 60_000 };
const minute = 60_000;
const perImpression: RecommenderDefinition = { ...definition, negatives: "impression" };

function slate(name: string, user: number, items: number[], timeMs: number): ServedRecord {
  const n = items.length;
  return {
    requestId: hash128(name),
    userRow: user,
    modelVersion: 1,
    indexGeneration: 1,
    timeMs,
    asOfMs: timeMs,
    userOffset: 0,
    userDense: Float32Array.of(user, 0.5),
    items: Uint32Array.from(items),
    categories: Uint32Array.from(items, (item) => item % 7),
    routes: new Uint32Array(n),
    scores: new Float32Array(n),
    propensities: new Float32Array(n),
    heads: new Float32Array(n * 5),
    itemOffsets: new Float64Array(n),
    itemDense: Float32Array.from(
      { length: 3 * n },
      (_, i) => (items[Math.floor(i / 3)] ?? 0) + (i % 3),
    ),
  };
}

type Touch = { type: number; user: number; item: number; timeMs: number; id: string };

function event(touch: Touch, more: Partial<EventRecord> = {}): EventRecord {
  return {
    type: touch.type,
    userRow: touch.user,
    itemRow: touch.item,
    user: `u${touch.user}`,
    item: `i${touch.item}`,
    timeMs: touch.timeMs,
    receivedMs: touch.timeMs,
    value: 0,
    id: hash128(touch.id),
    requestId: noId,
    ...more,
  };
}

/** A log with records in one order of arrival, so that a test can let them in bit by bit. */
type Arrival = { receivedMs: number; slate?: ServedRecord; event?: EventRecord };

class Bench {
  readonly log: FakeEventLog;
  readonly clock = new ManualClock(startMs);
  readonly #options: Partial<JoinerOptions>;
  readonly #of: RecommenderDefinition;
  readonly #readBytes: number;
  role: JoinerRole | null = null;

  constructor(
    options: Partial<JoinerOptions> & { of?: RecommenderDefinition; readBytes?: number } = {},
    partitions = { served: 1, events: 1 },
  ) {
    this.log = new FakeEventLog(partitions);
    this.#of = options.of ?? definition;
    this.#options = options;
    this.#readBytes = options.readBytes ?? 1 << 20;
  }

  async open(): Promise<JoinerRole> {
    const partitions = {
      events: this.log.partitions("events"),
      served: this.log.partitions("served"),
    };
    const core = new JoinerCore({
      definition: this.#of,
      clock: this.clock,
      partitions,
      ...marks,
      rowsMax: 10_000,
      dedupIdsMax: 10_000,
      ...this.#options,
    });
    const limits = { readBytes: this.#readBytes, commitEveryRecords: 20 };
    this.role = await JoinerRole.open({ log: this.log, core, ...limits });
    return this.role;
  }

  async arrive({ receivedMs, slate: served, event: one }: Arrival): Promise<void> {
    this.clock.advanceTo(receivedMs);
    const of = (topic: "served" | "events", row: number) => row % this.log.partitions(topic);
    if (served !== undefined) {
      const partition = of("served", served.requestId[0]);
      await this.log.append("served", partition, [encodeServed(served)]);
    }
    if (one !== undefined) {
      await this.log.append("events", of("events", one.userRow), [encodeEvent(one)]);
    }
  }

  /** Steps at a time at which everything that could come is in, and all is due. */
  async finish(): Promise<JoinerCore> {
    const role = this.role ?? (await this.open());
    while ((await role.step()) > 0);
    this.clock.advanceTo(this.clock.nowMs() + 30 * 60 * minute);
    await role.step();
    return role.core;
  }

  async samples(): Promise<Sample[]> {
    const batch = await this.log.read("samples", 0, 0, Number.POSITIVE_INFINITY);
    return Array.from({ length: batch.count }, (_, i) =>
      decodeSample(batch.data.subarray(batch.bounds[i], batch.bounds[i + 1])),
    );
  }
}

const keyOf = (sample: Sample) => `${sample.requestId.join()}/${sample.position}`;
const known = (name: string, place: number) => `${hash128(name).join()}/${place}`;

/**
 * Slates and what users do with them: half of the interactions name the request, 20 % come out of
 * order by up to 30 s, 5 % twice, 2 % late by up to 20 minutes, one from next year; conversions
 * hours later, and interactions that no slate explains.
 */
function world(random: Random, count: number) {
  const slates: ServedRecord[] = [];
  const arrivals: Arrival[] = [];
  let nowMs = startMs;
  for (let i = 0; i < count; i++) {
    nowMs += random.exponential(4_000);
    const items = [...new Set(Array.from({ length: 1 + random.int(6) }, () => random.int(40)))];
    const one = slate(`s${i}`, random.int(15), items, nowMs);
    slates.push(one);
    arrivals.push({ receivedMs: nowMs, slate: one });
    for (const item of [...items, random.int(40)]) {
      arrivals.push(...touches(random, one, item, `${i}/${item}`));
    }
  }
  const yearMs = 365 * 86_400_000;
  const odd = event({ type: 1, user: 3, item: 1, timeMs: nowMs + yearMs, id: "odd" });
  arrivals.push({ receivedMs: nowMs, event: { ...odd, receivedMs: nowMs } });
  arrivals.sort((a, b) => a.receivedMs - b.receivedMs);
  const events = arrivals.flatMap((arrival) => (arrival.event ? [arrival.event] : []));
  return { slates, arrivals, events };
}

function touches(random: Random, of: ServedRecord, item: number, id: string): Arrival[] {
  const out: Arrival[] = [];
  for (let type = 1; type < definition.interactions.length; type++) {
    if (random.next() > 0.25) continue;
    const window = definition.interactions[type]?.attributionMs ?? 0;
    const timeMs = of.timeMs + random.next() * window * 1.2;
    const kind = random.next();
    const delay = kind < 0.02 ? 20 * minute : kind < 0.22 ? 29_000 : 0;
    const receivedMs = timeMs + random.next() * delay;
    const requestId = random.int(2) === 0 ? of.requestId : noId;
    const value = definition.interactions[type]?.value === "seconds" ? random.int(600) / 8 : 0;
    const touch = { type, user: of.userRow, item, timeMs, id: `${id}/${type}` };
    const one = event(touch, { receivedMs, requestId, value });
    out.push({ receivedMs, event: one });
    if (random.next() < 0.05) {
      out.push({ receivedMs: receivedMs + random.next() * minute, event: one });
    }
  }
  return out;
}

/** Checks exactly one primary an item, and that the last word on each item is the oracle's. */
function check(samples: readonly Sample[], want: ReadonlyMap<string, number[]>): void {
  const primaries = samples.filter((sample) => sample.kind === "primary").map(keyOf);
  expect(primaries.length).toBe(want.size);
  expect(new Set(primaries).size).toBe(want.size);
  const last = new Map<string, number[]>();
  for (const sample of samples) {
    const before = last.get(keyOf(sample)) ?? [];
    const now = [...sample.labels].map((label, h) => (Number.isNaN(label) ? before[h] : label));
    last.set(
      keyOf(sample),
      now.map((label) => label ?? Number.NaN),
    );
  }
  const wrong = [...want].filter(([key, labels]) => last.get(key)?.join() !== labels.join());
  expect(wrong.map(([key, labels]) => `${key}: ${last.get(key)} instead of ${labels}`)).toEqual([]);
}

describe("joiner", () => {
  test("gives each served item one sample with every label, features as served", async () => {
    const bench = new Bench();
    const one = slate("a", 4, [10, 11, 12], startMs);
    await bench.arrive({ receivedMs: startMs, slate: one });
    const touch = (type: number, item: number, afterMs: number, more: Partial<EventRecord> = {}) =>
      bench.arrive({
        receivedMs: startMs + afterMs,
        event: event(
          { type, user: 4, item, timeMs: startMs + afterMs, id: `${type}/${afterMs}` },
          more,
        ),
      });
    await touch(1, 11, 5_000, { requestId: one.requestId });
    await touch(4, 11, 9_000, { requestId: one.requestId, value: 7.5 });
    await touch(4, 11, 19_000, { value: 2.25 });
    await touch(1, 12, 31_000);
    await bench.finish();
    const samples = await bench.samples();
    expect(samples.map((sample) => [sample.itemRow, ...sample.labels])).toEqual([
      [10, 0, 0, 0, 0, 0],
      [11, 1, 0, 0, 0, 9.75],
      [12, 0, 0, 0, 0, 0],
    ]);
    expect(samples[1]).toMatchObject({
      kind: "primary",
      position: 1,
      userRow: 4,
      categoryRow: 4,
      weight: 1,
      servedMs: startMs,
      userDense: one.userDense,
      itemDense: Float32Array.of(11, 12, 13),
    });
    expect(bench.role?.core.counts.outside).toBe(1);
  });

  test("waits for the watermark, then sends a late conversion as a correction", async () => {
    const bench = new Bench();
    const one = slate("a", 4, [10, 11], startMs);
    const role = await bench.open();
    await bench.arrive({ receivedMs: startMs, slate: one });
    await role.step();
    bench.clock.advanceTo(startMs + 2 * minute + 30_500);
    await role.step();
    expect((await bench.samples()).length).toBe(0);
    bench.clock.advanceTo(startMs + 2 * minute + 31_500);
    await role.step();
    expect((await bench.samples()).length).toBe(2);
    const timeMs = startMs + 300 * minute;
    const convert = event({ type: 5, user: 4, item: 11, timeMs, id: "c" }, { value: 20 });
    await bench.arrive({ receivedMs: timeMs, event: convert });
    await bench.arrive({ receivedMs: timeMs + 1, event: convert });
    await role.step();
    // It names no request: a newer slate with the item could be on its way to the log.
    expect((await bench.samples()).length).toBe(2);
    bench.clock.advanceTo(timeMs + 11_000);
    await role.step();
    const [, , correction, ...more] = await bench.samples();
    expect(more).toEqual([]);
    expect(correction?.kind).toBe("correction");
    expect([...(correction?.labels ?? [])]).toEqual([NaN, NaN, NaN, 1, NaN]);
    expect([...(correction?.itemDense ?? [])]).toEqual([11, 12, 13]);
    expect(role.core.counts).toMatchObject({ duplicates: 1, corrections: 1 });
  });

  test("a short delay sends samples early and what comes later as corrections", async () => {
    const bench = new Bench({ emitAfterMs: 2_000 });
    const role = await bench.open();
    const one = slate("a", 4, [10], startMs);
    await bench.arrive({ receivedMs: startMs, slate: one });
    bench.clock.advanceTo(startMs + 3_500);
    await role.step();
    const timeMs = startMs + 4_000;
    const click = event({ type: 1, user: 4, item: 10, timeMs, id: "c" });
    const { requestId } = one;
    await bench.arrive({ receivedMs: timeMs, event: { ...click, requestId } });
    await role.step();
    const samples = await bench.samples();
    expect(samples.map(({ kind, labels }) => [kind, labels[0]])).toEqual([
      ["primary", 0],
      ["correction", 1],
    ]);
  });

  test.each([false, true])(
    "what names no slate is of what had left by then; restart: %p",
    async (restarts) => {
      const bench = new Bench();
      let role = await bench.open();
      const old = slate("old", 4, [10, 11], startMs);
      await bench.arrive({ receivedMs: startMs, slate: old });
      await role.step();
      const timeMs = startMs + 51_000;
      const like = event({ type: 2, user: 4, item: 10, timeMs, id: "l" });
      const ahead = event({ type: 1, user: 4, item: 11, timeMs: timeMs + 9_000, id: "c" });
      await bench.arrive({ receivedMs: timeMs, event: like });
      await bench.arrive({ receivedMs: timeMs, event: { ...ahead, receivedMs: timeMs } });
      await role.step();
      if (restarts) role = await bench.open();
      // The record of a slate that had left by then waited for the disk; a later one's did not.
      const newer = slate("newer", 4, [10, 11], timeMs - 1_000);
      const later = slate("later", 4, [10, 11], timeMs + 2_000);
      await bench.arrive({ receivedMs: timeMs + 2_300, slate: later });
      await role.step();
      await bench.arrive({ receivedMs: timeMs + 2_500, slate: newer });
      await role.step();
      await bench.finish();
      const labelled = (await bench.samples()).filter(({ labels }) =>
        labels.some((one) => one > 0),
      );
      expect(labelled.map((sample) => [keyOf(sample), ...sample.labels.slice(0, 2)])).toEqual([
        [`${newer.requestId.join()}/0`, 0, 1],
        [`${newer.requestId.join()}/1`, 1, 0],
      ]);
    },
  );

  test("more that waits than there is room for is given to what is known by then", async () => {
    const bench = new Bench({ waitingMax: 8 });
    const role = await bench.open();
    const items = Array.from({ length: 40 }, (_, i) => i);
    await bench.arrive({ receivedMs: startMs, slate: slate("a", 4, items, startMs) });
    await role.step();
    for (const item of items) {
      const timeMs = startMs + 1_000 + item;
      const click = event({ type: 1, user: 4, item, timeMs, id: `c${item}` });
      await bench.arrive({ receivedMs: timeMs, event: click });
    }
    await role.step();
    expect(role.core.live.waiting).toBeLessThanOrEqual(8);
    await bench.finish();
    expect((await bench.samples()).map(({ labels }) => labels[0])).toEqual(items.map(() => 1));
    expect(role.core.counts.orphans).toBe(0);
  });

  test("an interaction may arrive before its slate; one without a slate is an orphan", async () => {
    const bench = new Bench();
    const role = await bench.open();
    const one = slate("a", 4, [10], startMs);
    const timeMs = startMs + 50;
    const named = event({ type: 1, user: 4, item: 10, timeMs, id: "c" });
    const click = { ...named, requestId: one.requestId };
    const like = event({ type: 2, user: 4, item: 10, timeMs, id: "l" });
    const stray = event({ type: 1, user: 9, item: 10, timeMs, id: "s" });
    for (const each of [click, like, stray]) {
      await bench.arrive({ receivedMs: timeMs, event: each });
    }
    await role.step();
    expect(role.core.live.waiting).toBe(3);
    await bench.arrive({ receivedMs: timeMs, slate: one });
    await bench.finish();
    const [sample] = await bench.samples();
    expect([...(sample?.labels ?? [])]).toEqual([1, 1, 0, 0, 0]);
    expect(role.core.counts.orphans).toBe(1);
  });

  test("negatives by impression: only what was shown or touched makes a sample", async () => {
    const bench = new Bench({ of: perImpression });
    const role = await bench.open();
    const one = slate("a", 4, [10, 11, 12, 13], startMs);
    await bench.arrive({ receivedMs: startMs, slate: one });
    const send = (type: number, item: number, afterMs: number) =>
      bench.arrive({
        receivedMs: startMs + afterMs,
        event: event({ type, user: 4, item, timeMs: startMs + afterMs, id: `${type}/${item}` }),
      });
    await send(0, 10, 1_000);
    await send(1, 12, 2_000);
    await bench.finish();
    expect(role.core.counts.unseen).toBe(2);
    const rows = async () =>
      (await bench.samples()).map(({ kind, itemRow, labels }) => [kind, itemRow, labels[0]]);
    expect(await rows()).toEqual([
      ["primary", 10, 0],
      ["primary", 12, 1],
    ]);
  });

  test("a head that needs the item's duration has no label without one", async () => {
    const heads = definition.heads.map((head) => ({
      ...head,
      needsDuration: head.name === "watch",
    }));
    const bench = new Bench({ of: { ...definition, heads } });
    await bench.open();
    const { itemNames, itemWidth } = featureCatalog(definition);
    const itemDense = new Float32Array(2 * itemWidth);
    itemDense[itemWidth + itemNames.indexOf("item.durationKnown")] = 1;
    const one = { ...slate("a", 4, [10, 11], startMs), itemDense };
    await bench.arrive({ receivedMs: startMs, slate: one });
    for (const item of [10, 11]) {
      const touch = { type: 4, user: 4, item, timeMs: startMs + 1_000, id: `watch/${item}` };
      await bench.arrive({ receivedMs: startMs + 1_000, event: event(touch, { value: 7 }) });
    }
    await bench.finish();
    const labels = (await bench.samples()).map((sample) => [...sample.labels]);
    expect(labels).toEqual([
      [0, 0, 0, 0, Number.NaN],
      [0, 0, 0, 0, 7],
    ]);
  });

  test("equals the plain join on random streams, by partitions and batch sizes", async () => {
    for (const [seed, readBytes, served] of [
      [1, 1 << 20, 1],
      [2, 300, 1],
      [3, 2_000, 3],
    ] as const) {
      const { slates, arrivals, events } = world(new Random(seed), 150);
      const bench = new Bench({ readBytes }, { served, events: served });
      const random = new Random(seed);
      const role = await bench.open();
      for (const arrival of arrivals) {
        await bench.arrive(arrival);
        if (random.int(10) === 0) await role.step();
      }
      const core = await bench.finish();
      check(await bench.samples(), joinPlainly(definition, slates, events, marks.futureLeadMs));
      expect(core.counts.duplicates).toBeGreaterThan(3);
      expect(core.counts.orphans).toBeGreaterThan(3);
      expect(core.counts.corrections).toBeGreaterThan(3);
    }
  });

  test("crashes before and after any commit lose nothing and repeat nothing", async () => {
    for (const emitAfterMs of [undefined, 5_000]) {
      const { slates, arrivals, events } = world(new Random(4), 150);
      const early = emitAfterMs === undefined ? {} : { emitAfterMs };
      const bench = new Bench({ readBytes: 1_500, ...early }, { served: 2, events: 2 });
      const random = new Random(5);
      let role = await bench.open();
      let crashes = 0;
      for (const arrival of arrivals) {
        await bench.arrive(arrival);
        bench.log.failing = random.int(20) === 0 ? "samples" : null;
        const failed = await role.step().then(
          () => false,
          () => true,
        );
        bench.log.failing = null;
        if (!failed && random.int(15) !== 0) continue;
        crashes++;
        role = await bench.open();
      }
      await bench.finish();
      expect(crashes).toBeGreaterThan(30);
      check(await bench.samples(), joinPlainly(definition, slates, events, marks.futureLeadMs));
    }
  });

  test("a failed commit is tried again by the same process", async () => {
    const { slates, arrivals, events } = world(new Random(6), 60);
    const bench = new Bench();
    const random = new Random(6);
    const role = await bench.open();
    for (const arrival of arrivals) {
      await bench.arrive(arrival);
      bench.log.failing = random.int(3) === 0 ? "samples" : null;
      await role.step().catch(() => {});
    }
    bench.log.failing = null;
    await bench.finish();
    check(await bench.samples(), joinPlainly(definition, slates, events, marks.futureLeadMs));
  });

  test("when room runs out the oldest leave early, counted, and memory stays bounded", async () => {
    const bench = new Bench({ rowsMax: 64 });
    const role = await bench.open();
    for (let i = 0; i < 200; i++) {
      const timeMs = startMs + i * 10;
      const items = [i, i + 1, i + 2];
      await bench.arrive({ receivedMs: timeMs, slate: slate(`s${i}`, i, items, timeMs) });
      if (i % 7 === 0) await role.step();
    }
    await bench.finish();
    const samples = await bench.samples();
    expect(new Set(samples.map(keyOf)).size).toBe(600);
    expect(samples.length).toBe(600);
    expect(samples.some((sample) => keyOf(sample) === known("s199", 2))).toBe(true);
    expect(role.core.counts.evictedItems).toBeGreaterThan(400);
    expect(role.core.live.items).toBeLessThanOrEqual(64);
  });
});
