import type { KernelSet } from "../../native/index.ts";

/**
 * `adam` where the network starts fresh or sees its data more than once; `adagrad` after a warm
 * start online (rates .001-.003; .02-.03 from scratch, accumulator 1e-3).
 */
export type OptimizerOptions =
  | {
      readonly kind: "adam";
      readonly learningRate: number;
      readonly beta1: number;
      readonly beta2: number;
      readonly epsilon: number;
      /** Share of every weight that a step takes away (AdamW); default 0. */
      readonly weightDecay?: number;
    }
  | {
      readonly kind: "adagrad";
      readonly learningRate: number;
      readonly accumulator: number;
      readonly epsilon: number;
    };

export const adamDefault = {
  kind: "adam",
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
} as const satisfies OptimizerOptions;

export const adagradDefault: OptimizerOptions = {
  kind: "adagrad",
  learningRate: 0.02,
  accumulator: 1e-3,
  epsilon: 1e-6,
};

export interface OptimizerStep {
  readonly weights: Float32Array;
  readonly gradients: Float32Array;
  /** Multiplies every gradient: the clipping factor. */
  readonly gradientScale: number;
  /** Multiplies the learning rate: the schedule. */
  readonly rateScale: number;
}

/**
 * Steps flat weights by flat gradients; its whole state is `arrays` and `steps`. Adam's weight
 * decay is decoupled from its gradients and follows the schedule (Loshchilov and Hutter 2019).
 */
export class DenseOptimizer {
  readonly arrays: readonly Float32Array[];
  readonly #kernels: KernelSet;
  readonly #options: OptimizerOptions;
  readonly #count: number;
  steps = 0;

  constructor(kernels: KernelSet, options: OptimizerOptions, count: number) {
    this.#kernels = kernels;
    this.#options = options;
    this.#count = count;
    const first = new Float32Array(count);
    this.arrays = options.kind === "adam" ? [first, new Float32Array(count)] : [first];
    this.reset();
  }

  /** Forgets all steps: for weights that it has not stepped to. */
  reset(): void {
    this.steps = 0;
    const start = this.#options.kind === "adagrad" ? this.#options.accumulator : 0;
    for (const array of this.arrays) array.fill(start);
  }

  step(step: OptimizerStep): void {
    this.steps += 1;
    const o = this.#options;
    const [first = new Float32Array(0), second = first] = this.arrays;
    const shared = { ...step, count: this.#count, learningRate: o.learningRate * step.rateScale };
    if (o.kind === "adagrad") {
      this.#kernels.adagrad({ ...shared, sums: first, epsilon: o.epsilon });
      return;
    }
    const { beta1, beta2, epsilon, weightDecay = 0 } = o;
    if (weightDecay > 0) shrink(step.weights, this.#count, 1 - weightDecay * step.rateScale);
    this.#kernels.adam({ ...shared, first, second, step: this.steps, beta1, beta2, epsilon });
  }
}

function shrink(weights: Float32Array, count: number, factor: number): void {
  for (let i = 0; i < count; i++) weights[i]! *= factor;
}
