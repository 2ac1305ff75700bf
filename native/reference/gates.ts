import type { GateMix, GateMixBackward, GateShape } from "../kernel-set.ts";

function softmax(logits: Float32Array, gates: Float32Array): void {
  const top = logits.reduce((a, b) => Math.max(a, b));
  let total = 0;
  for (let e = 0; e < gates.length; e++) {
    gates[e] = Math.exp(logits[e]! - top);
    total += gates[e]!;
  }
  for (let e = 0; e < gates.length; e++) gates[e]! /= total;
}

export function gateMix(s: GateShape, step: GateMix): void {
  const columns = s.heads * s.experts;
  for (let r = 0; r < s.rows; r++) {
    for (let h = 0; h < s.heads; h++) {
      const gate = r * columns + h * s.experts;
      const logits = r * s.logitsRow + h * s.experts;
      softmax(
        step.logits.subarray(logits, logits + s.experts),
        step.gates.subarray(gate, gate + s.experts),
      );
      for (let j = 0; j < s.width; j++) {
        let sum = 0;
        for (let e = 0; e < s.experts; e++) {
          sum += step.gates[gate + e]! * step.experts[r * s.expertsRow + e * s.expertStride + j]!;
        }
        step.mixed[h * s.mixedHead + r * s.mixedRow + j] = sum;
      }
    }
  }
}

/** With d_e = mixedGradient . expert_e: logit gradient g_e (d_e - sum of g d). */
function logitsBackward(s: GateShape, step: GateMixBackward, r: number): void {
  for (let h = 0; h < s.heads; h++) {
    const gate = r * s.heads * s.experts + h * s.experts;
    const out = r * s.logitsRow + h * s.experts;
    let mean = 0;
    for (let e = 0; e < s.experts; e++) {
      let sum = 0;
      for (let j = 0; j < s.width; j++) {
        const mixed = step.mixedGradient[h * s.mixedHead + r * s.mixedRow + j]!;
        sum += mixed * step.experts[r * s.expertsRow + e * s.expertStride + j]!;
      }
      step.logitsGradient[out + e] = sum;
      mean += step.gates[gate + e]! * sum;
    }
    for (let e = 0; e < s.experts; e++) {
      step.logitsGradient[out + e] = step.gates[gate + e]! * (step.logitsGradient[out + e]! - mean);
    }
  }
}

export function gateMixBackward(s: GateShape, step: GateMixBackward): void {
  for (let r = 0; r < s.rows; r++) {
    logitsBackward(s, step, r);
    for (let e = 0; e < s.experts; e++) {
      for (let j = 0; j < s.width; j++) {
        let sum = 0;
        for (let h = 0; h < s.heads; h++) {
          const gate = step.gates[(r * s.heads + h) * s.experts + e]!;
          sum += gate * step.mixedGradient[h * s.mixedHead + r * s.mixedRow + j]!;
        }
        step.expertsGradient[r * s.expertsRow + e * s.expertStride + j] = sum;
      }
    }
  }
}
