/**
 * Rows of `dim` floats in two flat arrays (the same array may stand twice). A pair is made once
 * and its methods take row numbers, so that inner loops allocate nothing.
 */
export class RowPair {
  readonly #from: Float32Array;
  readonly #into: Float32Array;
  readonly #dim: number;

  constructor(from: Float32Array, into: Float32Array, dim: number) {
    this.#from = from;
    this.#into = into;
    this.#dim = dim;
  }

  dot(fromRow: number, intoRow: number): number {
    const dim = this.#dim;
    const from = this.#from;
    const into = this.#into;
    const a = fromRow * dim;
    const b = intoRow * dim;
    let sum = 0;
    for (let d = 0; d < dim; d++) sum += from[a + d] * into[b + d];
    return sum;
  }

  copy(fromRow: number, intoRow: number): void {
    const dim = this.#dim;
    const from = this.#from;
    const into = this.#into;
    const a = fromRow * dim;
    const b = intoRow * dim;
    for (let d = 0; d < dim; d++) into[b + d] = from[a + d];
  }

  /** into[intoRow] += scale x from[fromRow] */
  add(fromRow: number, intoRow: number, scale: number): void {
    const dim = this.#dim;
    const from = this.#from;
    const into = this.#into;
    const a = fromRow * dim;
    const b = intoRow * dim;
    for (let d = 0; d < dim; d++) into[b + d] += scale * from[a + d];
  }
}

/** Divides a row by its length and gives that length; a row of zeros stays. */
export function normaliseRow(values: Float32Array, row: number, dim: number): number {
  const at = row * dim;
  let square = 0;
  for (let d = at; d < at + dim; d++) square += values[d] * values[d];
  if (square === 0) return 0;
  const norm = Math.sqrt(square);
  for (let d = at; d < at + dim; d++) values[d] /= norm;
  return norm;
}
