import { hash128, noId } from "../../models/core/bytes.ts";
import { type EventRecord, encodeEvent } from "../../models/core/event.ts";
import type { Random } from "../../models/core/random.ts";
import { encodeServed, type ServedRecord } from "../../models/training/served.ts";

/** What the random streams are made of. Rates are shares of all records. */
export interface StreamOptions {
  readonly records: number;
  readonly users: number;
  readonly items: number;
  readonly types: number;
  readonly startMs: number;
  /** Mean milliseconds between records. */
  readonly gapMs: number;
}

export const yearMs = 365 * 86_400_000;

/** Item -> 0 to 4 category rows, fixed. */
export function fakeCategories(itemRow: number): number[] {
  return Array.from({ length: itemRow % 5 }, (_, i) => (itemRow * 3 + i * 5) % 23);
}

/**
 * Events of which 20 % are out of order by up to 30 s, 5 % are second deliveries, 2 % are late by
 * up to two days, and one is from next year; in order of acceptance.
 */
export function fakeEvents(random: Random, options: StreamOptions): EventRecord[] {
  const events: EventRecord[] = [];
  let nowMs = options.startMs;
  const futureAt = random.int(options.records);
  for (let i = 0; i < options.records; i++) {
    nowMs += random.exponential(options.gapMs);
    const again = events[events.length - 1 - random.int(200)];
    if (random.next() < 0.05 && again !== undefined) {
      events.push({ ...again, receivedMs: nowMs });
      continue;
    }
    const delay = delayMs(random);
    const timeMs = i === futureAt ? nowMs + yearMs : nowMs - delay;
    events.push(oneEvent(random, options, { index: i, timeMs, receivedMs: nowMs }));
  }
  return events;
}

function delayMs(random: Random): number {
  const kind = random.next();
  if (kind < 0.02) return random.next() * 2 * 86_400_000;
  return kind < 0.22 ? random.next() * 30_000 : 0;
}

function oneEvent(
  random: Random,
  options: StreamOptions,
  at: { index: number; timeMs: number; receivedMs: number },
): EventRecord {
  const type = random.int(options.types);
  const userRow = random.int(options.users);
  const itemRow = random.int(options.items);
  return {
    type,
    userRow,
    itemRow,
    user: `u${userRow}`,
    item: `i${itemRow}`,
    timeMs: at.timeMs,
    receivedMs: at.receivedMs,
    value: Math.fround(random.int(4) === 0 ? 0 : random.next() * 90),
    id: hash128(`${options.startMs}/${at.index}`),
    requestId: random.int(2) === 0 ? noId : hash128(`r${at.index}`),
    categories: fakeCategories(itemRow),
  };
}

/** A slate with features that say which user and item they belong to. */
export function fakeServed(
  slate: { user: number; items: readonly number[]; timeMs: number; request: string },
  widths = { user: 3, item: 5 },
): ServedRecord {
  const n = slate.items.length;
  return {
    requestId: hash128(slate.request),
    userRow: slate.user,
    modelVersion: 1,
    indexGeneration: 1,
    timeMs: slate.timeMs,
    asOfMs: slate.timeMs - 2,
    userOffset: 0,
    userDense: new Float32Array(widths.user).fill(slate.user),
    items: Uint32Array.from(slate.items),
    categories: Uint32Array.from(slate.items, (item) => fakeCategories(item)[0] ?? 0xffff_ffff),
    moreCategories: Uint32Array.from(
      slate.items.flatMap((item) => [1, 2, 3].map((i) => fakeCategories(item)[i] ?? 0xffff_ffff)),
    ),
    routes: new Uint32Array(n),
    scores: new Float32Array(n),
    propensities: new Float32Array(n).fill(Number.NaN),
    heads: new Float32Array(2 * n),
    itemOffsets: new Float64Array(n),
    itemDense: Float32Array.from({ length: n * widths.item }, (_, i) => {
      const item = slate.items[Math.floor(i / widths.item)] ?? 0;
      return item * 10 + (i % widths.item);
    }),
  };
}

export function encodeAll(events: readonly EventRecord[]): Uint8Array[] {
  return events.map(encodeEvent);
}

export function encodeSlates(slates: readonly ServedRecord[]): Uint8Array[] {
  return slates.map(encodeServed);
}
