import { type Id128, writeId128 } from "../../models/core/bytes.ts";
import { encodeEvent } from "../../models/core/event.ts";
import { Random } from "../../models/core/random.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { featureCatalog, interactionIndex } from "../../models/features/catalog.ts";
import { encodeServed } from "../../models/training/served.ts";
import { servedAt } from "../../models/training/served-view.ts";
import { Zipf } from "./event-stream.ts";

export interface SlateStreamOptions {
  readonly users: number;
  readonly items: number;
  readonly seed: number;
  readonly startMs: number;
  /** Milliseconds of event time between two slates. */
  readonly gapMs: number;
}

export const slateItems = 20;
/** Where the item rows of a record stand (see served-view.ts). */
const itemsAt = 64 + 8 * slateItems;
/** A slate and what follows it: one item is clicked and watched, sometimes bought an hour later. */
const convertShare = 0.01;
const disorderShare = 0.2;

interface Slate {
  readonly requestId: Id128;
  readonly userRow: number;
  readonly itemRow: number;
  readonly timeMs: number;
}

/** Served records of the definition's widths, and the interactions that they lead to. */
export class SlateStream {
  readonly #options: SlateStreamOptions;
  readonly #random: Random;
  readonly #users: Zipf;
  readonly #items: Zipf;
  readonly #template: Uint8Array;
  readonly #types: { readonly click: number; readonly watch: number; readonly convert: number };
  #made = 0;
  /** Conversions to come, in the order of their time. */
  readonly #later: { readonly atMs: number; readonly record: Uint8Array }[] = [];

  constructor(definition: RecommenderDefinition, options: SlateStreamOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#users = new Zipf(options.users);
    this.#items = new Zipf(options.items);
    this.#template = templateOf(definition);
    const typeOf = (name: string) => interactionIndex(definition, name);
    this.#types = { click: typeOf("click"), watch: typeOf("watch"), convert: typeOf("convert") };
  }

  /** So many slates, and the events that were received until the last of them. */
  next(count: number): { slates: Uint8Array[]; events: Uint8Array[] } {
    const slates: Uint8Array[] = [];
    const events: Uint8Array[] = [];
    for (let i = 0; i < count; i++) {
      const slate = this.#slate(slates);
      this.#interact(slate, events);
      while ((this.#later[0]?.atMs ?? Number.POSITIVE_INFINITY) <= slate.timeMs) {
        events.push(this.#later.shift()?.record ?? new Uint8Array(0));
      }
    }
    return { slates, events };
  }

  #slate(out: Uint8Array[]): Slate {
    const random = this.#random;
    const { startMs, gapMs, users } = this.#options;
    const record = this.#template.slice();
    const view = new DataView(record.buffer);
    const timeMs = Math.floor(startMs + this.#made++ * gapMs);
    const userRow = this.#users.draw(random) % users;
    const requestId = idOf(random);
    view.setUint32(servedAt.userRow, userRow, true);
    view.setFloat64(servedAt.timeMs, timeMs, true);
    writeId128(view, servedAt.requestId, requestId);
    for (let i = 0; i < slateItems; i++) {
      view.setUint32(itemsAt + 4 * i, this.#items.draw(random), true);
    }
    const itemRow = view.getUint32(itemsAt + 4 * random.int(slateItems), true);
    out.push(record);
    return { requestId, userRow, itemRow, timeMs };
  }

  #interact(slate: Slate, out: Uint8Array[]): void {
    const random = this.#random;
    const late = random.next() < disorderShare ? random.next() * 5_000 : 0;
    const timeMs = slate.timeMs + 10_000 - late;
    out.push(this.#event(slate, this.#types.click, timeMs));
    out.push(this.#event(slate, this.#types.watch, timeMs + 5_000));
    if (random.next() >= convertShare) return;
    const atMs = slate.timeMs + 3_600_000;
    this.#later.push({ atMs, record: this.#event(slate, this.#types.convert, atMs) });
  }

  #event(slate: Slate, type: number, timeMs: number): Uint8Array {
    const { userRow, itemRow, requestId } = slate;
    return encodeEvent({
      ...{ type, userRow, itemRow, user: `u${userRow}`, item: `i${itemRow}`, timeMs },
      ...{ receivedMs: slate.timeMs, value: 7, id: idOf(this.#random), requestId },
      categories: [itemRow % 50],
    });
  }
}

function idOf(random: Random): Id128 {
  return [random.nextUint32(), random.nextUint32(), random.nextUint32(), random.nextUint32() | 1];
}

function templateOf(definition: RecommenderDefinition): Uint8Array {
  const { userWidth, itemWidth } = featureCatalog(definition);
  const n = slateItems;
  return encodeServed({
    ...{ requestId: [0, 0, 0, 1], userRow: 0, modelVersion: 1, indexGeneration: 1 },
    ...{ timeMs: 0, asOfMs: 0, userOffset: 0, items: new Uint32Array(n) },
    userDense: new Float32Array(userWidth).fill(0.5),
    categories: new Uint32Array(n),
    moreCategories: new Uint32Array(3 * n).fill(0xffff_ffff),
    routes: new Uint32Array(n),
    scores: new Float32Array(n),
    propensities: new Float32Array(n).fill(Number.NaN),
    heads: new Float32Array(definition.heads.length * n),
    itemOffsets: new Float64Array(n),
    itemDense: new Float32Array(itemWidth * n).fill(0.25),
  });
}
