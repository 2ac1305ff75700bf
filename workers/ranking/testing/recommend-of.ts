import type { RecommendRequest } from "../messages.ts";

/** A request of user u1 for ten items, with changes. */
export function recommendOf(values: Partial<RecommendRequest> = {}): RecommendRequest {
  return {
    requestId: [1, 2, 3, 4],
    user: "u1",
    recent: [],
    n: 10,
    context: {},
    exclude: [],
    categories: [],
    weights: null,
    details: false,
    explain: false,
    ...values,
  };
}
