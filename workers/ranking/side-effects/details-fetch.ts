import type { DetailsCache } from "../details-cache.ts";
import type { FeedContext } from "../feed-context.ts";
import type { SideEffect } from "../pipeline/stages.ts";

/** The documents of the slate that the prefetch did not bring. */
export function detailsFetch(details: DetailsCache): SideEffect<FeedContext> {
  return {
    name: "details",
    applies: ({ request }) => request.details,
    perform({ candidates, documents }) {
      const rows = Array.from(
        { length: candidates.selectedCount },
        (_, i) => candidates.rows[candidates.selected[i]],
      );
      return details.load(rows, documents, "answer");
    },
  };
}
