import { sigmoid } from "../core/numbers.ts";
import { watchBeta } from "../layers/head-losses.ts";
import type { RankerLayout } from "../ranking/layout.ts";

export interface LateLabels {
  /** Rows of the corrections: [from, to). */
  readonly from: number;
  readonly to: number;
  /** heads x stride. */
  readonly stride: number;
  readonly labels: Float32Array;
  readonly logits: Float32Array;
  readonly logitsGradient: Float32Array;
  /** Of each row in the batch's mean loss. */
  readonly rowWeights: Float32Array;
  readonly coefficients: Float64Array;
  /** What each row takes back: log1p of the seconds that were said before. */
  readonly previous: Float32Array;
}

/**
 * A correction takes back what was learned, a negative or fewer seconds, and puts what came in its
 * place: its gradient is grad(label) - grad(previous). Binary heads: grad(1) / (1 - p), bounded at
 * ten times grad(1). A correction has one label: a given head's gradient is its own or the
 * product's.
 */
export function takeBackNegatives(layout: RankerLayout, late: LateLabels): void {
  for (let h = 0; h < layout.heads; h++) {
    for (let r = late.from; r < late.to; r++) {
      if (Number.isNaN(late.labels[h * late.stride + r]!)) continue;
      if (layout.seconds[h]) takeBackSeconds(late, { h, beta: watchBeta(layout, h), r });
      else takeBackNegative(late, { h, given: layout.givenHead[h]!, r });
    }
  }
}

function takeBackNegative(late: LateLabels, at: { h: number; given: number; r: number }): void {
  const { logits, logitsGradient, stride } = late;
  const own = at.h * stride + at.r;
  const given = at.given * stride + at.r;
  const rate = at.given < 0 ? 1 : sigmoid(logits[given]!);
  const factor = 1 / Math.max(0.1, 1 - rate * sigmoid(logits[own]!));
  logitsGradient[own]! *= factor;
  if (at.given >= 0) logitsGradient[given]! *= factor;
}

function takeBackSeconds(late: LateLabels, of: { h: number; beta: number; r: number }): void {
  const { h, beta, r } = of;
  const at = h * late.stride + r;
  const error = late.logits[at]! - late.previous[r]!;
  const ofPrevious = Math.min(1, Math.max(-1, error / beta));
  late.logitsGradient[at]! -= late.coefficients[h]! * late.rowWeights[r]! * ofPrevious;
}
