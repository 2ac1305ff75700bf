import { limits } from "../../../models/limits.ts";
import type { FeedContext } from "../feed-context.ts";
import type { Filter } from "../pipeline/stages.ts";

const perItem = limits.itemCategoriesMax;

/** Keeps items of the categories that the request names; a name that nobody knows has no items. */
export function categoryFilter(): Filter<FeedContext> {
  return {
    name: "category",
    reasons: ["other"],
    failsClosed: true,
    applies: ({ request }) => request.categories.length > 0,
    filter({ candidates, attributes, onlyCategories }, out, base) {
      for (let i = 0; i < candidates.count; i++) {
        if (out[i] !== 0) continue;
        let inside = false;
        for (let j = i * perItem; j < (i + 1) * perItem && !inside; j++) {
          inside = onlyCategories.includes(attributes.categories[j]);
        }
        if (!inside) out[i] = base;
      }
      return undefined;
    },
  };
}
