import {
  readSequenceTime,
  sequenceAt,
  sequenceWords,
  writeSequenceRecord,
} from "../../../models/features/sequence-record.ts";
import { limits } from "../../../models/limits.ts";
import type { FeedContext, UserState } from "../feed-context.ts";
import type { RecentInteraction } from "../messages.ts";
import type { QueryHydrator } from "../pipeline/stages.ts";
import type { RankingState, RowIds } from "../state.ts";

const length = limits.recentInteractionsPerUser;

/**
 * The user's row, counters and recent sequence, and the counters of all users. Interactions of the
 * request itself follow the stored ones (an anonymous session has only these). An unknown user
 * allocates nothing.
 */
export function userHydrator(state: RankingState): QueryHydrator<FeedContext> {
  const row = new Int32Array(1);
  const one = Int32Array.of(0);
  const offsets = new Float64Array(limits.logPartitionsMax).fill(-1);
  return {
    name: "user",
    essential: true,
    hydrate(context) {
      const { request, user, aggregates, nowMs } = context;
      context.documentsFrom = state.appliedDocuments.applied();
      user.row = request.user === null ? -1 : state.users.find(request.user);
      row[0] = user.row;
      if (user.row >= 0) {
        state.windows.user.read(row, 1, nowMs, { out: user.counts, offsets });
        // One partition owns the user, the others have nothing.
        user.offset = Math.max(...offsets);
        user.recentCount = state.recent.read(user.row, user.recent, user.recentOffset);
      }
      aggregates.user.readRows(state.aggregates.user, { rows: row, count: 1 }, nowMs);
      const { partials } = state.windows.global;
      if (user.globalOffsets.length < partials) user.globalOffsets = new Float64Array(partials);
      const all = { out: user.globalCounts, offsets: user.globalOffsets };
      state.windows.global.read(one, 1, nowMs, all);
      aggregates.global.readRows(state.aggregates.global, { rows: one, count: 1 }, nowMs);
      appendSession(user, request.recent, state.items);
      splitColumns(user);
      state.readAttributes(user.recentItems, user.recentCount, user.recentAttributes);
      return undefined;
    },
  };
}

/** Adds the request's interactions; the oldest leave when there are too many. */
function appendSession(user: UserState, recent: readonly RecentInteraction[], items: RowIds): void {
  for (const { item, type, timeMs } of recent) {
    const itemRow = items.find(item);
    if (itemRow < 0) continue;
    if (user.recentCount === length) {
      user.recent.copyWithin(0, sequenceWords);
      user.recentCount--;
    }
    writeSequenceRecord({ itemRow, type, timeMs }, user.recent, user.recentCount++);
    user.sessionCount = Math.min(length, user.sessionCount + 1);
  }
}

function splitColumns(user: UserState): void {
  for (let i = 0; i < user.recentCount; i++) {
    const at = i * sequenceWords;
    user.recentItems[i] = user.recent[at + sequenceAt.itemRow];
    user.recentTypes[i] = user.recent[at + sequenceAt.type];
    user.recentTimesMs[i] = readSequenceTime(user.recent, i);
  }
}
