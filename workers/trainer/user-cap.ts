import { noRow } from "../../models/core/bytes.ts";
import type { Sample } from "../../models/training/sample.ts";

/** Batches over which a user's samples are counted. */
const batches = 10;
/** A slate's worth, half of it with something that happened. */
const least = { samples: 20, positives: 10 } as const;
/** Or so many times what the other users have on average. */
const averages = 4;

/** Samples of a user, and those of them with a positive label. */
interface Count {
  readonly samples: number;
  readonly positives: number;
}

type Counts = Map<number, Count>;

const nothing: Count = { samples: 0, positives: 0 };

/**
 * Leaves out what one user has beyond her share of the latest ten batches, so that a flood from one
 * place is a trickle: of samples, and of positives, as few of these say more than many samples.
 * Where users are few, or much happens, each may have more. Once she has her share none of hers is
 * kept, so that what she has stays as it came. Samples of users without a row are nobody's, and
 * stay; corrections are late labels of samples that were counted.
 */
export class UserCap {
  /** Places of the labels that are 0 or 1. */
  readonly #binary: readonly number[];
  /** Kept samples by user, newest batch last. */
  #window: Counts[] = [];

  constructor(heads: readonly { readonly seconds: boolean }[]) {
    this.#binary = heads.flatMap(({ seconds }, h) => (seconds ? [] : [h]));
  }

  apply(batch: readonly Sample[]): readonly Sample[] {
    const sums = this.#sums();
    const offered = new Map(sums);
    for (const sample of batch) if (isCounted(sample)) this.#add(offered, sample);
    const mostOf = bounds(offered);
    const kept: Counts = new Map();
    const out = batch.filter((sample) => {
      if (!isCounted(sample)) return true;
      const { samples, positives } = sums.get(sample.userRow) ?? nothing;
      const most = mostOf(sample.userRow);
      if (samples + 1 > most.samples || positives + 1 > most.positives) return false;
      this.#add(sums, sample);
      this.#add(kept, sample);
      return true;
    });
    this.#window.push(kept);
    if (this.#window.length >= batches) this.#window.shift();
    return out;
  }

  #add(counts: Counts, { userRow, labels }: Sample): void {
    const positives = this.#binary.some((h) => labels[h]! > 0) ? 1 : 0;
    counts.set(userRow, sumOf(counts.get(userRow), { samples: 1, positives }));
  }

  /** What each user had kept of the batches before. */
  #sums(): Counts {
    const sums: Counts = new Map();
    for (const counts of this.#window) {
      for (const [user, count] of counts) sums.set(user, sumOf(sums.get(user), count));
    }
    return sums;
  }

  /** All state: how many batches, then the place of each, a user and her counts. */
  save(): Uint32Array {
    const rows = this.#window.map((counts, i) =>
      [...counts].flatMap(([user, { samples, positives }]) => [i, user, samples, positives]),
    );
    return Uint32Array.from([this.#window.length, ...rows.flat()]);
  }

  restore(saved: Uint32Array): void {
    // Older states began with the place of the first batch, which is 0: of those nothing is known.
    const [length = 0] = saved;
    this.#window = Array.from({ length }, () => new Map());
    for (let at = 1; at < saved.length; at += 4) {
      const [place, user, samples, positives] = saved.subarray(at, at + 4);
      this.#window[place!]?.set(user!, { samples: samples!, positives: positives! });
    }
  }
}

function isCounted({ kind, userRow }: Sample): boolean {
  return kind === "primary" && userRow !== noRow;
}

function sumOf(a: Count = nothing, b: Count): Count {
  return { samples: a.samples + b.samples, positives: a.positives + b.positives };
}

/** What each may have, by what the others have on average; by her own where she is alone. */
function bounds(counts: Counts): (user: number) => Count {
  let all = nothing;
  for (const count of counts.values()) all = sumOf(all, count);
  const others = Math.max(1, counts.size - 1);
  return (user) => {
    const own = counts.size > 1 ? (counts.get(user) ?? nothing) : nothing;
    const most = (of: keyof Count) =>
      Math.max(least[of], (averages * (all[of] - own[of])) / others);
    return { samples: most("samples"), positives: most("positives") };
  };
}
