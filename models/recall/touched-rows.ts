import { assert } from "../core/assert.ts";
import { normaliseRow, RowPair } from "./vectors.ts";

/** What the trainer of item vectors keeps between generations. */
export interface FactorisationState {
  readonly rows: number;
  /** rows x dim, not normalised. */
  readonly vectors: Float32Array;
  /** Running mean of each row's squared gradient, 0 before the first. */
  readonly moments: Float32Array;
}

const momentDecay = 0.95;

/**
 * The rows that one batch uses, gathered side by side: their normalised values and the sums of
 * their gradients. A batch touches a few thousand rows of perhaps millions.
 */
export class TouchedRows {
  /** slots x dim */
  readonly units: Float32Array;
  readonly gradients: Float32Array;
  readonly #dim: number;
  readonly #rows: Int32Array;
  readonly #norms: Float32Array;
  readonly #along: RowPair;
  readonly #square: RowPair;
  #state: FactorisationState;
  #load: RowPair;
  #step: RowPair;
  #stamps = new Uint32Array(0);
  #slots = new Int32Array(0);
  #count = 0;
  #stamp = 0;

  constructor(capacity: number, dim: number, state: FactorisationState) {
    this.#dim = dim;
    this.units = new Float32Array(capacity * dim);
    this.gradients = new Float32Array(capacity * dim);
    this.#rows = new Int32Array(capacity);
    this.#norms = new Float32Array(capacity);
    this.#along = new RowPair(this.units, this.gradients, dim);
    this.#square = new RowPair(this.gradients, this.gradients, dim);
    this.#state = state;
    this.#load = new RowPair(state.vectors, this.units, dim);
    this.#step = new RowPair(this.gradients, state.vectors, dim);
  }

  get count(): number {
    return this.#count;
  }

  use(state: FactorisationState): void {
    this.#state = state;
    this.#load = new RowPair(state.vectors, this.units, this.#dim);
    this.#step = new RowPair(this.gradients, state.vectors, this.#dim);
    this.#stamps = new Uint32Array(state.rows);
    this.#slots = new Int32Array(state.rows);
    this.#stamp = 0;
  }

  begin(): void {
    this.#count = 0;
    if (++this.#stamp > 0xffff_fff0) {
      this.#stamps.fill(0);
      this.#stamp = 1;
    }
  }

  /** The slot of a row; on first use in a batch its normalised value is made. */
  slot(row: number): number {
    if (this.#stamps[row] === this.#stamp) return this.#slots[row];
    const slot = this.#count++;
    assert(slot < this.#rows.length, "a batch touches no more rows than it has places");
    this.#stamps[row] = this.#stamp;
    this.#slots[row] = slot;
    this.#rows[slot] = row;
    this.#load.copy(row, slot);
    this.gradients.fill(0, slot * this.#dim, (slot + 1) * this.#dim);
    this.#norms[slot] = normaliseRow(this.units, slot, this.#dim);
    return slot;
  }

  /**
   * One step for each touched row: the gradient through v / |v| is what is orthogonal to it, and
   * the size of the step follows the row's own mean squared gradient (one number a row, as in
   * DLRM's row-wise Adagrad; decayed, as in RMSProp, for tastes that drift).
   */
  apply(learningRate: number): void {
    const { moments } = this.#state;
    for (let slot = 0; slot < this.#count; slot++) {
      this.#along.add(slot, slot, -this.#along.dot(slot, slot));
      const norm = Math.max(this.#norms[slot], 1e-6);
      const square = this.#square.dot(slot, slot) / (norm * norm * this.#dim);
      const row = this.#rows[slot];
      const before = moments[row] === 0 ? square : moments[row];
      moments[row] = momentDecay * before + (1 - momentDecay) * square;
      const scale = -learningRate / (norm * (Math.sqrt(moments[row]) + 1e-8));
      this.#step.add(slot, row, scale);
    }
  }
}
