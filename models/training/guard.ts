/** Losses per sample of three models on samples that none has learned from; columns of a length. */
export interface PairedLosses {
  readonly candidate: ArrayLike<number>;
  readonly live: ArrayLike<number>;
  /** A version that was good an hour ago: catches what gets worse in small steps. */
  readonly anchor: ArrayLike<number>;
}

export interface GuardOptions {
  /** Paired differences kept. */
  readonly window: number;
  /** Share of the reference's mean loss by which a candidate may be worse. */
  readonly margin: number;
  /** The same towards the anchor. */
  readonly anchorMargin: number;
  /** Standard errors by which "worse" must be sure. */
  readonly certainty: number;
  /** Pairs below which only finiteness is checked. */
  readonly pairsMin: number;
}

export const guardDefaults: GuardOptions = {
  window: 2_000,
  margin: 0.02,
  anchorMargin: 0.05,
  certainty: 3,
  pairsMin: 50,
};

export interface Verdict {
  readonly accepted: boolean;
  readonly reason: "fine" | "not finite" | "worse than live" | "worse than anchor";
  /** Mean paired differences (candidate - reference) over the window; NaN where none. */
  readonly towardsLive: number;
  readonly towardsAnchor: number;
  readonly pairs: number;
}

/** A ring of paired differences and the reference's losses. */
class Differences {
  readonly #window: number;
  readonly #differences: number[] = [];
  readonly #references: number[] = [];
  #next = 0;

  constructor(window: number) {
    this.#window = window;
  }

  add(candidate: number, reference: number): void {
    this.#differences[this.#next] = candidate - reference;
    this.#references[this.#next] = reference;
    this.#next = (this.#next + 1) % this.#window;
  }

  get pairs(): number {
    return this.#differences.length;
  }

  mean(): number {
    return average(this.#differences);
  }

  /** Surely worse by more than a share of the reference's mean loss. */
  worse(margin: number, certainty: number): boolean {
    const mean = this.mean();
    const squares = this.#differences.map((d) => (d - mean) ** 2);
    const error = Math.sqrt(average(squares) / this.pairs);
    return mean - certainty * error > margin * average(this.#references);
  }

  /** Forgets: after a refusal the next candidate starts with a clean sheet. */
  clear(): void {
    this.#differences.length = 0;
    this.#references.length = 0;
    this.#next = 0;
  }
}

function average(values: readonly number[]): number {
  let total = 0;
  for (const value of values) total += value;
  return total / values.length;
}

/** True where every value is a finite number. */
export function allFinite(values: ArrayLike<number>): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}

/**
 * Decides whether a candidate may go live: its weights are finite, and on samples new to all it is
 * not surely worse than the live version, nor than the anchor, by paired differences over a
 * sliding window of successive candidates.
 */
export class PublishGuard {
  readonly #options: GuardOptions;
  readonly #live: Differences;
  readonly #anchor: Differences;

  constructor(options: GuardOptions = guardDefaults) {
    this.#options = options;
    this.#live = new Differences(options.window);
    this.#anchor = new Differences(options.window);
  }

  judge(weights: ArrayLike<number>, losses: PairedLosses): Verdict {
    if (!allFinite(weights) || !allFinite(losses.candidate)) return this.#verdict("not finite");
    for (let i = 0; i < losses.candidate.length; i++) {
      // A reference that is not finite itself cannot speak against a finite candidate.
      if (!Number.isFinite(losses.live[i]) || !Number.isFinite(losses.anchor[i])) continue;
      this.#live.add(losses.candidate[i]!, losses.live[i]!);
      this.#anchor.add(losses.candidate[i]!, losses.anchor[i]!);
    }
    return this.#verdict(this.#compare());
  }

  #compare(): Verdict["reason"] {
    const { pairsMin, margin, anchorMargin, certainty } = this.#options;
    if (this.#live.pairs < pairsMin) return "fine";
    if (this.#live.worse(margin, certainty)) return "worse than live";
    if (this.#anchor.worse(anchorMargin, certainty)) return "worse than anchor";
    return "fine";
  }

  #verdict(reason: Verdict["reason"]): Verdict {
    const verdict = {
      accepted: reason === "fine",
      reason,
      towardsLive: this.#live.mean(),
      towardsAnchor: this.#anchor.mean(),
      pairs: this.#live.pairs,
    };
    if (!verdict.accepted) {
      this.#live.clear();
      this.#anchor.clear();
    }
    return verdict;
  }
}
