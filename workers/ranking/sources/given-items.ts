import type { FeedContext } from "../feed-context.ts";
import type { Source } from "../pipeline/stages.ts";
import type { RowIds } from "../state.ts";

/** The items that the request names, in its order; ids that have no row are passed over. */
export function givenItems(items: RowIds): Source<FeedContext> {
  return {
    name: "given",
    essential: true,
    retrieve({ request }, out) {
      let found = 0;
      for (const id of request.given) {
        const row = items.find(id);
        if (row < 0 || found === out.rows.length) continue;
        out.rows[found] = row;
        out.scores[found++] = 0;
      }
      return found;
    },
  };
}
