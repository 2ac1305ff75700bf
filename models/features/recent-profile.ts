import { assert } from "../core/assert.ts";
import type { RecommenderDefinition } from "../definition/define.ts";
import { limits } from "../limits.ts";
import { interactionIndex } from "./catalog.ts";
import type { UserInputs } from "./encoder.ts";
import { readSequenceTime, sequenceAt, sequenceWords } from "./sequence-record.ts";

const perItem = limits.itemCategoriesMax;
const near = 10;
/** Shares are drawn to 0 by so many interactions of no category: one click is no taste. */
const sharePrior = 5;

/** What the features take from a user's recent interactions: shares by type, category, author. */
export class RecentProfile {
  clickShareOf10 = 0;
  clickShareOf50 = 0;
  logGapSeconds = 0;
  readonly #click: number;
  #inputs: UserInputs | null = null;
  readonly #authors = new Map<number, number>();
  #shareOfAll = new Float32Array(0);
  #shareOfNear = new Float32Array(0);

  constructor(definition: RecommenderDefinition) {
    const head = definition.heads[0];
    assert(head !== undefined, "a definition has a head");
    const click = interactionIndex(definition, "click");
    this.#click = click >= 0 ? click : interactionIndex(definition, head.interaction);
  }

  take(inputs: UserInputs): void {
    this.#inputs = inputs;
    const { recent, recentCount } = inputs;
    let clicks = 0;
    let nearClicks = 0;
    this.#authors.clear();
    for (let i = 0; i < recentCount; i++) {
      const isClick = recent[i * sequenceWords + sequenceAt.type] === this.#click ? 1 : 0;
      clicks += isClick;
      if (i >= recentCount - near) nearClicks += isClick;
      const author = inputs.recentItems.authorHash[i];
      if (author !== 0) this.#authors.set(author, (this.#authors.get(author) ?? 0) + 1);
    }
    this.clickShareOf50 = recentCount === 0 ? 0 : clicks / recentCount;
    this.clickShareOf10 = recentCount === 0 ? 0 : nearClicks / Math.min(near, recentCount);
    this.logGapSeconds = recentCount === 0 ? 0 : this.#logGap(inputs);
  }

  #logGap(inputs: UserInputs): number {
    const last = readSequenceTime(inputs.recent, inputs.recentCount - 1);
    return Math.log1p(Math.max(0, inputs.asOfMs - last) / 1_000);
  }

  /** Smoothed share of the recent items with an author; 0 where the author is unknown. */
  authorShare(author: number): number {
    const count = this.#inputs?.recentCount ?? 0;
    if (author === 0 || count === 0) return 0;
    return (this.#authors.get(author) ?? 0) / (count + sharePrior);
  }

  /** For each of the candidates' distinct categories: its smoothed share of the recent items. */
  countCategories(rows: Int32Array, distinct: number): void {
    if (this.#shareOfAll.length < distinct) {
      this.#shareOfAll = new Float32Array(distinct);
      this.#shareOfNear = new Float32Array(distinct);
    }
    const count = this.#inputs?.recentCount ?? 0;
    const categories = this.#inputs?.recentItems.categories;
    for (let slot = 0; slot < distinct; slot++) {
      let all = 0;
      let last = 0;
      for (let i = 0; i < count * perItem; i++) {
        if (categories?.[i] !== rows[slot]) continue;
        all++;
        if (i >= (count - near) * perItem) last++;
      }
      this.#shareOfAll[slot] = all / (count + sharePrior);
      this.#shareOfNear[slot] = last / (Math.min(near, count) + sharePrior);
    }
  }

  /** Writes the means over a candidate's categories of the share in all, and in the last ten. */
  writeCategoryShares(slots: Int32Array, from: number, out: Float32Array, at: number): void {
    let all = 0;
    let last = 0;
    let categories = 0;
    while (categories < perItem && slots[from + categories] >= 0) {
      all += this.#shareOfAll[slots[from + categories]];
      last += this.#shareOfNear[slots[from + categories]];
      categories++;
    }
    out[at] = categories === 0 ? 0 : all / categories;
    out[at + 1] = categories === 0 ? 0 : last / categories;
  }
}
