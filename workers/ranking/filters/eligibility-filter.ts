import type { FeedContext } from "../feed-context.ts";
import type { Filter } from "../pipeline/stages.ts";

const reasons = ["unknown", "deleted", "hidden", "expired"] as const;

/**
 * Removes what may not be shown. Fails closed: attributes that could not be read look deleted.
 * An item without a document passes only where a source in `idSources` found it: routes that know
 * items by their interactions may recall an item of which nothing else is known.
 */
export function eligibilityFilter(idSources: number): Filter<FeedContext> {
  return {
    name: "eligibility",
    reasons,
    failsClosed: true,
    filter({ candidates, attributes, nowMs }, out, base) {
      const { known, deleted, hidden, expiresAtMs } = attributes;
      for (let i = 0; i < candidates.count; i++) {
        if (out[i] !== 0) continue;
        const expires = expiresAtMs[i];
        if (deleted[i] !== 0) out[i] = base + 1;
        else if (known[i] === 0 && (candidates.sources[i] & idSources) === 0) out[i] = base;
        else if (hidden[i] !== 0) out[i] = base + 2;
        else if (expires > 0 && expires <= nowMs) out[i] = base + 3;
      }
      return undefined;
    },
  };
}
