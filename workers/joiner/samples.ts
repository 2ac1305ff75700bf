import { readId128, viewOf } from "../../models/core/bytes.ts";
import type { LabelMask } from "../../models/training/label-mask.ts";
import { type Sample, sampleHeaderBytes, writeSampleHeader } from "../../models/training/sample.ts";
import {
  servedAt,
  servedCategory,
  servedCount,
  servedDense,
  servedItemRow,
  servedTimeMs,
  servedUserRow,
} from "../../models/training/served-view.ts";

/** A sample that follows its slate's; its served record may have to be read from the log. */
export interface LateSample {
  readonly partition: number;
  readonly offset: number;
  readonly place: number;
  readonly kind: "primary" | "correction";
  readonly labels: Float32Array;
  /** What an earlier sample said of the label that is corrected. */
  readonly previous: number;
  readonly weight: number;
  /** When what it says happened and was accepted; left out where nothing came of the item. */
  readonly eventMs?: number;
  readonly acceptedMs?: number;
}

/** One item of a slate, and what is known of it. */
export type OneSample = Omit<LateSample, "partition" | "offset">;

/** Item rows of a served record, in slate order. */
export function itemsOf(view: DataView): Uint32Array {
  const items = new Uint32Array(servedCount(view, 0));
  for (let i = 0; i < items.length; i++) items[i] = servedItemRow(view, 0, items.length, i);
  return items;
}

const arenaBytes = 1 << 20;

/**
 * Makes samples of a served record without decoding it: its features are float32 as a sample's are,
 * so they are copied as they stand. Samples lie side by side in buffers that are never used again.
 */
export class SampleWriter {
  readonly #mask: LabelMask;
  readonly #heads: number;
  /** Labels, the user's features, the item's: as they follow a sample's header. */
  #columns = new Float32Array(0);
  #columnBytes = new Uint8Array(0);
  #labels = new Float32Array(0);
  #userDense = new Float32Array(0);
  #itemDense = new Float32Array(0);
  #arena = new Uint8Array(0);
  #arenaView = viewOf(this.#arena);
  #used = 0;
  /** The record in hand. */
  #record = viewOf(new Uint8Array(0));
  #count = 0;
  #itemsAt = 0;
  #emittedMs = 0;

  constructor(options: { readonly heads: number; readonly mask: LabelMask }) {
    this.#heads = options.heads;
    this.#mask = options.mask;
  }

  /** The record that the next samples are of. */
  begin(record: Uint8Array, emittedMs: number): void {
    const view = viewOf(record);
    this.#record = view;
    this.#emittedMs = emittedMs;
    this.#count = servedCount(view, 0);
    const { userAt, user, item } = servedDense(view, 0, this.#count);
    this.#fit(user, item);
    for (let i = 0; i < user; i++) this.#userDense[i] = view.getFloat32(userAt + 4 * i, true);
    this.#itemsAt = userAt + 4 * user;
  }

  #fit(user: number, item: number): void {
    if (this.#userDense.length === user && this.#itemDense.length === item) return;
    const heads = this.#heads;
    this.#columns = new Float32Array(heads + user + item);
    this.#columnBytes = new Uint8Array(this.#columns.buffer);
    this.#labels = this.#columns.subarray(0, heads);
    this.#userDense = this.#columns.subarray(heads, heads + user);
    this.#itemDense = this.#columns.subarray(heads + user);
  }

  /** The sample of one place of the record in hand. */
  write(one: OneSample): Uint8Array {
    const { place } = one;
    const view = this.#record;
    const itemDense = this.#itemDense;
    const from = this.#itemsAt + 4 * place * itemDense.length;
    for (let i = 0; i < itemDense.length; i++) itemDense[i] = view.getFloat32(from + 4 * i, true);
    const labels = this.#labels;
    for (let h = 0; h < labels.length; h++) labels[h] = one.labels[h];
    this.#mask(labels, itemDense);
    const bytes = sampleHeaderBytes + this.#columnBytes.length;
    const at = this.#room(bytes);
    writeSampleHeader(this.#arenaView, at, this.#headerOf(one));
    this.#arena.set(this.#columnBytes, at + sampleHeaderBytes);
    return this.#arena.subarray(at, at + bytes);
  }

  #headerOf({ place, labels: _, ...one }: OneSample): Sample {
    const view = this.#record;
    return {
      ...one,
      position: place,
      userRow: servedUserRow(view, 0),
      itemRow: servedItemRow(view, 0, this.#count, place),
      categoryRow: servedCategory(view, 0, this.#count, place),
      servedMs: servedTimeMs(view, 0),
      emittedMs: this.#emittedMs,
      requestId: readId128(view, servedAt.requestId),
      labels: this.#labels,
      userDense: this.#userDense,
      itemDense: this.#itemDense,
    };
  }

  #room(bytes: number): number {
    if (this.#used + bytes > this.#arena.length) {
      this.#arena = new Uint8Array(Math.max(arenaBytes, bytes));
      this.#arenaView = viewOf(this.#arena);
      this.#used = 0;
    }
    const at = this.#used;
    this.#used += bytes;
    return at;
  }
}
