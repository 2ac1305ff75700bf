import type { FeedContext } from "../feed-context.ts";
import type { Source } from "../pipeline/stages.ts";
import type { RecallQuery, RecallSource } from "./query.ts";

function queryOf({ user, lease, nowMs }: FeedContext): RecallQuery {
  return {
    userRow: user.row,
    recentItems: user.recentItems,
    recentTypes: user.recentTypes,
    recentTimesMs: user.recentTimesMs,
    recentCount: user.recentCount,
    categories: user.categories,
    generation: lease?.generation ?? null,
    nowMs,
  };
}

/** A recall route as a source of the pipeline. */
export function recallRoute(route: RecallSource, quota: number): Source<FeedContext> {
  return {
    name: route.name,
    // Always something to show: this route needs neither a user nor an index.
    essential: route.name === "trending",
    retrieve: (context, out) => route.recall(queryOf(context), quota, out),
  };
}
