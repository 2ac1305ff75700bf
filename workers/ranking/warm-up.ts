import { noId } from "../../models/core/bytes.ts";
import { createRankingEngine, type EngineOptions } from "./build.ts";
import { noMetrics } from "./state.ts";

/** Enough for the hot loops to be compiled; a thread that is replaced must not wait long. */
const roundsMax = 300;
const budgetMs = 250;

/**
 * Runs the anonymous feed on an engine of its own that records nothing, until the code is
 * compiled: the first requests of a cold thread take tens of times as long as later ones.
 */
export async function warmUp(options: EngineOptions): Promise<void> {
  const log = { append: async () => 0 };
  const engine = createRankingEngine({ ...options, log, metrics: noMetrics });
  const { state, clock, definition } = options;
  const untilMs = clock.nowMs() + budgetMs;
  const known = Math.min(state.items.size, 20);
  const recent = Array.from({ length: known }, (_, row) => ({
    item: state.items.id(row),
    type: definition.interactions.length - 1,
    timeMs: clock.nowMs(),
  }));
  const call = {
    kind: "recommend",
    request: {
      ...{ requestId: noId, user: null, recent, n: definition.slateDefault, context: {} },
      ...{ exclude: [], categories: [], weights: null, details: false, explain: false },
    },
  } as const;
  for (let i = 0; i < roundsMax && clock.nowMs() < untilMs; i++) await engine.answerNow(call);
}
