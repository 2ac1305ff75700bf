import type { RankerShape } from "./layout.ts";

/**
 * A shared bottom (Caruana 1997), the baseline of multi-task ranking: one trunk, a tower per head.
 * It is a mixture with a single expert, whose gate has nothing to choose; `width` experts' worth of
 * trunk keeps the number of parameters of the mixture it is compared with.
 */
export function sharedBottomShape(shape: RankerShape, width = 1): RankerShape {
  const expertLayers = shape.expertLayers.map((one) => Math.round(one * width));
  return { ...shape, model: "shared-bottom", experts: 1, expertLayers };
}
