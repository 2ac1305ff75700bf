import type { Random } from "../../../models/core/random.ts";
import { limits } from "../../../models/limits.ts";
import type { SlateRules } from "../../../models/ranking/slate-rules.ts";
import type { FeedContext } from "../feed-context.ts";
import type { Selector } from "../pipeline/stages.ts";
import { topIndexes } from "./top-indexes.ts";

/** Diversity looks so many times the slate down the list. */
const depthFactor = 4;
const perItem = limits.itemCategoriesMax;

/**
 * The n best by value. With a category penalty each place goes to the best value less penalty x
 * (spread of values) x items of its first category that are already in. The last place is
 * randomised: with the exploration share it goes to a candidate drawn uniformly from all that
 * were left, else to the best of them; its propensity is the exact chance of what it got.
 */
export function slateSelector(random: Random, rules: SlateRules): Selector<FeedContext> {
  const order = new Int32Array(Math.max(limits.rankItemsMax, depthFactor * limits.slateItemsMax));
  return {
    name: "slate",
    select(context) {
      const { candidates, ranked, request } = context;
      const { count } = candidates;
      const n = Math.min(request.n, count);
      const k = rules.categoryPenalty > 0 ? n * depthFactor : n;
      const found = topIndexes({ values: ranked.values, count, k }, order);
      if (rules.categoryPenalty > 0) spreadCategories(context, order, { found, n, rules });
      const explores = rules.explorationShare > 0 && request.kind === "recommend" && count > n;
      for (let i = 0; i < (explores ? n - 1 : n); i++) candidates.select(order[i], Number.NaN);
      if (explores) explore(context, order[n - 1], { random, share: rules.explorationShare });
      return undefined;
    },
  };
}

/** Fills the last place from everything that is not in the slate yet. */
function explore(
  { candidates }: FeedContext,
  best: number,
  options: { random: Random; share: number },
): void {
  const { random, share } = options;
  const pool = candidates.count - candidates.selectedCount;
  const chosen = random.next() < share ? nthLeft(candidates, random.int(pool)) : best;
  const uniform = share / pool;
  candidates.select(chosen, chosen === best ? 1 - share + uniform : uniform);
}

/** The nth candidate (from 0, in column order) that is not in the slate. */
function nthLeft(candidates: FeedContext["candidates"], n: number): number {
  const taken = candidates.selected.slice(0, candidates.selectedCount).sort();
  let index = n;
  for (const one of taken) if (one <= index) index++;
  return index;
}

/** Reorders the first n places of `order` greedily. */
function spreadCategories(
  { attributes, ranked }: FeedContext,
  order: Int32Array,
  options: { found: number; n: number; rules: SlateRules },
): void {
  const { found, n, rules } = options;
  const { values } = ranked;
  const spread = found === 0 ? 0 : values[order[0]] - values[order[found - 1]];
  const step = rules.categoryPenalty * (Number.isFinite(spread) ? spread : 0);
  const inSlate = new Map<number, number>();
  for (let place = 0; place < n; place++) {
    let best = place;
    let bestValue = Number.NEGATIVE_INFINITY;
    for (let i = place; i < found; i++) {
      const used = inSlate.get(attributes.categories[order[i] * perItem]) ?? 0;
      const value = values[order[i]] - step * used;
      if (value > bestValue) {
        best = i;
        bestValue = value;
      }
    }
    const chosen = order[best];
    order.copyWithin(place + 1, place, best);
    order[place] = chosen;
    const category = attributes.categories[chosen * perItem];
    if (category >= 0) inSlate.set(category, (inSlate.get(category) ?? 0) + 1);
  }
}
