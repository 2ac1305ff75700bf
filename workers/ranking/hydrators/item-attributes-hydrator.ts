import type { FeedContext } from "../feed-context.ts";
import type { Hydrator } from "../pipeline/stages.ts";
import type { RankingState } from "../state.ts";

/** Attributes of every candidate: what the filters and the encoder look at. */
export function itemAttributesHydrator(state: RankingState): Hydrator<FeedContext> {
  return {
    name: "item-attributes",
    essential: true,
    hydrate(context) {
      const { candidates, attributes } = context;
      // Should the read fail, eligibility must see items that may not be shown.
      attributes.deleted.fill(1, 0, candidates.count);
      state.readAttributes(candidates.rows, candidates.count, attributes);
      context.documentsTo = state.appliedDocuments.begun();
      return undefined;
    },
  };
}
