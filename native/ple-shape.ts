import { mmoeLayersMax, padded } from "./kernel-set.ts";

/** Extraction levels at most: more did not pay where the method was published. */
export const pleLevelsMax = 3;

/** How the experts of a level are shared out; the same on every level. */
export interface ExtractionSizes {
  readonly heads: number;
  /** Experts of each head's own, and those that all heads see. */
  readonly headExperts: number;
  readonly sharedExperts: number;
  readonly levels: number;
  readonly expertWidths: readonly number[];
}

/**
 * Sizes of a progressive layered extraction (Tang et al. 2020) and the places of its parameters in
 * one flat array; pad(n) is n rounded up to 16.
 *
 * Experts stand in the order [head 0's own, head 1's own, ..., shared]. On each level a head's gate
 * sees its own experts, then the shared; below the last level a shared gate sees all. What a gate
 * mixes is what the next level's experts and gate of the same group start from; the last level's
 * mixtures enter the towers. Level 0 starts from the inputs: its experts' first layer and its gates
 * are columns of layer one, [experts x pad(width) | pad(gate logits, then one skip per head)].
 */
export interface PleShape extends ExtractionSizes {
  readonly userDense: number;
  readonly userVector: number;
  readonly itemDense: number;
  readonly itemVector: number;
  readonly towerWidths: readonly number[];
  readonly userMean: number;
  readonly userScale: number;
  readonly itemMean: number;
  readonly itemScale: number;
  readonly layerOne: number;
  readonly layerOneBias: number;
  /** [level][layer]: experts x ([in x pad(out)], bias pad(out)). Entry [0][0]: 0. */
  readonly expertOffsets: readonly (readonly number[])[];
  /** [level]: gates x ([in x pad(seen)], bias pad(seen)). Entry 0: 0. */
  readonly gateOffsets: readonly number[];
  /** Per tower layer: heads x ([in x pad(out)], bias pad(out)). */
  readonly towerOffsets: readonly number[];
  /** heads x (pad(last width) weights, then 16 floats of which the first is the bias). */
  readonly outputOffset: number;
  readonly floats: number;
  /** Bit h: head h predicts log1p seconds. */
  readonly secondsHeads: number;
  /** The same numbers in the order the native side reads; `packPleShape` makes it. */
  readonly packed: Int32Array;
}

export interface LevelSizes {
  readonly experts: number;
  /** One a head, and the shared one below the last level. */
  readonly gates: number;
  /** Experts that a head's gate sees. */
  readonly seen: number;
  /** Gate logits of a row: heads x seen, then the shared gate's. */
  readonly logits: number;
  /** Floats of the level's gates, where they are not part of layer one. */
  readonly parameters: number;
}

/** Sizes of one level. */
export function extractionSizes(shape: ExtractionSizes, level: number): LevelSizes {
  const { heads, headExperts, sharedExperts, levels, expertWidths } = shape;
  const experts = heads * headExperts + sharedExperts;
  const shared = level < levels - 1 ? 1 : 0;
  const seen = headExperts + sharedExperts;
  const rows = (expertWidths.at(-1) ?? 0) + 1;
  return {
    experts,
    gates: heads + shared,
    seen,
    logits: heads * seen + shared * experts,
    parameters: rows * (heads * padded(seen) + shared * padded(experts)),
  };
}

function fill(values: readonly number[], count: number): number[] {
  return Array.from({ length: count }, (_, i) => values[i] ?? 0);
}

/** The numbers of a shape in the native order. */
export function packPleShape(shape: Omit<PleShape, "packed">): Int32Array {
  const layers = (values: readonly number[]) => fill(values, mmoeLayersMax);
  const levels = Array.from({ length: pleLevelsMax }, (_, l) => shape.expertOffsets[l] ?? []);
  return Int32Array.from([
    shape.userDense,
    shape.userVector,
    shape.itemDense,
    shape.itemVector,
    shape.heads,
    shape.headExperts,
    shape.sharedExperts,
    shape.levels,
    shape.expertWidths.length,
    shape.towerWidths.length,
    ...layers(shape.expertWidths),
    ...layers(shape.towerWidths),
    shape.userMean,
    shape.userScale,
    shape.itemMean,
    shape.itemScale,
    shape.layerOne,
    shape.layerOneBias,
    ...levels.flatMap(layers),
    ...fill(shape.gateOffsets, pleLevelsMax),
    ...layers(shape.towerOffsets),
    shape.outputOffset,
    shape.floats,
    shape.secondsHeads,
  ]);
}

const scoreRows = 168;

/** Floats of workspace that scoring needs, whatever the number of rows. */
export function pleWorkspace(shape: Omit<PleShape, "packed">): number {
  const { expertWidths, towerWidths, heads } = shape;
  const { experts, gates, logits } = extractionSizes(shape, 0);
  const columns = experts * padded(expertWidths[0] ?? 0) + padded(logits + heads);
  const user = shape.userDense + shape.userVector;
  const item = shape.itemDense + shape.itemVector;
  const wide = [
    gates * padded(expertWidths.at(-1) ?? 0),
    ...expertWidths.map((width) => experts * padded(width)),
    ...towerWidths.map((width) => heads * padded(width)),
  ];
  const perRow = Math.max(user, item) + columns + 2 * Math.max(...wide) + 2 * logits + 1;
  return scoreRows * perRow + columns;
}
