import type { LossStep, ProductLossStep } from "../kernel-set.ts";

function logistic(z: number): number {
  return 1 / (1 + Math.exp(-z));
}

function softplus(z: number): number {
  return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
}

export function binaryCrossEntropy(s: LossStep): void {
  for (let i = 0; i < s.count; i++) {
    const known = !Number.isNaN(s.labels[i]!);
    const z = s.values[i]!;
    s.losses[i] = known ? s.weights[i]! * (softplus(z) - s.labels[i]! * z) : 0;
    if (s.gradients === null) continue;
    s.gradients[i] = known ? s.weights[i]! * (logistic(z) - s.labels[i]!) : 0;
  }
}

export function productCrossEntropy(s: ProductLossStep): void {
  for (let i = 0; i < s.count; i++) {
    const known = !Number.isNaN(s.labels[i]!);
    const y = s.labels[i]!;
    const given = s.givenValues[i]!;
    const z = s.values[i]!;
    const rest = Math.max(logistic(-given) + logistic(given) * logistic(-z), 1e-30);
    const logProduct = -softplus(-given) - softplus(-z);
    s.losses[i] = known ? -s.weights[i]! * (y * logProduct + (1 - y) * Math.log(rest)) : 0;
    if (s.gradients === null || s.givenGradients === null) continue;
    const scale = known ? (s.weights[i]! * (logistic(given) * logistic(z) - y)) / rest : 0;
    s.givenGradients[i] = scale * logistic(-given);
    s.gradients[i] = scale * logistic(-z);
  }
}

export function smoothL1(s: LossStep, beta: number): void {
  for (let i = 0; i < s.count; i++) {
    const known = !Number.isNaN(s.labels[i]!);
    const d = known ? s.values[i]! - s.labels[i]! : 0;
    const size = Math.abs(d);
    const loss = size < beta ? (0.5 * d * d) / beta : size - 0.5 * beta;
    s.losses[i] = known ? s.weights[i]! * loss : 0;
    if (s.gradients === null) continue;
    s.gradients[i] = known ? s.weights[i]! * (size < beta ? d / beta : Math.sign(d)) : 0;
  }
}
