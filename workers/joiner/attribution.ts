import { assert } from "../../models/core/assert.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { impressionIndex, interactionIndex } from "../../models/features/catalog.ts";

/**
 * The rules by which an interaction belongs to a served item, as flat columns.
 *
 * An interaction of type k at event time t belongs to a slate served at s while t <= s +
 * attributionMs[k]. With a request id the slate is named, and a client's clock that lags may even
 * put t before s; without one it is the user's newest slate with that item and s <= t.
 */
export interface AttributionRules {
  readonly types: number;
  readonly heads: number;
  readonly attributionMs: Float64Array;
  /** Head that a type labels, -1 where it labels none. */
  readonly headOf: Int8Array;
  /** 1 where the label sums seconds. */
  readonly isSeconds: Uint8Array;
  /** How many heads sum seconds, and the place of a head among them, -1 for the others. */
  readonly secondsHeads: number;
  readonly secondsAt: Int8Array;
  readonly impression: number;
  /** Only what the client says was shown makes a sample. */
  readonly needsImpression: boolean;
  /** After this all labels but the delayed ones (heads given another head) are in. */
  readonly closeAfterMs: number;
  /** After this nothing belongs to the slate any more. */
  readonly keepMs: number;
}

export function attributionRules(definition: RecommenderDefinition): AttributionRules {
  const { interactions, heads } = definition;
  const headOf = new Int8Array(interactions.length).fill(-1);
  const isSeconds = new Uint8Array(interactions.length);
  const secondsAt = new Int8Array(heads.length).fill(-1);
  let secondsHeads = 0;
  heads.forEach((head, i) => {
    const type = interactionIndex(definition, head.interaction);
    assert(type >= 0, `head ${head.name}: no interaction ${head.interaction}`);
    assert(headOf[type] === -1, `two heads are labelled by ${head.interaction}`);
    headOf[type] = i;
    isSeconds[type] = head.kind === "seconds" ? 1 : 0;
    if (head.kind === "seconds") secondsAt[i] = secondsHeads++;
  });
  const labels = interactions.filter((_, type) => headOf[type] >= 0);
  const prompt = interactions.filter(
    (_, type) => headOf[type] >= 0 && heads[headOf[type]]?.given === undefined,
  );
  const longest = (list: typeof interactions) =>
    Math.max(0, ...list.map((interaction) => interaction.attributionMs));
  return {
    types: interactions.length,
    heads: heads.length,
    attributionMs: Float64Array.from(interactions, (interaction) => interaction.attributionMs),
    headOf,
    isSeconds,
    secondsHeads,
    secondsAt,
    impression: impressionIndex(definition),
    needsImpression: definition.negatives === "impression",
    closeAfterMs: longest(prompt),
    keepMs: longest(labels),
  };
}
