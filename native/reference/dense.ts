import type { MatrixProduct, ReluBackward } from "../kernel-set.ts";

export function matrixProduct(p: MatrixProduct): void {
  for (let i = 0; i < p.rows; i++) {
    for (let j = 0; j < p.columns; j++) {
      let sum = 0;
      for (let k = 0; k < p.depth; k++) {
        sum += p.a[i * p.aRow + k * p.aColumn]! * p.b[k * p.bRow + j * p.bColumn]!;
      }
      const at = i * p.cRow + j;
      if (p.accumulate) sum += p.c[at]!;
      if (p.bias !== null) sum += p.bias[j]!;
      // Not Math.max: NaN passes either way, but -0 must not become 0 in one twin only.
      p.c[at] = j < p.reluColumns && sum < 0 ? 0 : sum;
    }
  }
}

export function reluBackward(s: ReluBackward): void {
  for (let j = 0; j < s.columns; j++) {
    let total = 0;
    for (let r = 0; r < s.rows; r++) {
      const at = r * s.gradientRow + j;
      if (s.relu && !(s.output[r * s.outputRow + j]! > 0)) s.gradient[at] = 0;
      total += s.gradient[at]!;
    }
    s.biasGradient[j] = total;
  }
}
