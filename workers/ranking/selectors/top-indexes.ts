/** Does candidate a stand before candidate b? Higher first; of equals, the earlier: ties stable. */
function before(values: Float32Array, a: number, b: number): boolean {
  return values[a] > values[b] || (values[a] === values[b] && a < b);
}

/** Moves the root of a heap (worst on top) down to its place. */
function sink(values: Float32Array, heap: Int32Array, from: number, size: number): void {
  let at = from;
  for (;;) {
    let worst = at;
    const left = 2 * at + 1;
    if (left < size && before(values, heap[worst], heap[left])) worst = left;
    if (left + 1 < size && before(values, heap[worst], heap[left + 1])) worst = left + 1;
    if (worst === at) return;
    const moved = heap[at];
    heap[at] = heap[worst];
    heap[worst] = moved;
    at = worst;
  }
}

/**
 * Writes the indexes of the k highest of `values[0 .. count]`, highest first; gives how many. No
 * value may be NaN. Heap of k: n log k, in place in `out`, nothing allocated.
 */
export function topIndexes(
  from: { values: Float32Array; count: number; k: number },
  out: Int32Array,
): number {
  const { values, count } = from;
  const k = Math.min(from.k, count, out.length);
  if (k <= 0) return 0;
  for (let i = 0; i < k; i++) out[i] = i;
  for (let i = (k >> 1) - 1; i >= 0; i--) sink(values, out, i, k);
  for (let i = k; i < count; i++) {
    if (!before(values, i, out[0])) continue;
    out[0] = i;
    sink(values, out, 0, k);
  }
  for (let size = k - 1; size > 0; size--) {
    const worst = out[0];
    out[0] = out[size];
    out[size] = worst;
    sink(values, out, 0, size);
  }
  return k;
}

/**
 * Puts the indexes of the k highest of `values[0 .. count]` at the front of `order`, in no order;
 * `order` holds 0 .. count - 1 and stays a permutation. Hoare's selection, linear on average.
 */
export function selectTop(
  from: { values: Float32Array; count: number; k: number },
  order: Int32Array,
): void {
  const { values, count, k } = from;
  let low = 0;
  let high = count - 1;
  while (low < high) {
    const pivot = order[(low + high) >> 1];
    let i = low;
    let j = high;
    while (i <= j) {
      while (before(values, order[i], pivot)) i++;
      while (before(values, pivot, order[j])) j--;
      if (i > j) break;
      const moved = order[i];
      order[i++] = order[j];
      order[j--] = moved;
    }
    if (k - 1 <= j) high = j;
    else if (k - 1 >= i) low = i;
    else return;
  }
}
