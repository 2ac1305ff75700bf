import { RecError } from "../../models/core/errors.ts";
import { hashDirection, hashNormal, hashUnit } from "./hashing.ts";
import type { ItemDocument } from "./port.ts";
import { defaultWorld, type WorldOptions } from "./world-options.ts";

const categoryNames = [
  ...["music", "sports", "cooking", "travel", "science", "comedy", "gaming", "news", "fashion"],
  ...["animals", "history", "fitness", "cinema", "nature", "cars", "crafts", "dance", "money"],
  ...["space", "gardens"],
];
const REFRESH_MS = 60_000;
const HOUR = 3_600_000;

/** Streams of the stateless hash, one for each kind of truth. */
const stream = { category: 1, second: 2, quality: 3, topic: 4, duration: 5, trend: 6, wave: 7 };

/**
 * Items and what is true of them. Item number n lives in slot n mod items; everything about it is a
 * function of (seed, n, time), so hours of arrivals take no more memory than the first minute.
 */
export class World {
  readonly options: WorldOptions;
  /** Number of the item that comes next: alive are the `items` numbers before it. */
  nextItem: number;
  /** First category of each slot. */
  readonly category: Uint16Array;
  /** Second category, or -1. */
  readonly secondCategory: Int16Array;
  /** slots x topics, each of length 1. */
  readonly topics: Float32Array;
  readonly durationSeconds: Float32Array;
  /** The part of the click logit that all users share, as of the last refresh. */
  readonly base: Float32Array;
  readonly #quality: Float32Array;
  #refreshedMs: number;

  constructor(options: Partial<WorldOptions> = {}) {
    this.options = checked({ ...defaultWorld, ...options });
    const { items, topics, startMs } = this.options;
    this.nextItem = items;
    this.category = new Uint16Array(items);
    this.secondCategory = new Int16Array(items);
    this.topics = new Float32Array(items * topics);
    this.durationSeconds = new Float32Array(items);
    this.base = new Float32Array(items);
    this.#quality = new Float32Array(items);
    for (let n = 0; n < items; n++) this.#create(n);
    this.#refreshedMs = startMs;
    this.#refresh(startMs);
  }

  /** Moves the world on; returns the numbers of the items that came (as many retired). */
  advanceTo(timeMs: number): { from: number; to: number } {
    const { startMs, items, newItemsPerHour } = this.options;
    const from = this.nextItem;
    const to = items + Math.floor(((timeMs - startMs) * newItemsPerHour) / HOUR);
    for (let n = Math.max(from, to - items); n < to; n++) this.#create(n);
    this.nextItem = Math.max(from, to);
    if (to > from || timeMs - this.#refreshedMs >= REFRESH_MS) this.#refresh(timeMs);
    return { from, to: this.nextItem };
  }

  /** The number of the item in a slot. */
  numberAt(slot: number): number {
    const { items } = this.options;
    const first = this.nextItem - items;
    return first + ((((slot - first) % items) + items) % items);
  }

  idAt(slot: number): string {
    return `i${this.numberAt(slot)}`;
  }

  /** Slot of a living item, -1 for anything else. */
  slotOf(id: string): number {
    const n = id.charCodeAt(0) === 105 ? Number(id.slice(1)) : Number.NaN;
    const { items } = this.options;
    return n >= this.nextItem - items && n < this.nextItem && Number.isInteger(n) ? n % items : -1;
  }

  publishedMs(number: number): number {
    const { startMs, items, newItemsPerHour } = this.options;
    return startMs + ((number - items) * HOUR) / Math.max(newItemsPerHour, 1e-3);
  }

  categoryName(category: number): string {
    return categoryNames[category] ?? `category-${category}`;
  }

  /** The document that a publisher sends for a living item. */
  documentOf(number: number): ItemDocument {
    const slot = number % this.options.items;
    const second = this.secondCategory[slot]!;
    const names = [this.categoryName(this.category[slot]!)];
    if (second >= 0) names.push(this.categoryName(second));
    return {
      id: `i${number}`,
      title: `${names.join(" and ")} no. ${number}`,
      categories: names,
      author: `a${Math.floor(hashUnit(this.options.seed, number, 9) * 200)}`,
      tags: [`topic-${this.#topTopic(slot)}`],
      publishedAt: new Date(Math.max(0, Math.floor(this.publishedMs(number)))).toISOString(),
      durationSeconds: Math.round(this.durationSeconds[slot]!),
    };
  }

  #topTopic(slot: number): number {
    const { topics } = this.options;
    let best = 0;
    for (let d = 1; d < topics; d++) {
      if (this.topics[slot * topics + d]! > this.topics[slot * topics + best]!) best = d;
    }
    return best;
  }

  #create(n: number): void {
    const { seed, items, categories, topics } = this.options;
    const slot = n % items;
    this.category[slot] = Math.floor(hashUnit(seed, n, stream.category) * categories);
    const second = Math.floor(hashUnit(seed, n, stream.second) * categories * 3);
    this.secondCategory[slot] = second < categories && second !== this.category[slot] ? second : -1;
    this.#quality[slot] = hashNormal(seed, n, stream.quality);
    this.durationSeconds[slot] = Math.min(
      60,
      Math.max(5, 15 * Math.exp(0.5 * hashNormal(seed, n, stream.duration))),
    );
    const place = { from: slot * topics, length: topics };
    hashDirection(seed ^ stream.topic, n, this.topics, place);
  }

  #refresh(timeMs: number): void {
    const o = this.options;
    this.#refreshedMs = timeMs;
    const wave = new Float32Array(o.categories);
    for (let c = 0; c < o.categories; c++) wave[c] = this.#categoryTrend(c, timeMs);
    for (let slot = 0; slot < o.items; slot++) {
      const n = this.numberAt(slot);
      const ageMs = Math.max(0, timeMs - this.publishedMs(n));
      this.base[slot] =
        o.bias +
        o.qualityWeight * this.#quality[slot]! +
        o.itemTrendWeight * this.#itemTrend(n, timeMs) +
        o.categoryTrendWeight * wave[this.category[slot]!]! +
        o.freshnessWeight * Math.exp(-ageMs / o.freshnessMs);
    }
  }

  /** A wave of its own phase and length for each category, in -1 .. 1. */
  #categoryTrend(category: number, timeMs: number): number {
    const { seed, startMs, categoryTrendMs } = this.options;
    const phase = hashUnit(seed, category, stream.wave);
    const period = categoryTrendMs * (0.7 + 0.6 * hashUnit(seed, category, stream.wave, 1));
    return Math.sin(2 * Math.PI * ((timeMs - startMs) / period + phase));
  }

  /** Normal values at regular times of the item's own phase, joined by lines. */
  #itemTrend(n: number, timeMs: number): number {
    const { seed, startMs, itemTrendMs } = this.options;
    const at = (timeMs - startMs) / itemTrendMs + hashUnit(seed, n, stream.trend) + 1e6;
    const knot = Math.floor(at);
    const share = at - knot;
    const before = hashNormal(seed, n, stream.trend, knot);
    return before * (1 - share) + hashNormal(seed, n, stream.trend, knot + 1) * share;
  }
}

function checked(options: WorldOptions): WorldOptions {
  for (const name of ["users", "items", "categories", "topics", "seenPerUser"] as const) {
    const value = options[name];
    if (Number.isInteger(value) && value >= 1) continue;
    throw new RecError("REC_SIMULATOR_OPTION", `${name} is ${value}: a whole number from 1 on`);
  }
  return options;
}
