import { LabelJudge, type LabelJudgeOptions, labelJudgeDefaults } from "./label-judge.ts";
import type { ModelScores } from "./scores.ts";
import { SlidingSums } from "./sliding-sums.ts";
import { packNumbers, unpackNumbers } from "./state-codec.ts";
import { positiveShares } from "./user-share.ts";

/** One batch that none of the three models has learned from, and what each says of it. */
export interface JudgedBatch {
  /** Primary rows of the batch; columns are `stride` apart. */
  readonly rows: number;
  readonly stride: number;
  /** Whose the rows are; `noRow` for nobody's. */
  readonly users: Uint32Array;
  /** heads x stride; NaN where unknown. */
  readonly labels: Float32Array;
  readonly weights: Float32Array;
  /** Norms of the trained parameters; NaN where anything of a candidate is not finite. */
  readonly candidateNorm: number;
  readonly anchorNorm: number;
  readonly candidate: ModelScores;
  readonly live: ModelScores;
  /** A version that was good an hour ago: catches what gets worse in small steps. */
  readonly anchor: ModelScores;
  /** One of up to a day ago, which labels are held against: catches those that turn in such. */
  readonly elder: ModelScores;
}

export interface JudgedHead {
  readonly name: string;
  /** Seconds heads have no calibration to compare: their losses count alone. */
  readonly seconds: boolean;
}

export interface GuardOptions extends LabelJudgeOptions {
  /** Share of the reference's mean loss by which a candidate may be worse. */
  readonly margin: number;
  /** The same towards the anchor. */
  readonly anchorMargin: number;
  /** Nats of a sample that a candidate may be worse in any case. */
  readonly floorNats: number;
  /** Pairs below which only finiteness and norm are checked. */
  readonly pairsMin: number;
  /** Fresh pairs after a first refusal until a candidate may pass; doubles with each refusal. */
  readonly probationPairs: number;
  /** Times the anchor's norm that a candidate's may have. */
  readonly normMax: number;
  /** Factor by which predictions may be off the labels in sum. */
  readonly calibrationMax: number;
  /** Refusals in a row after which the last good state is taken back, and at each doubling. */
  readonly refusalsMax: number;
}

export const guardDefaults: GuardOptions = {
  ...labelJudgeDefaults,
  margin: 0.02,
  anchorMargin: 0.05,
  // Over a window two nats in all: less than one event costs that nobody foresaw. Where labels are
  // nearly all 0, what two models say differs by less, in the same direction each time.
  floorNats: 0.001,
  pairsMin: 50,
  probationPairs: 500,
  normMax: 2,
  calibrationMax: 2,
  refusalsMax: 3,
};

export type Refusal =
  | "not finite"
  | "norm"
  | "worse than live"
  | "worse than anchor"
  | "calibration"
  | "labels contradict the elder";

export interface Verdict {
  readonly accepted: boolean;
  /** `probation`: not refused itself, but too soon after a refusal. */
  readonly reason: "fine" | "probation" | Refusal;
  /** The reason with its figures, in words. */
  readonly detail: string;
  /** Mean paired differences (candidate - reference) over the window; NaN where none. */
  readonly towardsLive: number;
  readonly towardsAnchor: number;
  readonly pairs: number;
  /** The trainer should go back to the last good state: refusals went on, or labels turned. */
  readonly reload: boolean;
  /** That state is in doubt too, and the elder should take its place. */
  readonly toElder: boolean;
}

/** Columns of the pairs' sums: per reference the differences, their squares, its losses. */
const pairColumns = { count: 0, live: 1, anchor: 4 } as const;
const pairHead = { from: 7, labels: 0, candidate: 1, live: 2, width: 3 } as const;

/**
 * Decides whether a candidate may go live: it is finite and of a usual norm, and on samples new to
 * all it is not surely worse than the live version, nor than an anchor about an hour old, by paired
 * differences over a sliding window of successive candidates; its predictions fit the labels in
 * sum. Labels that contradict the elder speak against the samples: a candidate that agrees with
 * them must not pass either.
 */
export class PublishGuard {
  readonly #options: GuardOptions;
  readonly #heads: readonly JudgedHead[];
  readonly #pairs: SlidingSums;
  readonly #labels: LabelJudge;
  readonly #counts = {
    /** Pairs since the last refusal. */
    fresh: 0,
    /** In a row. */
    refusals: 0,
    /** Pairs that a candidate after a refusal has to show. */
    probation: 0,
    /** Refusals at the last reload. */
    reloadedAt: 0,
  };

  constructor(heads: readonly JudgedHead[], options: Partial<GuardOptions> = {}) {
    this.#options = { ...guardDefaults, ...options };
    this.#heads = heads;
    const { window } = this.#options;
    this.#pairs = new SlidingSums(pairHead.from + heads.length * pairHead.width, window);
    this.#labels = new LabelJudge(heads, this.#options);
    this.forgive();
  }

  /** Refusals since the last accepted candidate. */
  get refusals(): number {
    return this.#counts.refusals;
  }

  judge(batch: JudgedBatch): Verdict {
    if (!Number.isFinite(batch.candidateNorm)) return this.#refused("not finite", "its weights");
    if (!allFinite(batch.candidate.losses, batch.rows)) {
      return this.#refused("not finite", "its losses");
    }
    this.#take(batch);
    const against = this.#labels.contradiction();
    if (against !== null) {
      const refused = this.#refused("labels contradict the elder", against.detail);
      return { ...refused, reload: true, toElder: against.isOld };
    }
    const fault = this.#normFault(batch) ?? this.#fault();
    if (fault !== null) return this.#refused(...fault);
    const { fresh, probation } = this.#counts;
    if (fresh < probation) return this.#verdict("probation", `${fresh} of ${probation} pairs`);
    this.forgive();
    return this.#verdict("fine", "");
  }

  /** The live version became the anchor. */
  anchorTaken(): void {
    this.#pairs.forEach((entry) => {
      entry.copyWithin(pairColumns.anchor, pairColumns.live, pairColumns.anchor);
    });
  }

  /** The live version became the elder: `mature` once what it says of labels counts. */
  elderTaken(mature: boolean): void {
    this.#labels.elderTaken(mature);
  }

  /** Forgets past refusals: a version was asked for, or a candidate passed. */
  forgive(): void {
    Object.assign(this.#counts, { refusals: 0, probation: 0, reloadedAt: 0 });
  }

  /** Other models from here on: nothing that was judged before speaks for or against them. */
  clear(): void {
    this.#pairs.clear();
    this.#labels.clear();
    this.forgive();
  }

  #take(batch: JudgedBatch): void {
    const pairs = new Float64Array(this.#pairs.columns);
    for (let r = 0; r < batch.rows; r++) {
      const [live, anchor] = [batch.live.losses[r]!, batch.anchor.losses[r]!];
      // A reference that is not finite itself cannot speak against a finite candidate.
      if (!Number.isFinite(live) || !Number.isFinite(anchor)) continue;
      pairs[pairColumns.count]! += 1;
      addPair(pairs, pairColumns.live, batch.candidate.losses[r]!, live);
      addPair(pairs, pairColumns.anchor, batch.candidate.losses[r]!, anchor);
    }
    const weights = this.#heads.map((head, h) => (head.seconds ? null : labelWeights(batch, h)));
    for (const [h, ofHead] of weights.entries())
      if (ofHead !== null) addSums(pairs, batch, h, ofHead);
    this.#pairs.add(pairs);
    this.#labels.add(batch, weights);
    this.#counts.fresh += pairs[pairColumns.count]!;
  }

  #normFault({ candidateNorm, anchorNorm }: JudgedBatch): [Refusal, string] | null {
    if (!(candidateNorm > this.#options.normMax * anchorNorm)) return null;
    return ["norm", `${candidateNorm.toFixed(1)}, the anchor's is ${anchorNorm.toFixed(1)}`];
  }

  #fault(): [Refusal, string] | null {
    const { pairsMin, margin, anchorMargin } = this.#options;
    if (this.#pairs.total(pairColumns.count) < pairsMin) return null;
    const live = this.#worse(pairColumns.live, margin);
    if (live !== null) return ["worse than live", live];
    const anchor = this.#worse(pairColumns.anchor, anchorMargin);
    if (anchor !== null) return ["worse than anchor", anchor];
    for (const [h, { name, seconds }] of this.#heads.entries()) {
      if (seconds) continue;
      const off = this.#miscalibrated(h);
      if (off !== null) return ["calibration", `${name} ${off}`];
    }
    return null;
  }

  /** Surely worse than a reference by more than a share of its mean loss, and than the floor. */
  #worse(column: number, margin: number): string | null {
    const { certainty, floorNats } = this.#options;
    const count = this.#pairs.total(pairColumns.count);
    const mean = this.#pairs.total(column) / count;
    const variance = this.#pairs.total(column + 1) / count - mean ** 2;
    const error = Math.sqrt(Math.max(0, variance) / count);
    const reference = this.#pairs.total(column + 2) / count;
    const allowed = Math.max(margin * reference, floorNats);
    if (!(mean - certainty * error > allowed)) return null;
    return `by ${mean.toFixed(4)} of ${reference.toFixed(4)} nats over ${count} samples`;
  }

  /** Predictions too far off the labels, and further than the live version's. */
  #miscalibrated(head: number): string | null {
    const at = pairHead.from + head * pairHead.width;
    const labels = this.#pairs.total(at + pairHead.labels);
    if (labels < this.#options.positivesMin) return null;
    const ratio = this.#pairs.total(at + pairHead.candidate) / labels;
    const live = this.#pairs.total(at + pairHead.live) / labels;
    const off = Math.abs(Math.log(ratio)) - this.#options.certainty / Math.sqrt(labels);
    if (!(off > Math.log(this.#options.calibrationMax))) return null;
    if (Math.abs(Math.log(ratio)) < 1.1 * Math.abs(Math.log(live))) return null;
    return `predicts ${ratio.toFixed(2)} times what comes`;
  }

  #refused(reason: Refusal, detail: string): Verdict {
    const { window, probationPairs, refusalsMax } = this.#options;
    const verdict = this.#verdict(reason, detail);
    // The next candidate starts with a clean sheet, and has to fill it.
    this.#pairs.clear();
    const counts = this.#counts;
    counts.fresh = 0;
    counts.refusals += 1;
    counts.probation = Math.min(window, Math.max(probationPairs, 2 * counts.probation));
    // Each time later than the last: what refuses may be the samples, and no state helps then.
    const reload = counts.refusals >= Math.max(refusalsMax, 2 * counts.reloadedAt);
    if (reload) counts.reloadedAt = counts.refusals;
    return { ...verdict, reload };
  }

  #verdict(reason: Verdict["reason"], detail: string): Verdict {
    const count = this.#pairs.total(pairColumns.count);
    return {
      accepted: reason === "fine",
      ...{ reason, detail },
      towardsLive: this.#pairs.total(pairColumns.live) / count,
      towardsAnchor: this.#pairs.total(pairColumns.anchor) / count,
      pairs: count,
      reload: false,
      toElder: false,
    };
  }

  /** All state, so that the same samples bring the same verdicts after a restart. */
  save(): Float64Array[] {
    const [known, labels] = this.#labels.save();
    return [packNumbers(this.#counts), known!, this.#pairs.save(), labels!];
  }

  restore([counts, known, pairs, labels]: readonly Float64Array[]): void {
    unpackNumbers(counts!, this.#counts);
    this.#pairs.restore(pairs!);
    this.#labels.restore([known!, labels!]);
  }
}

function allFinite(values: Float64Array, count: number): boolean {
  for (let i = 0; i < count; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}

function addPair(sums: Float64Array, at: number, candidate: number, reference: number): void {
  const difference = candidate - reference;
  sums[at]! += difference;
  sums[at + 1]! += difference * difference;
  sums[at + 2]! += reference;
}

/** What each row's label of a head counts: its weight, less what one user has too much of. */
function labelWeights({ rows, users, stride, labels, weights }: JudgedBatch, head: number) {
  const ofHead = labels.subarray(head * stride, head * stride + rows);
  const shares = positiveShares({ rows, users, labels: ofHead });
  return Float64Array.from(ofHead, (label, r) => {
    const share = label > 0 ? (shares.get(users[r]!) ?? 1) : 1;
    return weights[r]! * share;
  });
}

/** Labels and what two models said of them. */
function addSums(pairs: Float64Array, batch: JudgedBatch, head: number, weights: Float64Array) {
  const to = pairHead.from + head * pairHead.width;
  for (let r = 0; r < batch.rows; r++) {
    const at = head * batch.stride + r;
    const [label, weight] = [batch.labels[at]!, weights[r]!];
    if (Number.isNaN(label)) continue;
    pairs[to + pairHead.labels]! += weight * label;
    pairs[to + pairHead.candidate]! += weight * batch.candidate.predictions[at]!;
    pairs[to + pairHead.live]! += weight * batch.live.predictions[at]!;
  }
}
