import type { AdagradStep, AdamStep } from "../kernel-set.ts";

export function adam(s: AdamStep): void {
  const correction1 = 1 / (1 - s.beta1 ** s.step);
  const correction2 = 1 / (1 - s.beta2 ** s.step);
  for (let i = 0; i < s.count; i++) {
    const g = s.gradients[i]! * s.gradientScale;
    const m = s.beta1 * s.first[i]! + (1 - s.beta1) * g;
    const v = s.beta2 * s.second[i]! + (1 - s.beta2) * g * g;
    s.first[i] = m;
    s.second[i] = v;
    s.weights[i]! -= (s.learningRate * m * correction1) / (Math.sqrt(v * correction2) + s.epsilon);
  }
}

export function adagrad(s: AdagradStep): void {
  for (let i = 0; i < s.count; i++) {
    const g = s.gradients[i]! * s.gradientScale;
    s.sums[i]! += g * g;
    s.weights[i]! -= (s.learningRate * g) / (Math.sqrt(s.sums[i]!) + s.epsilon);
  }
}

export function squareSum(values: Float32Array, count: number): number {
  let total = 0;
  for (let i = 0; i < count; i++) total += values[i]! * values[i]!;
  return total;
}
