import { instructionSets, type KernelSet, nativeKernels } from "../../native/index.ts";
import { referenceKernels } from "../../native/reference/kernels.ts";
import { inputsOf, rankedModel, scorer, wideShape } from "../ranking/model.ts";
import type { Figure } from "../statistics.ts";
import { alternate, type Budget, middle, type ResultHash, timesFaster } from "./measure.ts";

export interface ScoringOptions {
  readonly rows: number;
  readonly budget: Budget;
  readonly seed: number;
  readonly hash: ResultHash;
}

/** The fused call on each instruction set and the twin; the twin has fewer rows: it is slow. */
export function measureScoring(options: ScoringOptions): Record<string, Figure> {
  const { rows, seed, budget, hash } = options;
  const sets: KernelSet[] = [
    referenceKernels,
    ...instructionSets().map((name) => nativeKernels(name)),
  ];
  const timed = sets.map((set) => {
    const model = rankedModel(wideShape, seed, set);
    // What a set that packs adds is how it serves.
    const form = set.name === "avx512bf16" ? "served" : "fp32";
    const { run, out } = scorer(model, inputsOf(model.ranker, rows, seed), form);
    run();
    hash.add(out);
    return { name: set.name, run };
  });
  const found = alternate(timed, { ...budget, rounds: Math.min(3, budget.rounds) });
  const twin = found.get("twin") ?? [];
  const figures: Record<string, Figure> = {};
  for (const [name, rounds] of found) {
    const suffix = `${name.slice(0, 1).toUpperCase()}${name.slice(1)}`;
    figures[`mmoeScore${suffix}Us`] = middle(rounds, "us");
    if (name !== "twin") figures[`mmoeScore${suffix}VsTwin`] = timesFaster(rounds, twin);
  }
  return figures;
}
