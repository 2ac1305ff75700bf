import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { compareAnswers, ourAnswer, type ParityAnswer, type ParityTask } from "./testing/parity.ts";

const folder = join(import.meta.dir, "testing", "golden");

/** Written by `bun run bench parity --golden models/training/testing/golden`. */
function golden(name: string): { task: ParityTask; answer: ParityAnswer } {
  return JSON.parse(readFileSync(join(folder, `${name}.golden`), "utf8"));
}

for (const name of ["mmoe", "ple", "esmm", "shared-bottom"]) {
  test(`${name}: logits, gradients and three steps equal PyTorch's`, () => {
    const { task, answer } = golden(name);
    const ours = { ...ourAnswer(task), after: {} };
    const fault = compareAnswers(ours, answer);
    // Single against double precision: rounding, and no more.
    expect(fault.logits).toBeLessThan(1e-5);
    expect(fault.gradients).toBeLessThan(1e-5);
    expect(fault.losses).toBeLessThan(1e-5);
    expect(ours.losses).toHaveLength(3);
    expect(Object.keys(answer.gradients)).toEqual(
      expect.arrayContaining(["level.0.gate.0.weight", "head.0.output.bias", "positionBias"]),
    );
  });
}
