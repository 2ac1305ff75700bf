import type { FeedContext } from "../feed-context.ts";
import type { Filter } from "../pipeline/stages.ts";
import type { RowIds } from "../state.ts";

/** An item is not similar to itself. */
export function notGivenFilter(items: RowIds): Filter<FeedContext> {
  return {
    name: "not-given",
    reasons: ["itself"],
    failsClosed: false,
    filter({ candidates, request }, out, base) {
      const row = items.find(request.given[0] ?? "");
      for (let i = 0; i < candidates.count; i++) {
        if (out[i] === 0 && candidates.rows[i] === row) out[i] = base;
      }
      return undefined;
    },
  };
}
