import { padded } from "../../native/index.ts";
import type { RankerLayout } from "./layout.ts";

/**
 * Where head h's logarithm of its scale stands: beside its output's bias, in floats that no
 * gradient reaches, so that weights from before there were scales have one of 1. What it is made of
 * follows: running means of watched and of predicted seconds.
 */
export function scalePlace(layout: RankerLayout, h: number): number {
  const { towerWidths, expertWidths, outputOffset } = layout;
  const width = padded(towerWidths.at(-1) ?? expertWidths.at(-1)!);
  return outputOffset + h * (width + 16) + width + 1;
}

/**
 * Factor that makes head h's seconds right on average; 1 for a head that has none. A network that
 * is fitted to log1p seconds finds their middle, and seconds have a long tail above it.
 */
export function secondsScale(layout: RankerLayout, weights: Float32Array, h: number): number {
  return layout.scaled[h] ? Math.exp(weights[scalePlace(layout, h)]!) : 1;
}

/** Scales the heads that answer mean seconds in `out`, heads x count. */
export function scaleSeconds(
  layout: RankerLayout,
  weights: Float32Array,
  out: Float32Array,
  count: number,
): void {
  for (let h = 0; h < layout.heads; h++) {
    const scale = secondsScale(layout, weights, h);
    if (scale === 1) continue;
    for (let i = h * count; i < (h + 1) * count; i++) out[i]! *= scale;
  }
}
