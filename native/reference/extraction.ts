import type { ExtractionShape, GateMix, GateMixBackward } from "../kernel-set.ts";

/** The experts that gate `g` sees, in the order of its logits. */
export function seenExperts(
  s: Pick<ExtractionShape, "heads" | "headExperts" | "sharedExperts">,
  g: number,
): number[] {
  const count = s.heads * s.headExperts + s.sharedExperts;
  const all = Array.from({ length: count }, (_, e) => e);
  if (g === s.heads) return all;
  return all.filter((e) => e >= s.heads * s.headExperts || Math.floor(e / s.headExperts) === g);
}

export function softmaxOf(logits: readonly number[]): number[] {
  const top = Math.max(...logits);
  const powers = logits.map((z) => Math.exp(z - top));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / total);
}

/** Each gate of a row: where its logits start in the row, and whom it sees. */
function gatesOf(s: ExtractionShape) {
  let start = 0;
  return Array.from({ length: s.heads + (s.sharedGate ? 1 : 0) }, (_, g) => {
    const seen = seenExperts(s, g);
    start += seen.length;
    return { g, seen, start: start - seen.length };
  });
}

function gateLogits(s: ExtractionShape): number {
  return gatesOf(s).reduce((sum, { seen }) => sum + seen.length, 0);
}

export function extractionMix(s: ExtractionShape, step: GateMix): void {
  for (let r = 0; r < s.rows; r++) {
    for (const { g, seen, start } of gatesOf(s)) {
      const logits = seen.map((_, i) => step.logits[r * s.logitsRow + start + i]!);
      const gates = softmaxOf(logits);
      step.gates.set(gates, r * gateLogits(s) + start);
      for (let j = 0; j < s.width; j++) {
        const value = (e: number) => step.experts[r * s.expertsRow + e * s.expertStride + j]!;
        const sum = seen.reduce((total, e, i) => total + gates[i]! * value(e), 0);
        step.mixed[g * s.mixedGate + r * s.mixedRow + j] = sum;
      }
    }
  }
}

/** With d_e = mixedGradient . expert_e: logit gradient g_e (d_e - sum of g d). */
export function extractionMixBackward(s: ExtractionShape, step: GateMixBackward): void {
  const count = s.heads * s.headExperts + s.sharedExperts;
  for (let r = 0; r < s.rows; r++) {
    const expertAt = (e: number, j: number) => r * s.expertsRow + e * s.expertStride + j;
    for (let e = 0; e < count; e++) {
      step.expertsGradient.fill(0, expertAt(e, 0), expertAt(e, s.width));
    }
    for (const { g, seen, start } of gatesOf(s)) {
      const gates = seen.map((_, i) => step.gates[r * gateLogits(s) + start + i]!);
      const from = g * s.mixedGate + r * s.mixedRow;
      const mixed = step.mixedGradient.subarray(from, from + s.width);
      const dots = seen.map((e) =>
        mixed.reduce((sum, value, j) => sum + value * step.experts[expertAt(e, j)]!, 0),
      );
      const mean = dots.reduce((sum, dot, i) => sum + gates[i]! * dot, 0);
      for (const [i, e] of seen.entries()) {
        step.logitsGradient[r * s.logitsRow + start + i] = gates[i]! * (dots[i]! - mean);
        for (let j = 0; j < s.width; j++) {
          step.expertsGradient[expertAt(e, j)]! += gates[i]! * mixed[j]!;
        }
      }
    }
  }
}
