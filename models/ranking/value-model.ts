import { assert } from "../core/assert.ts";
import type { HeadDefinition, RecommenderDefinition } from "../definition/define.ts";

/**
 * Predicted outcomes -> one score: the expected value of showing the item. A head counts with its
 * weight; a head that is a rate `given` another (ESMM) counts with the product of both, since that
 * is the chance that it happens at all; seconds count through log(1 + seconds), so that one long
 * video does not outweigh everything.
 */
export class ValueModel {
  readonly #heads: readonly HeadDefinition[];
  readonly #given: Int32Array;
  readonly #defaults: Float64Array;

  constructor(definition: Pick<RecommenderDefinition, "heads" | "valueWeights">) {
    this.#heads = definition.heads;
    this.#given = Int32Array.from(definition.heads, ({ given }) => this.#indexOf(given));
    this.#defaults = new Float64Array(definition.heads.length);
    this.weights(definition.valueWeights, this.#defaults);
  }

  get headCount(): number {
    return this.#heads.length;
  }

  /** Weights by head; heads that are not named weigh nothing. Null: the definition's. */
  weights(byHead: Readonly<Record<string, number>> | null, out: Float64Array): void {
    assert(out.length >= this.#heads.length, "one weight a head");
    if (byHead === null) {
      out.set(this.#defaults);
      return;
    }
    this.#heads.forEach(({ name }, i) => {
      out[i] = Object.hasOwn(byHead, name) ? (byHead[name] ?? 0) : 0;
    });
  }

  /** `heads`: predictions as the ranker writes them, [head][candidate]. Writes `count` scores. */
  score(heads: Float32Array, weights: Float64Array, count: number, out: Float32Array): void {
    assert(heads.length >= this.#heads.length * count, "one prediction a head and candidate");
    out.fill(0, 0, count);
    this.#heads.forEach(({ kind }, i) => {
      const weight = weights[i];
      const given = this.#given[i];
      if (weight === 0) return;
      if (kind === "seconds") addSeconds(heads, { at: i * count, weight, count }, out);
      else if (given < 0) addRate(heads, { at: i * count, weight, count }, out);
      else addConditional(heads, { at: i * count, weight, count }, given * count, out);
    });
  }

  #indexOf(name: string | undefined): number {
    if (name === undefined) return -1;
    const found = this.#heads.findIndex((head) => head.name === name);
    assert(found >= 0, `no head ${name}`);
    return found;
  }
}

/** One head's column: `count` values from `at`. */
interface Column {
  readonly at: number;
  readonly count: number;
  readonly weight: number;
}

function addRate(heads: Float32Array, column: Column, out: Float32Array): void {
  const { at, count, weight } = column;
  for (let i = 0; i < count; i++) out[i] += weight * heads[at + i];
}

function addConditional(
  heads: Float32Array,
  column: Column,
  givenAt: number,
  out: Float32Array,
): void {
  const { at, count, weight } = column;
  for (let i = 0; i < count; i++) out[i] += weight * heads[at + i] * heads[givenAt + i];
}

function addSeconds(heads: Float32Array, column: Column, out: Float32Array): void {
  const { at, count, weight } = column;
  for (let i = 0; i < count; i++) out[i] += weight * Math.log1p(Math.max(0, heads[at + i]));
}
