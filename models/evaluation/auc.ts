/** Predictions beside what came true; columns of one length. */
export interface Scored {
  readonly scores: ArrayLike<number>;
  /** 0 or 1. */
  readonly labels: ArrayLike<number>;
}

/** Rows by rising score. */
function ascending(scores: ArrayLike<number>): Uint32Array {
  const order = Uint32Array.from({ length: scores.length }, (_, i) => i);
  return order.sort((a, b) => scores[a]! - scores[b]!);
}

/**
 * Area under the ROC curve: the chance that a positive scores above a negative, ties counting half
 * (Mann-Whitney). NaN where one class is missing. Sorts each class by itself, without a comparison
 * function: a bootstrap calls this thousands of times.
 */
export function auc({ scores, labels }: Scored): number {
  const positives = sortedScores(scores, (row) => labels[row]! > 0.5);
  const negatives = sortedScores(scores, (row) => !(labels[row]! > 0.5));
  // NaN sorts last: such a score has no rank.
  if (Number.isNaN(positives.at(-1) ?? 0) || Number.isNaN(negatives.at(-1) ?? 0)) return Number.NaN;
  let wins = 0;
  let below = 0;
  let upTo = 0;
  for (const score of positives) {
    while (below < negatives.length && negatives[below]! < score) below++;
    while (upTo < negatives.length && negatives[upTo]! <= score) upTo++;
    wins += (below + upTo) / 2;
  }
  return wins / (positives.length * negatives.length);
}

function sortedScores(scores: ArrayLike<number>, takes: (row: number) => boolean): Float64Array {
  const taken = new Float64Array(scores.length);
  let count = 0;
  for (let row = 0; row < scores.length; row++) if (takes(row)) taken[count++] = scores[row]!;
  return taken.subarray(0, count).sort();
}

/** Rows of each group, groups in order of first appearance. */
export function groupRows(groups: ArrayLike<number>): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (let i = 0; i < groups.length; i++) {
    const rows = found.get(groups[i]!);
    if (rows === undefined) found.set(groups[i]!, [i]);
    else rows.push(i);
  }
  return found;
}

/**
 * GAUC (Zhu et al. 2017): AUC within each group (user), averaged by the group's rows; groups with
 * one class only are left out. NaN where none is left.
 */
export function groupedAuc({ scores, labels }: Scored, groups: ArrayLike<number>): number {
  let total = 0;
  let weight = 0;
  for (const rows of groupRows(groups).values()) {
    const of = (column: ArrayLike<number>) => rows.map((row) => column[row]!);
    const value = auc({ scores: of(scores), labels: of(labels) });
    if (Number.isNaN(value)) continue;
    total += value * rows.length;
    weight += rows.length;
  }
  return weight === 0 ? Number.NaN : total / weight;
}

/** Inversions of `values`, counted by merge sort; ties of values count half. */
function discordant(values: Float64Array): number {
  if (values.length < 2) return 0;
  const middle = values.length >> 1;
  const left = values.slice(0, middle);
  const right = values.slice(middle);
  let count = discordant(left) + discordant(right);
  left.sort();
  right.sort();
  let below = 0;
  let upTo = 0;
  for (const x of left) {
    while (below < right.length && right[below]! < x) below++;
    while (upTo < right.length && right[upTo]! <= x) upTo++;
    count += below + (upTo - below) / 2;
  }
  return count;
}

/**
 * XAUC (Zhan et al. 2022): the share of pairs with different truth whose predictions stand in the
 * same order, ties of predictions counting half. For watch time. NaN without such a pair.
 */
export function xauc(predictions: ArrayLike<number>, truths: ArrayLike<number>): number {
  const order = ascending(truths);
  const n = order.length;
  let pairs = (n * (n - 1)) / 2;
  let wrong = discordant(Float64Array.from(order, (row) => predictions[row]!));
  // Pairs of equal truth are no pairs: take out what was counted among them.
  for (let from = 0; from < n; ) {
    let to = from + 1;
    while (to < n && truths[order[to]!] === truths[order[from]!]) to++;
    const tied = Float64Array.from(order.subarray(from, to), (row) => predictions[row]!);
    pairs -= (tied.length * (tied.length - 1)) / 2;
    wrong -= discordant(tied);
    from = to;
  }
  return pairs === 0 ? Number.NaN : 1 - wrong / pairs;
}
