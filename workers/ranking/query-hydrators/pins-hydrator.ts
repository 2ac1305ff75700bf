import type { FeedContext } from "../feed-context.ts";
import type { QueryHydrator } from "../pipeline/stages.ts";
import type { Generations, ModelReader } from "../state.ts";

/**
 * Pins one model version and one index generation for the whole request: everything after reads
 * as of these. `releasePins` gives them back.
 */
export function pinsHydrator(parts: {
  slots: ModelReader;
  generations: Generations;
}): QueryHydrator<FeedContext> {
  return {
    name: "pins",
    essential: true,
    hydrate(context) {
      context.lease = parts.generations.lease();
      if (context.lease === null) context.degrade("index");
      const slot = parts.slots.pin(context.reader);
      context.slot = slot;
      context.modelVersion = slot < 0 ? 0 : parts.slots.version(slot);
      const needsModel = context.request.kind === "recommend" || context.request.kind === "rank";
      if (needsModel && context.modelVersion <= 0) context.degrade("model");
      return undefined;
    },
  };
}

export function releasePins(context: FeedContext, slots: ModelReader): void {
  if (context.slot >= 0) slots.unpin(context.reader);
  context.slot = -1;
  context.lease?.release();
  context.lease = null;
}
