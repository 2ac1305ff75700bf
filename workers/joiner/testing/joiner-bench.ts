import { hash128, noId } from "../../../models/core/bytes.ts";
import { ManualClock } from "../../../models/core/clock.ts";
import { type EventRecord, encodeEvent } from "../../../models/core/event.ts";
import definition from "../../../models/definition/default.ts";
import type { RecommenderDefinition } from "../../../models/definition/define.ts";
import { decodeSample, type Sample } from "../../../models/training/sample.ts";
import type { ServedRecord } from "../../../models/training/served.ts";
import { encodeServed } from "../../../models/training/served.ts";
import { FakeEventLog } from "../../stores/event-log.fake.ts";
import { JoinerCore } from "../joiner.ts";
import type { JoinerOptions } from "../options.ts";
import { JoinerRole } from "../worker.ts";

export const startMs = Date.UTC(2026, 4, 1);
export const marks = { maxDisorderMs: 30_000, futureLeadMs: 60_000 };
export const minute = 60_000;

export function slate(name: string, user: number, items: number[], timeMs: number): ServedRecord {
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

export function event(touch: Touch, more: Partial<EventRecord> = {}): EventRecord {
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
export type Arrival = { receivedMs: number; slate?: ServedRecord; event?: EventRecord };

/** A joiner over a log in memory, under a clock that the test moves. */
export class JoinerBench {
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

export const keyOf = (sample: Sample) => `${sample.requestId.join()}/${sample.position}`;
export const known = (name: string, place: number) => `${hash128(name).join()}/${place}`;
