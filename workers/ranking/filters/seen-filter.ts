import { limits } from "../../../models/limits.ts";
import type { FeedContext } from "../feed-context.ts";
import { RowMarks } from "../pipeline/row-marks.ts";
import type { Filter } from "../pipeline/stages.ts";
import type { SequenceReader } from "../state.ts";

/**
 * Removes what the user was served lately. Stands last among the filters: where too few would be
 * left for the slate, what was served longest ago may come again.
 */
export function seenFilter(seen: SequenceReader): Filter<FeedContext> {
  const marks = new RowMarks(limits.seenItemsPerUser);
  const rows = new Uint32Array(limits.seenItemsPerUser);
  return {
    name: "seen",
    reasons: ["served"],
    failsClosed: false,
    applies: ({ user }) => user.row >= 0,
    filter({ candidates, user, request }, out, base) {
      const count = seen.read(user.row, rows);
      marks.clear();
      // The newest first: of a row that is in twice the last time counts.
      for (let i = count - 1; i >= 0; i--) marks.mark(rows[i], i);
      let left = 0;
      for (let i = 0; i < candidates.count; i++) {
        if (out[i] !== 0) continue;
        if (marks.has(candidates.rows[i])) out[i] = base;
        else left++;
      }
      if (left < request.n)
        readmit(candidates.rows.subarray(0, candidates.count), request.n - left);
      return undefined;

      function readmit(candidateRows: Int32Array, wanted: number): void {
        const removed = [...candidateRows.keys()].filter((i) => out[i] === base);
        const since = (i: number) => marks.mark(candidateRows[i], 0);
        removed.sort((a, b) => since(a) - since(b));
        for (const i of removed.slice(0, wanted)) out[i] = 0;
      }
    },
  };
}
