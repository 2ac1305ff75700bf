import { assert } from "../core/assert.ts";
import type { RecommenderDefinition } from "../definition/define.ts";
import { featureCatalog } from "../features/catalog.ts";

/** Makes NaN of the labels that say nothing about this item, by its features. */
export type LabelMask = (labels: Float32Array, itemDense: Float32Array) => void;

/**
 * Labels of heads that need the item's duration are unknown where it is. Used where samples are
 * made, so that history and live samples are labelled alike.
 */
export function labelMask(definition: RecommenderDefinition): LabelMask {
  const duration = featureCatalog(definition).itemNames.indexOf("item.durationKnown");
  assert(duration >= 0, "every catalogue says whether the duration is known");
  const heads = definition.heads.flatMap(({ needsDuration }, h) => (needsDuration ? [h] : []));
  return (labels, itemDense) => {
    if (itemDense[duration] !== 0) return;
    for (const head of heads) labels[head] = Number.NaN;
  };
}
