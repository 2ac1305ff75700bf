import type { RankerLayout } from "../ranking/layout.ts";
import { scalePlace } from "../ranking/seconds-scale.ts";

/** Samples over which a scale follows what is watched. */
const horizon = 4_000;
/** Logarithm of the scale, at most: a factor of 4.5. */
const logScaleMax = 1.5;

/** Head columns of `stride` rows, of which the first `rows` count; labels are log1p seconds. */
export interface SecondsColumns {
  readonly logits: Float32Array;
  readonly labels: Float32Array;
  readonly weights: Float32Array;
  readonly rows: number;
  readonly stride: number;
}

/**
 * Sets the scales of seconds heads to watched over predicted seconds, both as running means. Means
 * and scales stand among the weights, so that all that keeps weights keeps them.
 */
export function calibrateSeconds(
  layout: RankerLayout,
  weights: Float32Array,
  columns: SecondsColumns,
): void {
  for (let h = 0; h < layout.heads; h++) {
    if (!layout.scaled[h]) continue;
    const { watched, predicted, rowsKnown } = secondsOf(columns, h);
    if (rowsKnown === 0 || !Number.isFinite(watched + predicted)) continue;
    const at = scalePlace(layout, h);
    const share = Math.min(1, rowsKnown / horizon);
    weights[at + 1]! += share * (watched / rowsKnown - weights[at + 1]!);
    weights[at + 2]! += share * (predicted / rowsKnown - weights[at + 2]!);
    if (!(weights[at + 1]! > 0 && weights[at + 2]! > 0)) continue;
    const logScale = Math.log(weights[at + 1]! / weights[at + 2]!);
    weights[at] = Math.min(logScaleMax, Math.max(-logScaleMax, logScale));
  }
}

/** Sums over the rows whose label is known. */
function secondsOf(columns: SecondsColumns, h: number) {
  const { logits, labels, weights, rows, stride } = columns;
  let [watched, predicted, rowsKnown] = [0, 0, 0];
  for (let r = 0; r < rows; r++) {
    const label = labels[h * stride + r]!;
    if (Number.isNaN(label)) continue;
    rowsKnown++;
    watched += weights[r]! * Math.expm1(label);
    predicted += weights[r]! * Math.expm1(Math.max(0, logits[h * stride + r]!));
  }
  return { watched, predicted, rowsKnown };
}
