import { noRow } from "../core/bytes.ts";

/** Times what the other users of a batch have on average, and at least so many. */
const averages = 4;
const positivesLeast = 1;

/** Rows of a batch and whose they are. */
export interface LabelledRows {
  readonly rows: number;
  readonly users: Uint32Array;
  /** Of one head; NaN where unknown. */
  readonly labels: Float32Array;
}

/**
 * How much each user's positives count where they speak for all: what one user has beyond four
 * times the average of the others counts no more, so that one place cannot say what labels are
 * like. Where labels turn for everybody the others have as many. Holds shares below 1 only.
 */
export function positiveShares({ rows, users, labels }: LabelledRows): Map<number, number> {
  const positives = new Map<number, number>();
  for (let r = 0; r < rows; r++) {
    const label = labels[r]!;
    if (users[r] === noRow || Number.isNaN(label)) continue;
    positives.set(users[r]!, (positives.get(users[r]!) ?? 0) + label);
  }
  const all = [...positives.values()].reduce((sum, count) => sum + count, 0);
  const shares = new Map<number, number>();
  for (const [user, count] of positives) {
    const ofOthers = positives.size > 1 ? (all - count) / (positives.size - 1) : count;
    const most = Math.max(positivesLeast, averages * ofOthers);
    if (count > most) shares.set(user, most / count);
  }
  return shares;
}
