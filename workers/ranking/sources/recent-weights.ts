import type { InteractionWeights } from "../../../models/recall/interaction-weights.ts";
import type { RecallQuery } from "./query.ts";

/** Interactions after which an older one counts half. */
const halfLifeInteractions = 15;
/** An interaction also fades with time, slowly: tastes last for weeks, sessions for minutes. */
const halfLifeMs = 7 * 86_400_000;

/** Writes one weight a recent interaction: what it was, how many came since, how long ago. */
export function writeRecentWeights(
  query: RecallQuery,
  weights: InteractionWeights,
  out: Float32Array,
): void {
  const { recentCount, recentTypes, recentTimesMs, nowMs } = query;
  for (let i = 0; i < recentCount; i++) {
    const since = (recentCount - 1 - i) / halfLifeInteractions;
    const age = Math.max(0, nowMs - recentTimesMs[i]) / halfLifeMs;
    out[i] = weights.ofType(recentTypes[i]) * 2 ** -(since + age);
  }
}
