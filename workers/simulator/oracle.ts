import { appeal, saturationLoss, sigmoid } from "./choice-model.ts";
import type { Population, Session } from "./user-model.ts";

/**
 * The best slate that is known to the world alone: unseen items by their true click chance for this
 * user now. Places are filled from the front, each with the item that is best after what already
 * stands before it has tired the user of its category (the greedy choice).
 */
export class Oracle {
  readonly #population: Population;
  /** Per category: the best `n` slots by appeal, best first. */
  readonly #heads: { slots: Int32Array; logits: Float64Array; count: number; next: number }[];

  constructor(population: Population, slateMax = 100) {
    this.#population = population;
    this.#heads = Array.from({ length: population.world.options.categories }, () => ({
      slots: new Int32Array(slateMax),
      logits: new Float64Array(slateMax),
      count: 0,
      next: 0,
    }));
  }

  /** Call `population.markSeen` first. At most `n` slots. */
  slate(session: Session, n: number): number[] {
    this.#collect(session, n);
    const shown = session.saturation.slice();
    const slate: number[] = [];
    while (slate.length < n) {
      const category = this.#bestCategory(shown);
      if (category < 0) break;
      const head = this.#heads[category]!;
      slate.push(head.slots[head.next++]!);
      shown[category]!++;
    }
    return slate;
  }

  #bestCategory(shown: Float32Array): number {
    const { world } = this.#population;
    let best = -1;
    let bestChance = -1;
    for (let c = 0; c < this.#heads.length; c++) {
      const head = this.#heads[c]!;
      if (head.next >= head.count) continue;
      const chance = sigmoid(head.logits[head.next]! - saturationLoss(world, shown[c]!));
      if (chance > bestChance) [best, bestChance] = [c, chance];
    }
    return best;
  }

  #collect(session: Session, n: number): void {
    const { world, mark, stamp } = this.#population;
    for (const head of this.#heads) head.count = head.next = 0;
    for (let slot = 0; slot < world.options.items; slot++) {
      if (mark[slot] === stamp) continue;
      insert(this.#heads[world.category[slot]!]!, n, slot, appeal(world, session, slot));
    }
  }
}

/** Insertion into a short list that is sorted, best first. */
function insert(
  head: { slots: Int32Array; logits: Float64Array; count: number },
  n: number,
  slot: number,
  logit: number,
): void {
  let at = head.count;
  if (at >= n) {
    if (logit <= head.logits[n - 1]!) return;
    at = n - 1;
  } else head.count++;
  while (at > 0 && head.logits[at - 1]! < logit) {
    head.logits[at] = head.logits[at - 1]!;
    head.slots[at] = head.slots[at - 1]!;
    at--;
  }
  head.logits[at] = logit;
  head.slots[at] = slot;
}
