import { assert } from "../../../models/core/assert.ts";
import type { RecommenderDefinition } from "../../../models/definition/define.ts";
import { InteractionWeights } from "../../../models/recall/interaction-weights.ts";
import type { FeedContext } from "../feed-context.ts";
import type { QueryHydrator } from "../pipeline/stages.ts";
import type { RowIds } from "../state.ts";

/** Asks the routes as if the given item were all that somebody ever took to. */
export function givenAsRecentHydrator(
  items: RowIds,
  definition: RecommenderDefinition,
): QueryHydrator<FeedContext> {
  const weights = new InteractionWeights(definition.interactions);
  const type = definition.interactions.findIndex((_, index) => weights.ofType(index) > 0);
  assert(type >= 0, "a definition has an interaction that says something");
  return {
    name: "given-as-recent",
    essential: true,
    hydrate({ request, user, nowMs }) {
      const row = items.find(request.given[0] ?? "");
      user.recentCount = row < 0 ? 0 : 1;
      user.recentItems[0] = row;
      user.recentTypes[0] = type;
      user.recentTimesMs[0] = nowMs;
      return undefined;
    },
  };
}
