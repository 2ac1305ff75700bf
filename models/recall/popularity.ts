import type { PopularItems } from "./generation.ts";
import { TopRows } from "./top-rows.ts";

/** The `countMax` items that most users took to, in shared memory. */
export function popularItems(users: Uint32Array, countMax: number): PopularItems {
  const top = new TopRows(countMax);
  for (let row = 0; row < users.length; row++) if (users[row] > 0) top.offer(row, users[row]);
  const size = top.size;
  const rows = new Int32Array(new SharedArrayBuffer(4 * size));
  const scores = new Float32Array(new SharedArrayBuffer(4 * size));
  top.drain(rows, scores);
  return { rows, scores };
}
