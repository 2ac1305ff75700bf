import { type Id128, noId } from "../../models/core/bytes.ts";
import { encodeEvent } from "../../models/core/event.ts";
import { Random } from "../../models/core/random.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { interactionIndex } from "../../models/features/catalog.ts";
import type { LogBatch } from "../../workers/stores/event-log.ts";

/** What a stream of events is made of; users and items follow Zipf's law with exponent 1. */
export interface EventStreamOptions {
  readonly users: number;
  readonly items: number;
  readonly categories: number;
  readonly seed: number;
  readonly startMs: number;
  /** Events a second of event time. */
  readonly perSecond: number;
}

const disorderShare = 0.2;
const disorderMs = 30_000;

/** Half impressions, half what follows them, as feeds send them. */
const mix = [
  ["impression", 0.5],
  ["click", 0.25],
  ["finish", 0.1],
  ["watch", 0.1],
  ["like", 0.05],
] as const;

/** Draws ranks 0 .. count - 1 with probability proportional to 1 / (rank + 1). */
export class Zipf {
  readonly #cumulated: Float64Array;

  constructor(count: number) {
    let sum = 0;
    this.#cumulated = Float64Array.from({ length: count }, (_, i) => {
      sum += 1 / (i + 1);
      return sum;
    });
  }

  draw(random: Random): number {
    const wanted = random.next() * (this.#cumulated.at(-1) ?? 0);
    let low = 0;
    let high = this.#cumulated.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#cumulated[middle]! <= wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** A permutation that keeps popular rows from lying side by side. */
function scattered(rank: number, count: number): number {
  return (rank * 7_919 + 13) % count;
}

/**
 * Encoded events in the order in which they are accepted: a fifth is up to 30 s older than what
 * came before. Impressions are history (no request, accepted in their own time), so that they
 * count; the rest follows requests.
 */
export class EventStream {
  readonly #options: EventStreamOptions;
  readonly #random: Random;
  readonly #users: Zipf;
  readonly #items: Zipf;
  readonly #types: readonly { readonly type: number; readonly until: number }[];
  #made = 0;

  constructor(definition: RecommenderDefinition, options: EventStreamOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#users = new Zipf(options.users);
    this.#items = new Zipf(options.items);
    let until = 0;
    this.#types = mix.map(([name, share]) => {
      until += share;
      return { type: interactionIndex(definition, name), until };
    });
  }

  next(): Uint8Array {
    const random = this.#random;
    const { startMs, perSecond, users, items, categories } = this.#options;
    const nowMs = startMs + (this.#made++ * 1_000) / perSecond;
    const late = random.next() < disorderShare ? random.next() * disorderMs : 0;
    const drawn = random.next();
    const type = this.#types.find(({ until }) => drawn < until)?.type ?? 0;
    const history = type === this.#types[0]?.type;
    const userRow = scattered(this.#users.draw(random), users);
    const itemRow = scattered(this.#items.draw(random), items);
    const timeMs = Math.floor(nowMs - late);
    return encodeEvent({
      ...{ type, userRow, itemRow, user: `u${userRow}`, item: `i${itemRow}`, timeMs },
      receivedMs: history ? timeMs : nowMs,
      value: type === this.#types[3]?.type ? 1 + random.next() * 60 : 0,
      id: randomId(random),
      requestId: history ? noId : randomId(random),
      categories: [itemRow % categories],
    });
  }

  records(count: number): Uint8Array[] {
    return Array.from({ length: count }, () => this.next());
  }
}

function randomId(random: Random): Id128 {
  return [random.nextUint32(), random.nextUint32(), random.nextUint32(), random.nextUint32() | 1];
}

/** Records side by side, as a read of the log gives them. */
export function batchOf(records: readonly Uint8Array[], firstOffset: number): LogBatch {
  const bounds = new Uint32Array(records.length + 1);
  records.forEach((record, i) => {
    bounds[i + 1] = bounds[i]! + record.length;
  });
  const data = new Uint8Array(bounds[records.length]!);
  for (const [i, record] of records.entries()) data.set(record, bounds[i]);
  return { firstOffset, count: records.length, data, bounds };
}
