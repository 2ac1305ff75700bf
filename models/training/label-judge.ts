import type { JudgedBatch, JudgedHead } from "./guard.ts";
import { addToSlope, type Slope, slopeColumns, slopeOf } from "./score-slope.ts";
import { SlidingSums } from "./sliding-sums.ts";

export interface LabelJudgeOptions {
  /** Pairs that labels are judged over: a few turned in a hundred show in so many. */
  readonly labelWindow: number;
  /** Fewer, in which more of them show sooner; of fresh ones as many must show the order again. */
  readonly window: number;
  /** The latest of them, in which labels that turn at once show before they fill either. */
  readonly latest: number;
  /** Standard errors by which a contradiction must be sure. */
  readonly certainty: number;
  /** Share of the elder's slope that labels may lose. */
  readonly slopeLossMax: number;
  /** Factor on the labels' odds beyond which their order must be shown before it is believed. */
  readonly oddsMax: number;
  /** Positives (and negatives) below which a head's labels say nothing. */
  readonly positivesMin: number;
}

export const labelJudgeDefaults: LabelJudgeOptions = {
  labelWindow: 10_000,
  window: 2_000,
  latest: 200,
  certainty: 3,
  slopeLossMax: 1 / 3,
  oddsMax: 20,
  positivesMin: 30,
};

export interface Contradiction {
  /** In words. */
  readonly detail: string;
  /** It was there before it showed: versions that went live have learned of it. */
  readonly isOld: boolean;
}

/** Columns of the sums: the rows, then per head those of the live version and of the elder. */
const columnsOf = { from: 1, live: 0, elder: slopeColumns, width: 2 * slopeColumns } as const;
/** Of an elder and head in a saved state: whether it is known, and the slope. */
const agreedColumns = 5;

/**
 * Holds labels against an older model: how the odds of a label rise with the elder's score has to
 * stay much as it was. Once labels contradict it they are under suspicion until enough fresh ones
 * have shown the order again: what is in doubt is neither kept nor served.
 */
export class LabelJudge {
  readonly #options: LabelJudgeOptions;
  readonly #heads: readonly JudgedHead[];
  readonly #sums: SlidingSums;
  /** Per head the elder's slope, at best, since it was taken; none while it is not mature. */
  #agreed: (Slope | null)[];
  /** The head whose labels are under suspicion; -1 for none. */
  #suspect = -1;

  constructor(heads: readonly JudgedHead[], options: LabelJudgeOptions) {
    this.#options = options;
    this.#heads = heads;
    const columns = columnsOf.from + heads.length * columnsOf.width;
    this.#sums = new SlidingSums(columns, options.labelWindow);
    this.#agreed = heads.map(() => null);
  }

  /** Notes a batch; `weights`: by head, what each row's label counts. */
  add(batch: JudgedBatch, weights: readonly (Float64Array | null)[]): void {
    const sums = new Float64Array(this.#sums.columns);
    sums[0] = batch.rows;
    for (const [h, ofHead] of weights.entries()) {
      if (ofHead === null) continue;
      const at = columnsOf.from + h * columnsOf.width;
      for (let r = 0; r < batch.rows; r++) {
        const i = h * batch.stride + r;
        const [label, weight] = [batch.labels[i]!, ofHead[r]!];
        if (Number.isNaN(label)) continue;
        const of = (probability: number) => ({ probability, label, weight });
        addToSlope(sums, at + columnsOf.live, of(batch.live.predictions[i]!));
        addToSlope(sums, at + columnsOf.elder, of(batch.elder.predictions[i]!));
      }
    }
    this.#sums.add(sums);
  }

  /** The live version became the elder: `mature` once what it says of labels counts. */
  elderTaken(mature: boolean): void {
    this.#sums.forEach((entry) => {
      for (let h = 0; h < this.#heads.length; h++) {
        const at = columnsOf.from + h * columnsOf.width;
        entry.copyWithin(at + columnsOf.elder, at + columnsOf.live, at + columnsOf.elder);
      }
    });
    const { labelWindow } = this.#options;
    this.#agreed = this.#heads.map((_, h) => (mature ? this.#slope(h, labelWindow) : null));
    this.#suspect = -1;
  }

  /** Other models from here on. */
  clear(): void {
    this.#sums.clear();
    this.#agreed = this.#heads.map(() => null);
    this.#suspect = -1;
  }

  /** What speaks against the labels; null where nothing does. */
  contradiction(): Contradiction | null {
    for (const [h, { name }] of this.#heads.entries()) {
      const then = this.#agreed[h];
      if (then == null) continue;
      const against = this.#turned(h, then) ?? this.#flatter(h, then);
      if (against === null) {
        this.#agreed[h] = this.#steeper(h, then);
        continue;
      }
      const isOld = this.#suspect < 0 && this.#isFlatThroughout(h, then);
      // From here on fresh labels must show the order: these are no witnesses.
      this.#sums.clear();
      this.#suspect = h;
      return { detail: `${name} ${against}`, isOld };
    }
    const detail = this.#unproven();
    return detail === null ? null : { detail, isOld: false };
  }

  /** Of some window the labels rise less with the elder's score than they did, surely. */
  #flatter(head: number, then: Slope): string | null {
    const { labelWindow, window, latest, certainty } = this.#options;
    for (const pairs of [latest, window, labelWindow]) {
      const now = this.#slope(head, pairs);
      if (now === null) continue;
      const sure = certainty * Math.hypot(now.error, this.#kept * then.error);
      if (this.#kept * then.slope - now.slope <= sure) continue;
      return `slope ${then.slope.toFixed(2)}, now ${now.slope.toFixed(2)}`;
    }
    return null;
  }

  /** More was lost over all that is remembered than the latest labels alone could take. */
  #isFlatThroughout(head: number, then: Slope): boolean {
    const now = this.#slope(head, this.#options.labelWindow);
    return now !== null && now.slope < this.#kept * then.slope;
  }

  /** The elder may prove better than the versions by whose scores it was taken. */
  #steeper(head: number, then: Slope): Slope {
    const { labelWindow } = this.#options;
    if (this.#sums.total(0) < labelWindow) return then;
    const now = this.#slope(head, labelWindow);
    return now !== null && now.slope > then.slope ? now : then;
  }

  get #kept(): number {
    return 1 - this.#options.slopeLossMax;
  }

  /** Rates far off what they were, as when labels are inverted, and no order that bears them. */
  #turned(head: number, then: Slope): string | null {
    const { labelWindow, latest, certainty, oddsMax } = this.#options;
    if (then.slope - certainty * then.error <= 0) return null;
    const of = slopeOf(this.#latest(head, latest));
    const [positives, negatives] = [of.positives + 1, of.negatives + 1];
    const moved = Math.abs(Math.log((positives * then.negatives) / (negatives * then.positives)));
    const error = Math.sqrt(1 / positives + 1 / negatives);
    if (moved - certainty * error <= Math.log(oddsMax)) return null;
    const now = this.#slope(head, labelWindow);
    if (now !== null && now.slope - now.error > 0) return null;
    return `${Math.round((100 * positives) / (positives + negatives))} % are positive of late`;
  }

  /** Labels under suspicion whose fresh ones have not shown the order again. */
  #unproven(): string | null {
    const head = this.#suspect;
    const then = this.#agreed[head];
    if (then == null) return null;
    const { labelWindow, window } = this.#options;
    const now = this.#slope(head, labelWindow);
    const pairs = this.#sums.total(0);
    const isProven = now !== null && now.slope - now.error >= this.#kept * then.slope;
    if (pairs < window || !isProven) {
      const slope = now === null ? "unknown" : now.slope.toFixed(2);
      const was = then.slope.toFixed(2);
      return `${this.#heads[head]?.name} slope ${was}, ${slope} since, over ${pairs} samples`;
    }
    this.#suspect = -1;
    return null;
  }

  /** The elder's slope over the latest labels; null where they are too few. */
  #slope(head: number, pairs: number): Slope | null {
    const { positivesMin } = this.#options;
    const found = slopeOf(this.#latest(head, pairs));
    const isKnown = found.positives >= positivesMin && found.negatives >= positivesMin;
    return isKnown && Number.isFinite(found.error) ? found : null;
  }

  #latest(head: number, pairs: number): Float64Array {
    const at = columnsOf.from + head * columnsOf.width + columnsOf.elder;
    return Float64Array.from({ length: slopeColumns }, (_, i) => this.#sums.latest(at + i, pairs));
  }

  /** All state. */
  save(): Float64Array[] {
    const agreed = this.#agreed.map((one) =>
      one === null ? [0, 0, 0, 0, 0] : [1, one.slope, one.error, one.positives, one.negatives],
    );
    return [Float64Array.from([this.#suspect, ...agreed.flat()]), this.#sums.save()];
  }

  restore([known, sums]: readonly Float64Array[]): void {
    this.clear();
    // An older state kept other sums: it begins anew, as after a start.
    if (known!.length !== 1 + agreedColumns * this.#heads.length) return;
    this.#suspect = known![0]!;
    this.#agreed = this.#heads.map((_, h) => {
      const from = 1 + agreedColumns * h;
      const columns = known!.subarray(from, from + agreedColumns);
      const [isKnown, slope = 0, error = 0, positives = 0, negatives = 0] = columns;
      return isKnown === 1 ? { slope, error, positives, negatives } : null;
    });
    this.#sums.restore(sums!);
  }
}
