import type { DotRows, DotRowsBackward, Normalise } from "../kernel-set.ts";

export function dotRows(s: DotRows): void {
  for (let i = 0; i < s.count; i++) {
    let sum = 0;
    for (let j = 0; j < s.width; j++) sum += s.query[j]! * s.rows[i * s.row + j]!;
    s.out[i] = sum;
  }
}

export function dotRowsBackward(s: DotRowsBackward): void {
  for (let j = 0; j < s.width; j++) {
    let sum = 0;
    for (let i = 0; i < s.count; i++) {
      sum += s.outGradient[i]! * s.rows[i * s.row + j]!;
      s.rowsGradient[i * s.row + j] = s.outGradient[i]! * s.query[j]!;
    }
    s.queryGradient[j] = sum;
  }
}

export function normalise(s: Normalise): void {
  for (let r = 0; r < s.rows; r++) {
    for (let j = 0; j < s.width; j++) {
      const x = Math.fround(s.values[r * s.width + j]! - s.mean[j]!) * s.scale[j]!;
      s.out[r * s.outRow + j] = Math.min(s.clip, Math.max(-s.clip, x));
    }
  }
}

export function sigmoid(values: Float32Array, count: number, out: Float32Array): void {
  for (let i = 0; i < count; i++) out[i] = 1 / (1 + Math.exp(-values[i]!));
}

/** A non-finite score is worse than any number; equal scores go by index. */
export function topK(scores: Float32Array, count: number, k: number, out: Uint32Array): number {
  const key = (i: number) => (Number.isFinite(scores[i]) ? scores[i]! : -Infinity);
  const order = Array.from({ length: count }, (_, i) => i);
  order.sort((a, b) => {
    const x = key(a);
    const y = key(b);
    return x === y ? a - b : y > x ? 1 : -1;
  });
  const kept = Math.min(count, k);
  out.set(order.slice(0, kept));
  return kept;
}
