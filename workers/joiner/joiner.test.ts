import { describe, expect, test } from "bun:test";
import { noId } from "../../models/core/bytes.ts";
import type { EventRecord } from "../../models/core/event.ts";
import { Random } from "../../models/core/random.ts";
import definition from "../../models/definition/default.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { featureCatalog } from "../../models/features/catalog.ts";
import type { Sample } from "../../models/training/sample.ts";
import type { ServedRecord } from "../../models/training/served.ts";
import { joinPlainly } from "./joiner.oracle.ts";
import {
  type Arrival,
  event,
  JoinerBench,
  keyOf,
  known,
  marks,
  minute,
  slate,
  startMs,
} from "./testing/joiner-bench.ts";

const perImpression: RecommenderDefinition = { ...definition, negatives: "impression" };

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
    const bench = new JoinerBench();
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
    const bench = new JoinerBench();
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
    const bench = new JoinerBench({ emitAfterMs: 2_000 });
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

  test("an interaction may arrive before its slate; one without a slate is an orphan", async () => {
    const bench = new JoinerBench();
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
    const bench = new JoinerBench({ of: perImpression });
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
    const bench = new JoinerBench({ of: { ...definition, heads } });
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
      const bench = new JoinerBench({ readBytes }, { served, events: served });
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
      const bench = new JoinerBench({ readBytes: 1_500, ...early }, { served: 2, events: 2 });
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
    const bench = new JoinerBench();
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
    const bench = new JoinerBench({ rowsMax: 64 });
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
