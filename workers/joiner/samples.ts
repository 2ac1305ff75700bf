import type { LabelMask } from "../../models/training/label-mask.ts";
import { encodeSample } from "../../models/training/sample.ts";
import { decodeServed, type ServedRecord } from "../../models/training/served.ts";
import { servedCount, servedItemRow } from "../../models/training/served-view.ts";
import { mark, type Slates } from "./slates.ts";

/** A sample that follows its slate's; its served record may have to be read from the log. */
export interface LateSample {
  readonly partition: number;
  readonly offset: number;
  readonly place: number;
  readonly kind: "primary" | "correction";
  readonly labels: Float32Array;
}

/** What samples are made with. */
export interface SampleMaking {
  readonly mask: LabelMask;
  readonly emittedMs: number;
}

/** Item rows of a served record, in slate order. */
export function itemsOf(view: DataView): Uint32Array {
  const items = new Uint32Array(servedCount(view, 0));
  for (let i = 0; i < items.length; i++) items[i] = servedItemRow(view, 0, items.length, i);
  return items;
}

function encodeOne(
  served: ServedRecord,
  userDense: Float32Array,
  one: { place: number; kind: "primary" | "correction"; labels: Float32Array },
  { mask, emittedMs }: SampleMaking,
): Uint8Array {
  const { place } = one;
  const width = served.itemDense.length / served.items.length;
  const itemDense = served.itemDense.subarray(place * width, (place + 1) * width);
  const labels = one.labels.slice();
  mask(labels, itemDense);
  return encodeSample({
    kind: one.kind,
    position: place,
    userRow: served.userRow,
    itemRow: served.items[place],
    categoryRow: served.categories[place],
    weight: 1,
    servedMs: served.timeMs,
    emittedMs,
    requestId: served.requestId,
    labels,
    userDense,
    itemDense,
  });
}

export function sampleOf(record: Uint8Array, late: LateSample, making: SampleMaking): Uint8Array {
  const served = decodeServed(record);
  return encodeOne(served, served.userDense, late, making);
}

/** The primary samples of a slate; marks the rows that they are of. */
export function samplesOf(
  record: Uint8Array,
  slates: Slates,
  options: SampleMaking & { readonly slate: number; readonly needsSeen: boolean },
): { samples: Uint8Array[]; unseen: number } {
  const served = decodeServed(record);
  const samples: Uint8Array[] = [];
  for (let place = 0; place < served.items.length; place++) {
    const row = slates.row(options.slate, place);
    if (options.needsSeen && (slates.marks[row] & mark.seen) === 0) continue;
    slates.marks[row] |= mark.emitted;
    const one = { place, kind: "primary" as const, labels: slates.labelsOf(row) };
    samples.push(encodeOne(served, served.userDense, one, options));
  }
  return { samples, unseen: served.items.length - samples.length };
}
