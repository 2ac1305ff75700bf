import { noRow } from "../../core/bytes.ts";
import type { VectorRows } from "../embedding-updates.ts";

/** Embedding rows in plain memory, with the arithmetic of the shared table. */
export class MemoryVectors implements VectorRows {
  readonly values = new Map<number, Float32Array>();
  readonly sums = new Map<number, number>();
  readonly #width: number;

  constructor(width: number) {
    this.#width = width;
  }

  gatherWorking(rows: Uint32Array, count: number, out: Float32Array): void {
    out.fill(0, 0, count * this.#width);
    for (let i = 0; i < count; i++) out.set(this.values.get(rows[i]!) ?? [], i * this.#width);
  }

  applyAdagrad(
    rows: Uint32Array,
    count: number,
    gradients: Float32Array,
    options: { learningRate: number; epsilon: number; decay: number },
  ): void {
    for (let i = 0; i < count; i++) {
      if (rows[i] === noRow) continue;
      const gradient = gradients.subarray(i * this.#width, (i + 1) * this.#width);
      const squares = gradient.reduce((sum, g) => sum + g * g, 0) / this.#width;
      const before = Math.fround(options.decay * (this.sums.get(rows[i]!) ?? 0));
      const sum = Math.fround(before + squares);
      this.sums.set(rows[i]!, sum);
      const value = this.values.get(rows[i]!) ?? new Float32Array(this.#width);
      const step = options.learningRate / (Math.sqrt(sum) + options.epsilon);
      this.values.set(
        rows[i]!,
        value.map((x, j) => x - step * gradient[j]!),
      );
    }
  }

  initialise(rows: Uint32Array, count: number, values: Float32Array): void {
    for (let i = 0; i < count; i++) {
      this.values.set(rows[i]!, values.slice(i * this.#width, (i + 1) * this.#width));
      this.sums.delete(rows[i]!);
    }
  }

  copy(): MemoryVectors {
    const copy = new MemoryVectors(this.#width);
    for (const [row, value] of this.values) copy.values.set(row, value.slice());
    for (const [row, sum] of this.sums) copy.sums.set(row, sum);
    return copy;
  }
}
