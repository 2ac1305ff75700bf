import type { DetailsCache } from "../details-cache.ts";
import type { FeedContext } from "../feed-context.ts";
import type { Hydrator } from "../pipeline/stages.ts";
import { topIndexes } from "../selectors/top-indexes.ts";

/** Documents are fetched for so many times the slate: most of the slate comes from this front. */
const frontFactor = 3;
const frontMax = 150;

/**
 * Starts fetching the documents of the front of the pre-rank, so that they arrive while the model
 * runs; the pipeline waits for them only after the slate is chosen.
 */
export function detailsPrefetch(details: DetailsCache, prefetches: boolean): Hydrator<FeedContext> {
  const front = new Int32Array(frontMax);
  return {
    name: "details-prefetch",
    joins: "sideEffect",
    applies: ({ request }) => prefetches && request.details,
    hydrate({ candidates, request, documents }) {
      const k = Math.min(frontMax, frontFactor * request.n);
      const { preRank, rows, count } = candidates;
      const found = topIndexes({ values: preRank, count, k }, front);
      const wanted = Array.from({ length: found }, (_, i) => rows[front[i]]);
      return details.load(wanted, documents, "prefetch");
    },
  };
}
