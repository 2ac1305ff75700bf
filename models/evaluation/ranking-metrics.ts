/** Share of the relevant items that stand among the first k. NaN where nothing is relevant. */
export function recallAt(ranked: ArrayLike<number>, relevant: ReadonlySet<number>, k: number) {
  let found = 0;
  for (let i = 0; i < Math.min(k, ranked.length); i++) if (relevant.has(ranked[i]!)) found++;
  return relevant.size === 0 ? Number.NaN : found / relevant.size;
}

/** NDCG with binary gains: discounted hits of the first k over those of the best order. */
export function ndcgAt(ranked: ArrayLike<number>, relevant: ReadonlySet<number>, k: number) {
  let gain = 0;
  for (let i = 0; i < Math.min(k, ranked.length); i++) {
    if (relevant.has(ranked[i]!)) gain += 1 / Math.log2(i + 2);
  }
  let ideal = 0;
  for (let i = 0; i < Math.min(k, relevant.size); i++) ideal += 1 / Math.log2(i + 2);
  return ideal === 0 ? Number.NaN : gain / ideal;
}
