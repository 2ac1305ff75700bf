import { sigmoid } from "../core/numbers.ts";
import { watchBeta } from "../layers/head-losses.ts";
import type { RankerLayout } from "../ranking/layout.ts";

/** A batch before its step: primaries in rows [0, primaries), corrections up to `rows`. */
export interface BatchLabels {
  readonly primaries: number;
  readonly rows: number;
  /** Of the columns below, heads x stride. */
  readonly stride: number;
  readonly labels: Float32Array;
  readonly logits: Float32Array;
}

export interface LateLabels extends BatchLabels {
  readonly logitsGradient: Float32Array;
  /** Of each row in the batch's mean loss. */
  readonly rowWeights: Float32Array;
  readonly coefficients: Float64Array;
  /** What each row takes back: log1p of the seconds that were said before. */
  readonly previous: Float32Array;
}

/** The predicted chance of head h: with a given head, of the product. */
function chanceOf(layout: RankerLayout, batch: BatchLabels, at: { h: number; r: number }): number {
  const given = layout.givenHead[at.h]!;
  const own = sigmoid(batch.logits[at.h * batch.stride + at.r]!);
  return given < 0 ? own : own * sigmoid(batch.logits[given * batch.stride + at.r]!);
}

/**
 * Fake-negative weighting (Ktena et al. 2019) of the heads that ask for it. There every sample is
 * learned as a negative first, weighing (1 - p)(1 + p), and a positive once more as such, weighing
 * 1 + p, p being the prediction; expected gradients are those of true labels times 1 - p^2. A label
 * that came in time is both at once: its gradients add up to the true one's times 1 - p^2. So
 * primaries weigh 1 - p^2, corrections 1 + p. Writes `scales`, heads x stride; 1 for other heads.
 */
export function fakeNegativeScales(
  layout: RankerLayout,
  batch: BatchLabels,
  scales: Float32Array,
): void {
  for (let h = 0; h < layout.heads; h++) {
    for (let r = 0; r < batch.rows; r++) {
      const p = layout.fakeNegative[h] ? chanceOf(layout, batch, { h, r }) : 0;
      scales[h * batch.stride + r] = r < batch.primaries ? 1 - p * p : 1 + p;
    }
  }
}

/**
 * A correction takes back what was learned, a negative or fewer seconds, and puts what came in its
 * place: its gradient is grad(label) - grad(previous). Binary heads: grad(1) / (1 - p), bounded at
 * ten times grad(1). A correction has one label: a given head's gradient is its own or the
 * product's. Heads of fake-negative weighting are left as they are.
 */
export function takeBackNegatives(layout: RankerLayout, late: LateLabels): void {
  for (let h = 0; h < layout.heads; h++) {
    if (layout.fakeNegative[h]) continue;
    for (let r = late.primaries; r < late.rows; r++) {
      if (Number.isNaN(late.labels[h * late.stride + r]!)) continue;
      if (layout.seconds[h]) takeBackSeconds(late, { h, beta: watchBeta(layout, h), r });
      else takeBackNegative(layout, late, { h, r });
    }
  }
}

function takeBackNegative(
  layout: RankerLayout,
  late: LateLabels,
  at: { h: number; r: number },
): void {
  const { logitsGradient, stride } = late;
  const given = layout.givenHead[at.h]!;
  const factor = 1 / Math.max(0.1, 1 - chanceOf(layout, late, at));
  logitsGradient[at.h * stride + at.r]! *= factor;
  if (given >= 0) logitsGradient[given * stride + at.r]! *= factor;
}

function takeBackSeconds(late: LateLabels, of: { h: number; beta: number; r: number }): void {
  const { h, beta, r } = of;
  const at = h * late.stride + r;
  const error = late.logits[at]! - late.previous[r]!;
  const ofPrevious = Math.min(1, Math.max(-1, error / beta));
  late.logitsGradient[at]! -= late.coefficients[h]! * late.rowWeights[r]! * ofPrevious;
}
