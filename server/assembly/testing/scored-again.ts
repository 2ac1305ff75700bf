import { noRow } from "../../../models/core/bytes.ts";
import recommender from "../../../models/definition/default.ts";
import { limits } from "../../../models/limits.ts";
import { rankerShapeOf } from "../../../models/ranking/definition-shape.ts";
import { createRanker } from "../../../models/ranking/ranker.ts";
import type { ServedRecord } from "../../../models/training/served.ts";
import type { SharedState } from "../../../workers/shared-state.ts";

const shape = rankerShapeOf(recommender);
const ranker = createRanker(shape);
const heads = shape.heads.length;

/** A reader number that no ranking thread has. */
const reader = limits.readersMax - 1;

/**
 * How far the heads of a slate are from those of the version that it names, on the features that it
 * was ranked with; null where another version is live by now: of that one alone a pin keeps the
 * rows. `served`: by the form of the weights that requests are served with, else by fp32.
 */
export function scoredAgain(
  state: Pick<SharedState, "slots" | "userVectors" | "itemVectors">,
  record: ServedRecord,
  served: boolean,
): number | null {
  const { slots } = state;
  const { modelVersion, items, userDense, itemDense } = record;
  const slot = slots.pin(reader);
  if (slot < 0 || slots.version(slot) !== modelVersion) {
    if (slot >= 0) slots.unpin(reader);
    return null;
  }
  const count = items.length;
  const user = Int32Array.of(record.userRow === noRow ? -1 : record.userRow);
  const userVector = new Float32Array(shape.userEmbedding);
  const itemVectors = new Float32Array(count * shape.itemEmbedding);
  state.userVectors.gather(user, 1, modelVersion, userVector);
  state.itemVectors.gather(items, count, modelVersion, itemVectors);
  const out = new Float32Array(heads * count);
  const weights = slots.weights(slot);
  const inputs = { weights, userDense, itemDense, userVector, itemVectors, count };
  if (served) ranker.scoreSlot(inputs, out);
  else ranker.score(inputs, out);
  slots.unpin(reader);
  return furthest(record, out);
}

function furthest(record: ServedRecord, again: Float32Array): number {
  const count = record.items.length;
  let most = 0;
  for (let i = 0; i < count; i++) {
    for (let h = 0; h < heads; h++) {
      const off = Math.abs(again[h * count + i]! - record.heads[i * heads + h]!);
      most = off > most || Number.isNaN(off) ? off : most;
    }
  }
  return most;
}
