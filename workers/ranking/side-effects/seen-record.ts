import type { FeedContext } from "../feed-context.ts";
import type { SideEffect } from "../pipeline/stages.ts";
import type { SequenceRows } from "../state.ts";

/** Remembers what left for the user, so that the next slate brings something else. */
export function seenRecord(seen: SequenceRows): SideEffect<FeedContext> {
  const record = new Uint32Array(1);
  return {
    name: "seen-record",
    essential: true,
    applies: ({ user }) => user.row >= 0,
    perform({ candidates, user }) {
      for (let i = 0; i < candidates.selectedCount; i++) {
        record[0] = candidates.rows[candidates.selected[i]];
        seen.push(user.row, record, -1);
      }
      return undefined;
    },
  };
}
