/** Click chances of one slate, and of what other policies would have shown at that moment. */
export interface Comparison {
  readonly own: number;
  readonly random: number;
  readonly popularity: number;
  readonly oracle: number;
}

/** Rates are per shown item. */
export interface Figures {
  readonly slates: number;
  readonly shown: number;
  readonly clicks: number;
  readonly failed: number;
  readonly degraded: number;
  readonly clickRate: number;
  /** Mean true click chance of what was shown: the click rate without its luck. */
  readonly expectedClickRate: number;
  readonly compared: number;
  readonly ownRate: number;
  readonly randomRate: number;
  readonly popularityRate: number;
  readonly oracleRate: number;
  /** Expected clicks per slate that the oracle would have gained more. */
  readonly regretPerSlate: number;
  /** (own - popularity) / (oracle - popularity), NaN before any comparison. */
  readonly shareOfOracleLift: number;
  readonly likes: number;
  readonly finishes: number;
  readonly conversions: number;
  readonly watchSeconds: number;
}

const names = [
  ...["slates", "shown", "clicks", "failed", "degraded", "expected", "compared"],
  ...["comparedShown", "own", "random", "popularity", "oracle"],
  ...["likes", "finishes", "conversions", "watchSeconds"],
] as const;

type Name =
  | "slates"
  | "shown"
  | "clicks"
  | "failed"
  | "degraded"
  | "expected"
  | "compared"
  | "comparedShown"
  | "own"
  | "random"
  | "popularity"
  | "oracle"
  | "likes"
  | "finishes"
  | "conversions"
  | "watchSeconds";

/** Sums of a run: the whole of it, and since the last `interval()`. Fixed size. */
export class Report {
  readonly #total = new Map<string, number>(names.map((name) => [name, 0]));
  #since = new Map<string, number>(this.#total);

  add(name: Name, by = 1): void {
    this.#total.set(name, (this.#total.get(name) ?? 0) + by);
  }

  slate(shown: number, expectedClicks: number): void {
    this.add("slates");
    this.add("shown", shown);
    this.add("expected", expectedClicks);
  }

  compare(shown: number, comparison: Comparison): void {
    this.add("compared");
    this.add("comparedShown", shown);
    this.add("own", comparison.own);
    this.add("random", comparison.random);
    this.add("popularity", comparison.popularity);
    this.add("oracle", comparison.oracle);
  }

  total(): Figures {
    return figures((name) => this.#total.get(name) ?? 0);
  }

  /** Figures since the last call. */
  interval(): Figures {
    const before = this.#since;
    this.#since = new Map(this.#total);
    return figures((name) => (this.#total.get(name) ?? 0) - (before.get(name) ?? 0));
  }
}

function figures(of: (name: Name) => number): Figures {
  const perShown = (name: Name) => of(name) / Math.max(1, of("comparedShown"));
  const lift = of("oracle") - of("popularity");
  return {
    slates: of("slates"),
    shown: of("shown"),
    clicks: of("clicks"),
    failed: of("failed"),
    degraded: of("degraded"),
    clickRate: of("clicks") / Math.max(1, of("shown")),
    expectedClickRate: of("expected") / Math.max(1, of("shown")),
    compared: of("compared"),
    ownRate: perShown("own"),
    randomRate: perShown("random"),
    popularityRate: perShown("popularity"),
    oracleRate: perShown("oracle"),
    regretPerSlate: (of("oracle") - of("own")) / Math.max(1, of("compared")),
    shareOfOracleLift: lift > 0 ? (of("own") - of("popularity")) / lift : Number.NaN,
    likes: of("likes"),
    finishes: of("finishes"),
    conversions: of("conversions"),
    watchSeconds: of("watchSeconds"),
  };
}
