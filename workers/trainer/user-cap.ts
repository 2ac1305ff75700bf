import { noRow } from "../../models/core/bytes.ts";
import type { Sample } from "../../models/training/sample.ts";

/** Batches over which a user's samples are counted. */
const batches = 10;
/** A slate's worth, or so many times what the other users have on average. */
const samplesMin = 20;
const averages = 4;

/**
 * Leaves out what one user has beyond her share of the latest ten batches, so that a flood from one
 * place is a trickle. Where users are few, each may have more. Samples of users without a
 * row are nobody's, and stay; corrections are late labels of samples that were counted.
 */
export class UserCap {
  /** Kept samples by user, newest batch last. */
  #window: Map<number, number>[] = [];

  apply(batch: readonly Sample[]): readonly Sample[] {
    const before = this.#sums();
    const offered = new Map<number, number>();
    for (const { userRow } of batch) offered.set(userRow, (offered.get(userRow) ?? 0) + 1);
    for (const [user, count] of before) offered.set(user, (offered.get(user) ?? 0) + count);
    const ofOthers = averageWithout(offered);
    const kept = new Map<number, number>();
    const out = batch.filter(({ kind, userRow }) => {
      if (kind !== "primary" || userRow === noRow) return true;
      const count = (kept.get(userRow) ?? 0) + 1;
      const most = Math.max(samplesMin, averages * ofOthers(userRow));
      const isOver = (before.get(userRow) ?? 0) + count > most;
      if (!isOver) kept.set(userRow, count);
      return !isOver;
    });
    this.#window.push(kept);
    if (this.#window.length >= batches) this.#window.shift();
    return out;
  }

  /** What each user had kept of the batches before. */
  #sums(): Map<number, number> {
    const sums = new Map<number, number>();
    for (const counts of this.#window) {
      for (const [user, count] of counts) sums.set(user, (sums.get(user) ?? 0) + count);
    }
    return sums;
  }

  /** All state: how many batches, then triples of the batch's place, the user and her count. */
  save(): Uint32Array {
    const triples = this.#window.map((counts, i) =>
      [...counts].flatMap(([user, count]) => [i, user, count]),
    );
    return Uint32Array.from([this.#window.length, ...triples.flat()]);
  }

  restore(saved: Uint32Array): void {
    // Older states have triples alone, and so no batches at the end of which nothing was kept.
    const from = saved.length % 3;
    const length = from === 1 ? saved[0]! : 1 + (saved.at(-3) ?? -1);
    this.#window = Array.from({ length }, () => new Map());
    for (let at = from; at < saved.length; at += 3) {
      this.#window[saved[at]!]?.set(saved[at + 1]!, saved[at + 2]!);
    }
  }
}

/** What the known users but one have on average; her own where she is alone. */
function averageWithout(counts: ReadonlyMap<number, number>): (user: number) => number {
  const known = [...counts].filter(([user]) => user !== noRow);
  const all = known.reduce((sum, [, count]) => sum + count, 0);
  return (user) => (known.length > 1 ? (all - (counts.get(user) ?? 0)) / (known.length - 1) : all);
}
