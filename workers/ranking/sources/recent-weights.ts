import type { InteractionWeights } from "../../../models/recall/interaction-weights.ts";
import type { RecallQuery } from "./query.ts";

/** Interactions after which an older one counts half. */
const halfLifeInteractions = 15;
/**
 * An interaction also fades with its time before the newest one, slowly: tastes last for weeks,
 * sessions for minutes. Time since the newest does not count: who stayed away for a year, or whose
 * history was imported, still likes what he liked.
 */
const halfLifeMs = 7 * 86_400_000;
/** An old taste says little beside a new one, but not nothing. */
const halvingsMax = 4;

/** Writes one weight a recent interaction: what it was, how many came since, how much older. */
export function writeRecentWeights(
  query: RecallQuery,
  weights: InteractionWeights,
  out: Float32Array,
): void {
  const { recentCount, recentTypes, recentTimesMs } = query;
  let newestMs = 0;
  for (let i = 0; i < recentCount; i++) newestMs = Math.max(newestMs, recentTimesMs[i]);
  for (let i = 0; i < recentCount; i++) {
    const since = (recentCount - 1 - i) / halfLifeInteractions;
    const age = Math.min(halvingsMax, (newestMs - recentTimesMs[i]) / halfLifeMs);
    out[i] = weights.ofType(recentTypes[i]) * 2 ** -(since + age);
  }
}
