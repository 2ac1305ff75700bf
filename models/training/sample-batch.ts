import type { RankerLayout } from "../ranking/layout.ts";
import type { Sample } from "./sample.ts";

/** Beyond this a feature is not a measurement; its square would drown the moments. */
const featureMax = 1e9;
const weightMax = 1e3;
const secondsMax = 1e7;

function allWithin(values: Float32Array, limit: number): boolean {
  for (let i = 0; i < values.length; i++) if (!(Math.abs(values[i]!) <= limit)) return false;
  return true;
}

/** Why a sample must not be learned from; null where it may. */
export function faultOf(layout: RankerLayout, sample: Sample): "shape" | "value" | null {
  const { labels, userDense, itemDense } = sample;
  const fits =
    labels.length === layout.heads &&
    userDense.length === layout.userDense &&
    itemDense.length === layout.itemDense;
  if (!fits) return "shape";
  if (!(sample.weight >= 0 && sample.weight <= weightMax)) return "value";
  const previous = sample.previous ?? 0;
  if (!(previous >= 0 && previous <= secondsMax)) return "value";
  if (!allWithin(userDense, featureMax) || !allWithin(itemDense, featureMax)) return "value";
  for (let h = 0; h < labels.length; h++) {
    const label = labels[h]!;
    const limit = layout.seconds[h] ? secondsMax : 1;
    // NaN says that this head's outcome is unknown: it masks the head, it harms nothing.
    if (label < 0 || label > limit) return "value";
  }
  return null;
}

/**
 * Samples as columns. Primary samples stand first, in order, then corrections: those say only that
 * something came late after all, so a label of theirs is known where it is positive.
 */
export class SampleBatch {
  readonly rowsMax: number;
  readonly userRows: Uint32Array;
  readonly itemRows: Uint32Array;
  readonly positions: Uint16Array;
  readonly weights: Float32Array;
  /** What a correction takes back; seconds as log1p. */
  readonly previous: Float32Array;
  /** heads x rowsMax; seconds as log1p. */
  readonly labels: Float32Array;
  readonly userDense: Float32Array;
  readonly itemDense: Float32Array;
  readonly #layout: RankerLayout;
  rows = 0;
  /** Rows before the corrections. */
  primaries = 0;
  /** When the newest was served, epoch milliseconds. */
  timeMs = 0;

  constructor(layout: RankerLayout, rowsMax: number) {
    this.#layout = layout;
    this.rowsMax = rowsMax;
    this.userRows = new Uint32Array(rowsMax);
    this.itemRows = new Uint32Array(rowsMax);
    this.positions = new Uint16Array(rowsMax);
    this.weights = new Float32Array(rowsMax);
    this.previous = new Float32Array(rowsMax);
    this.labels = new Float32Array(rowsMax * layout.heads);
    this.userDense = new Float32Array(rowsMax * layout.userDense);
    this.itemDense = new Float32Array(rowsMax * layout.itemDense);
  }

  /** Takes at most rowsMax samples; returns how many it refused. */
  fill(samples: readonly Sample[]): number {
    this.rows = 0;
    this.timeMs = 0;
    let refused = 0;
    for (const kind of ["primary", "correction"] as const) {
      for (const sample of samples) {
        if (sample.kind !== kind) continue;
        if (faultOf(this.#layout, sample) === null) this.#append(sample);
        else refused++;
      }
      if (kind === "primary") this.primaries = this.rows;
    }
    return refused;
  }

  #append(sample: Sample): void {
    const r = this.rows++;
    const { userDense, itemDense } = this.#layout;
    this.userRows[r] = sample.userRow;
    this.itemRows[r] = sample.itemRow;
    this.positions[r] = sample.position;
    this.weights[r] = sample.weight;
    this.timeMs = Math.max(this.timeMs, sample.servedMs);
    this.previous[r] = Math.log1p(sample.previous ?? 0);
    this.userDense.set(sample.userDense, r * userDense);
    this.itemDense.set(sample.itemDense, r * itemDense);
    for (let h = 0; h < this.#layout.heads; h++) {
      this.labels[h * this.rowsMax + r] = this.#label(sample, h);
    }
  }

  #label(sample: Sample, h: number): number {
    const label = sample.labels[h]!;
    if (sample.kind === "correction" && !(label > 0)) return Number.NaN;
    return this.#layout.seconds[h] ? Math.log1p(label) : label;
  }
}
