import { assert } from "../../models/core/assert.ts";
import { noRow } from "../../models/core/bytes.ts";
import type { Sample } from "../../models/training/sample.ts";

/**
 * The rows that each row's user met before, strictly earlier, newest first: rows x length indices
 * into `rows`, -1 where there are no more. Rows must be in the order of time.
 */
export function recentRows(
  rows: readonly Pick<Sample, "userRow" | "servedMs">[],
  length: number,
): Int32Array {
  const out = new Int32Array(rows.length * length).fill(-1);
  const met = new Map<number, number[]>();
  rows.forEach(({ userRow, servedMs }, at) => {
    assert(at === 0 || servedMs >= rows[at - 1]!.servedMs, "rows stand in the order of time");
    if (userRow === noRow) return;
    const own = met.get(userRow) ?? [];
    met.set(userRow, own);
    let end = own.length;
    while (end > 0 && rows[own[end - 1]!]!.servedMs === servedMs) end--;
    out.set(own.slice(Math.max(0, end - length), end).toReversed(), at * length);
    own.push(at);
  });
  return out;
}
