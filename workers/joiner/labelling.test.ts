import { describe, expect, test } from "bun:test";
import { hash128, type Id128, noId } from "../../models/core/bytes.ts";
import { ManualClock } from "../../models/core/clock.ts";
import { encodeEvent } from "../../models/core/event.ts";
import definition from "../../models/definition/default.ts";
import { featureCatalog } from "../../models/features/catalog.ts";
import { decodeSample, encodeSample, type Sample } from "../../models/training/sample.ts";
import { encodeServed, type ServedRecord } from "../../models/training/served.ts";
import type { LogBatch } from "../stores/event-log.ts";
import { fakeServed } from "../windows/stream.fake.ts";
import { JoinerCore } from "./joiner.ts";
import type { JoinerOptions } from "./options.ts";
import { SampleWriter } from "./samples.ts";

const startMs = Date.UTC(2026, 4, 1);
const { userWidth, itemWidth } = featureCatalog(definition);
const typeOf = (name: string) => definition.interactions.findIndex((one) => one.name === name);

function batchOf(records: readonly Uint8Array[], firstOffset: number): LogBatch {
  const bounds = new Uint32Array(records.length + 1);
  for (const [i, record] of records.entries()) bounds[i + 1] = bounds[i]! + record.length;
  const data = new Uint8Array(Buffer.concat(records));
  return { firstOffset, count: records.length, data, bounds };
}

/** A joiner that is fed by hand, its samples decoded as they leave. */
class Fed {
  readonly core: JoinerCore;
  readonly clock = new ManualClock(startMs);
  readonly samples: Sample[] = [];
  readonly #offsets = { served: 0, events: 0 };

  constructor(options: Partial<JoinerOptions> = {}) {
    const partitions = { events: 1, served: 1 };
    const sizes = { rowsMax: 100_000, dedupIdsMax: 10_000 };
    this.core = new JoinerCore({ definition, clock: this.clock, partitions, ...sizes, ...options });
  }

  #take(topic: "served" | "events", records: readonly Uint8Array[]): void {
    const source = this.core.sources.find((one) => one.topic === topic)!;
    this.core.take(source, batchOf(records, this.#offsets[topic]));
    this.#offsets[topic] += records.length;
  }

  slates(records: readonly ServedRecord[]): void {
    this.#take("served", records.map(encodeServed));
  }

  event(type: string, of: { user: number; item: number; requestId?: Id128; value?: number }): void {
    const { user, item, requestId = noId, value = 0 } = of;
    const timeMs = this.clock.nowMs();
    const record = {
      ...{ type: typeOf(type), userRow: user, itemRow: item, user: `u${user}`, item: `i${item}` },
      ...{ timeMs, receivedMs: timeMs, value, requestId },
      id: hash128(`event ${this.#offsets.events}`),
    };
    this.#take("events", [encodeEvent(record)]);
  }

  takeOldest(): JoinerCore["emission"]["oldest"] {
    const { oldest } = this.core.emission;
    this.core.emission.oldest = null;
    return oldest;
  }

  advanceTo(timeMs: number): void {
    this.clock.advanceTo(timeMs);
    this.core.advance(() => true);
    for (const sample of this.core.emission.drain().samples)
      this.samples.push(decodeSample(sample));
  }
}

function slate(request: string, user: number, items: number[], timeMs = startMs): ServedRecord {
  return fakeServed({ user, items, timeMs, request }, { user: userWidth, item: itemWidth });
}

describe("labels", () => {
  test("seconds that are corrected twice take back what was said last", () => {
    const fed = new Fed({ emitAfterMs: 1_000 });
    fed.slates([slate("a", 3, [10, 11])]);
    fed.advanceTo(startMs + 40_000);
    expect(fed.samples.map(({ kind }) => kind)).toEqual(["primary", "primary"]);
    for (const value of [4, 0, 6, 2.5]) {
      fed.event("watch", { user: 3, item: 11, requestId: hash128("a"), value });
      fed.advanceTo(fed.clock.nowMs() + 1_000);
    }
    const watch = definition.heads.findIndex(({ name }) => name === "watch");
    const corrections = fed.samples.slice(2);
    expect(corrections.map(({ labels, previous }) => [previous, labels[watch]])).toEqual([
      [0, 4],
      [4, 10],
      [10, 12.5],
    ]);
    expect(corrections.every(({ labels }) => Number.isNaN(labels[0]))).toBe(true);
  });

  test("what the primary said is taken back, and a click takes back a negative", () => {
    const fed = new Fed({ emitAfterMs: 20_000 });
    fed.slates([slate("a", 3, [10])]);
    fed.event("watch", { user: 3, item: 10, requestId: hash128("a"), value: 7 });
    fed.advanceTo(startMs + 25_000 + 40_000);
    fed.event("watch", { user: 3, item: 10, requestId: hash128("a"), value: 1 });
    fed.event("click", { user: 3, item: 10, requestId: hash128("a") });
    fed.advanceTo(fed.clock.nowMs() + 1_000);
    expect(fed.samples.map(({ kind, previous }) => [kind, previous])).toEqual([
      ["primary", 0],
      ["correction", 7],
    ]);
    expect(fed.core.counts.outside).toBe(1);
  });

  test("of negatives a share is kept, weighing for the rest, in corrections too", () => {
    const share = 0.25;
    const of = { ...definition, negativesShare: share };
    const fed = new Fed({ emitAfterMs: 1_000, definition: of });
    const requests = Array.from({ length: 400 }, (_, i) => `r${i}`);
    const items = [1, 2, 3, 4, 5];
    fed.slates(requests.map((request, i) => slate(request, i, items)));
    for (const [i, request] of requests.entries()) {
      if (i % 4 === 0) fed.event("click", { user: i, item: 1, requestId: hash128(request) });
    }
    fed.advanceTo(startMs + 40_000);
    const positive = ({ labels }: Sample) => labels[0] === 1;
    expect(fed.samples.filter(positive).map(({ weight }) => weight)).toEqual(Array(100).fill(1));
    const negatives = fed.samples.filter((sample) => !positive(sample));
    expect(new Set(negatives.map(({ weight }) => weight))).toEqual(new Set([1 / share]));
    // 1,900 negatives: six standard errors of their weighted count are 450.
    const weighed = negatives.reduce((sum, { weight }) => sum + weight, 0);
    expect(Math.abs(weighed - 1_900)).toBeLessThan(450);
    expect(fed.core.counts.leftOut).toBe(1_900 - negatives.length);
    const before = fed.samples.length;
    for (const [i, request] of requests.entries()) {
      fed.event("like", { user: i, item: 2, requestId: hash128(request) });
    }
    fed.advanceTo(fed.clock.nowMs() + 1_000);
    const late = fed.samples.slice(before);
    expect(late.every(({ kind, weight }) => kind === "correction" && weight === 4)).toBe(true);
    const kept = negatives.filter(({ itemRow }) => itemRow === 2);
    expect(new Set(late.map(({ requestId }) => requestId.join()))).toEqual(
      new Set(kept.map(({ requestId }) => requestId.join())),
    );
  });

  test("what names a slate that is not there is counted apart from what names none", () => {
    const fed = new Fed();
    fed.slates([slate("a", 3, [10])]);
    fed.event("click", { user: 3, item: 10, requestId: hash128("lost in a crash") });
    fed.event("click", { user: 4, item: 10 });
    fed.event("click", { user: 3, item: 99, requestId: hash128("a") });
    fed.advanceTo(startMs + 30 * 60_000);
    expect(fed.core.counts).toMatchObject({ recordsMissing: 1, orphans: 2, primaries: 1 });
  });
});

describe("moments", () => {
  const moments = ({ eventMs, acceptedMs }: Sample) => [eventMs, acceptedMs];

  test("a primary has its slate's first interaction, a correction its own", () => {
    const fed = new Fed({ emitAfterMs: 20_000 });
    fed.slates([slate("a", 3, [10, 11, 12])]);
    for (const item of [11, 10]) {
      fed.clock.advanceTo(fed.clock.nowMs() + 1_000);
      fed.event("click", { user: 3, item, requestId: hash128("a") });
    }
    fed.advanceTo(startMs + 60_000);
    const first = startMs + 1_000;
    expect(fed.takeOldest()).toEqual({ eventMs: first, acceptedMs: first });
    fed.event("like", { user: 3, item: 12, requestId: hash128("a") });
    fed.advanceTo(startMs + 61_000);
    const like = startMs + 60_000;
    expect(fed.takeOldest()).toEqual({ eventMs: like, acceptedMs: like });
    expect(fed.samples.map(moments)).toEqual([
      [first, first],
      [first, first],
      [undefined, undefined],
      [like, like],
    ]);
  });

  test("records of the first version of samples have none", () => {
    const plain = oneSample();
    const { emittedMs } = plain;
    const sample = { ...plain, eventMs: emittedMs - 3_600_000, acceptedMs: emittedMs - 5 };
    const now = encodeSample(sample);
    expect(decodeSample(now)).toEqual(sample);
    const header = now.slice(0, 64);
    header[0] = 1;
    const old = new Uint8Array(Buffer.concat([header, now.slice(72)]));
    expect(decodeSample(old)).toEqual(plain);
  });

  function oneSample(): Sample {
    const fed = new Fed({ emitAfterMs: 1_000 });
    fed.slates([slate("a", 3, [10])]);
    fed.advanceTo(startMs + 60_000);
    return fed.samples[0]!;
  }
});

test("samples are written as the codec of samples writes them", () => {
  const served = slate("a", 3, [10, 11, 12], startMs + 5);
  const writer = new SampleWriter({ heads: 5, mask: () => {} });
  writer.begin(encodeServed(served), 77);
  for (const place of [2, 0, 1]) {
    const labels = Float32Array.of(1, 0, place, Number.NaN, 2.5);
    const one = { place, kind: "correction" as const, labels, previous: 1.5, weight: 4 };
    const expected = encodeSample({
      ...one,
      position: place,
      userRow: served.userRow,
      itemRow: served.items[place]!,
      categoryRow: served.categories[place]!,
      servedMs: served.timeMs,
      emittedMs: 77,
      requestId: served.requestId,
      userDense: served.userDense,
      itemDense: served.itemDense.subarray(place * itemWidth, (place + 1) * itemWidth),
    });
    expect(writer.write(one)).toEqual(expected);
  }
});
