import type { RecommenderDefinition } from "../../../models/definition/define.ts";
import { impressionIndex, rowCells } from "../../../models/features/catalog.ts";
import { limits } from "../../../models/limits.ts";
import { type FeedContext, preferredCategoriesMax } from "../feed-context.ts";
import type { QueryHydrator } from "../pipeline/stages.ts";
import type { RankingState } from "../state.ts";

const perItem = limits.itemCategoriesMax;
const recentMax = limits.recentInteractionsPerUser * perItem;

/** An interaction counts this much less than the next newer one. */
const decay = 0.95;

/** Distinct categories of the recent items with their weights. */
class Tally {
  readonly rows = new Int32Array(recentMax);
  readonly weights = new Float64Array(recentMax);
  count = 0;

  add(row: number, weight: number): void {
    let at = 0;
    while (at < this.count && this.rows[at] !== row) at++;
    if (at === this.count) {
      this.rows[this.count++] = row;
      this.weights[at] = 0;
    }
    this.weights[at] += weight;
  }

  /** Writes the heaviest rows from `from` on, heaviest first; forgets them. */
  drain(out: Int32Array, from: number): void {
    for (let i = from; i < preferredCategoriesMax; i++) {
      let best = -1;
      for (let j = 0; j < this.count; j++) {
        if (this.weights[j] > (best < 0 ? 0 : this.weights[best])) best = j;
      }
      if (best < 0) return;
      out[i] = this.rows[best];
      this.weights[best] = 0;
    }
  }
}

/**
 * The categories that recall asks for: those that the request names, else those of the recent
 * interactions, newer weighing more, times how often the user took to the category in all.
 */
export function preferredCategoriesHydrator(
  state: RankingState,
  definition: RecommenderDefinition,
): QueryHydrator<FeedContext> {
  const impression = impressionIndex(definition);
  const counters = definition.interactions.length;
  const cells = rowCells(definition);
  const totals = definition.windows.length * counters;
  const tally = new Tally();
  const pairCounts = new Uint32Array(recentMax * cells);

  function tallyRecent({ user }: FeedContext): void {
    tally.count = 0;
    let weight = 1;
    for (let i = user.recentCount - 1; i >= 0; i--, weight *= decay) {
      if (user.recentTypes[i] === impression) continue;
      for (let j = i * perItem; j < (i + 1) * perItem; j++) {
        const row = user.recentAttributes.categories[j];
        if (row >= 0) tally.add(row, weight);
      }
    }
  }

  function weighByHistory({ user, nowMs }: FeedContext): void {
    if (user.row < 0 || tally.count === 0) return;
    const { rows: categories, count } = tally;
    const into = { out: pairCounts, offsets: null };
    state.windows.userCategory.read({ userRow: user.row, categories, count }, nowMs, into);
    for (let i = 0; i < tally.count; i++) {
      let taken = 0;
      for (let c = 0; c < counters; c++) {
        const isCount = definition.interactions[c]?.value === "none" && c !== impression;
        if (isCount) taken += pairCounts[i * cells + totals + c];
      }
      tally.weights[i] *= 1 + Math.log1p(taken);
    }
  }

  return {
    name: "preferred-categories",
    essential: true,
    hydrate(context) {
      const named = namedCategories(context, state);
      if (named > 0) return undefined;
      tallyRecent(context);
      weighByHistory(context);
      tally.drain(context.user.categories, 0);
      return undefined;
    },
  };
}

/** Takes in the restriction, or a category that the context mentions; gives how many there are. */
function namedCategories(context: FeedContext, state: RankingState): number {
  const { request, user, onlyCategories } = context;
  for (const name of request.categories) {
    const row = state.categories.find(name);
    if (row >= 0) onlyCategories.push(row);
  }
  const hint = request.context.category;
  const hinted = typeof hint === "string" ? state.categories.find(hint) : -1;
  const rows = onlyCategories.length > 0 || hinted < 0 ? onlyCategories : [hinted];
  rows.slice(0, preferredCategoriesMax).forEach((row, i) => {
    user.categories[i] = row;
  });
  return rows.length;
}
