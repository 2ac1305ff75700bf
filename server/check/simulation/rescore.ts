import { noRow } from "../../../models/core/bytes.ts";
import type { RecommenderDefinition } from "../../../models/definition/define.ts";
import { rankerShapeOf } from "../../../models/ranking/definition-shape.ts";
import { createRanker, type Ranker, type RankerShape } from "../../../models/ranking/ranker.ts";
import { decodeServed, type ServedRecord } from "../../../models/training/served.ts";
import type { SharedState } from "../../../workers/shared-state.ts";

/** Sums over candidates in blocks of another size. */
const tolerance = 1e-5;

/**
 * Scores a slate again with the version and the features that its record names, while the request
 * still pins that version; what differs, empty where nothing does.
 */
export function rescorer(
  definition: RecommenderDefinition,
  state: SharedState,
): (record: Uint8Array) => string {
  const shape = rankerShapeOf(definition);
  const ranker = createRanker(shape);
  return (bytes) => rescore({ shape, ranker, state }, decodeServed(bytes));
}

interface Parts {
  readonly shape: RankerShape;
  readonly ranker: Ranker;
  readonly state: SharedState;
}

function rescore({ shape, ranker, state }: Parts, record: ServedRecord): string {
  const { modelVersion, items, userDense, itemDense, userRow } = record;
  if (modelVersion === 0) return "";
  const { slots } = state;
  const slot = Array.from({ length: slots.slots }, (_, i) => i).find(
    (one) => slots.version(one) === modelVersion,
  );
  if (slot === undefined) return `version ${modelVersion} was answered with and is in no slot`;
  const count = items.length;
  const userVector = new Float32Array(shape.userEmbedding);
  const itemVectors = new Float32Array(count * shape.itemEmbedding);
  state.userVectors.gather(
    Int32Array.of(userRow === noRow ? -1 : userRow),
    1,
    modelVersion,
    userVector,
  );
  state.itemVectors.gather(items, count, modelVersion, itemVectors);
  const heads = shape.heads.length;
  const out = new Float32Array(heads * count);
  const weights = slots.weights(slot);
  ranker.scoreSlot({ weights, userDense, itemDense, userVector, itemVectors, count }, out);
  for (let i = 0; i < count * heads; i++) {
    const is = record.heads[i]!;
    const should = out[(i % heads) * count + Math.floor(i / heads)]!;
    if (Math.abs(is - should) <= tolerance * Math.max(1, Math.abs(should))) continue;
    return `version ${modelVersion} scores ${should}, the answer had ${is}`;
  }
  return "";
}
