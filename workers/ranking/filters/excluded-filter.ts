import { limits } from "../../../models/limits.ts";
import type { FeedContext } from "../feed-context.ts";
import { RowMarks } from "../pipeline/row-marks.ts";
import type { Filter } from "../pipeline/stages.ts";
import type { RowIds } from "../state.ts";

/** Removes the items that the request excludes. */
export function excludedFilter(items: RowIds): Filter<FeedContext> {
  const excluded = new RowMarks(limits.excludeItemsMax);
  return {
    name: "excluded",
    reasons: ["asked"],
    failsClosed: true,
    applies: ({ request }) => request.exclude.length > 0,
    filter({ candidates, request }, out, base) {
      excluded.clear();
      for (const id of request.exclude) {
        const row = items.find(id);
        if (row >= 0) excluded.mark(row, 0);
      }
      for (let i = 0; i < candidates.count; i++) {
        if (out[i] === 0 && excluded.has(candidates.rows[i])) out[i] = base;
      }
      return undefined;
    },
  };
}
