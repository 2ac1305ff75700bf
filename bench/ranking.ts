import { RecError } from "../models/core/errors.ts";
import defaultDefinition from "../models/definition/default.ts";
import { rankerShapeOf } from "../models/ranking/definition-shape.ts";
import { instructionSets, nativeKernels } from "../native/index.ts";
import type { Bench, Figure } from "./harness.ts";
import { type Budget, ResultHash, turn } from "./kernels/measure.ts";
import { pinned } from "./kernels/pin.ts";
import { fmaPeak } from "./peers/fma-peak.ts";
import { type TorchForm, TorchScoring, torchForms } from "./peers/torch-scoring.ts";
import { measureChoices } from "./ranking/choices.ts";
import { measureContest } from "./ranking/contest.ts";
import {
  inputsOf,
  operationsOf,
  type RankedModel,
  rankedModel,
  wideShape,
} from "./ranking/model.ts";
import { measurePrecision } from "./ranking/precision.ts";

interface Run {
  readonly model: RankedModel;
  readonly candidates: readonly number[];
  readonly budget: Budget;
  readonly seed: number;
  readonly hash: ResultHash;
  readonly forms: readonly TorchForm[];
}

async function openTorch({ model, candidates, seed }: Run, python: string) {
  const inputs = candidates.map((rows) => inputsOf(model.ranker, rows, seed + rows));
  return await TorchScoring.open({ python, layout: model.layout, weights: model.weights, inputs });
}

async function contests(run: Run, python: string): Promise<Record<string, Figure>> {
  const torch = python === "" ? null : await openTorch(run, python);
  const figures: Record<string, Figure>[] = [];
  try {
    for (const rows of run.candidates) {
      figures.push(await measureContest({ ...run, rows, prefix: "", torch }));
    }
  } finally {
    await torch?.close();
  }
  const model = rankedModel(rankerShapeOf(defaultDefinition), run.seed);
  const rows = run.candidates.includes(500) ? 500 : Math.max(...run.candidates);
  figures.push(await measureContest({ ...run, model, rows, prefix: "default", torch: null }));
  return Object.assign({}, ...figures);
}

/** What the core can do at most, and the share of it that the calls reached. */
async function shares(run: Run, figures: Readonly<Record<string, Figure>>) {
  const peak = await fmaPeak();
  const sets = instructionSets();
  const rate = (set: number) => {
    const us = Math.min(...turn(() => peak.run(set), 1, run.budget.turnMs * 5));
    return peak.operations(set) / (us * 1_000);
  };
  const fp32 = rate(Math.min(2, sets.length - 1));
  const bf16 = nativeKernels().packs ? rate(sets.length - 1) : fp32;
  const found: Record<string, Figure> = {
    peakFp32Gflops: { value: fp32, unit: "GFLOP/s" },
    peakBf16Gflops: { value: bf16, unit: "GFLOP/s" },
  };
  for (const rows of run.candidates) {
    const of = (name: string) => figures[`${name}UsP50At${rows}`]?.value ?? Number.NaN;
    const gflops = operationsOf(run.model.layout, rows) * 1e-3;
    found[`peakShare${rows}`] = { value: gflops / of("ours") / fp32, unit: "share" };
    found[`peakShareBf16${rows}`] = { value: gflops / of("ours") / bf16, unit: "share" };
    found[`peakShareFp32${rows}`] = { value: gflops / of("oursFp32") / fp32, unit: "share" };
  }
  return found;
}

const full = { trained: 200_000, judged: 40_000, slates: 300, candidates: 500 };
const tiny = { trained: 16_000, judged: 3_000, slates: 20, candidates: 200 };

const allParts = "contests,choices,precision";

function numbers(text: string): number[] {
  const found = text.split(",").map(Number);
  if (found.every((one) => Number.isInteger(one) && one >= 1 && one <= 100_000)) return found;
  throw new RecError("REC_OPTION", `--candidates ${text}: whole numbers from 1 to 100000`);
}

export const bench: Bench = {
  name: "ranking",
  about: "Scoring one user's candidates, beside ONNX Runtime and PyTorch on the same thread.",
  options: {
    candidates: { kind: "text", help: "numbers of items of a call", default: "1,100,500,1000" },
    parts: { kind: "text", help: "of contests, choices, precision", default: allParts },
    "turn-ms": { kind: "number", help: "milliseconds of one turn", default: 40, min: 0.1 },
    rounds: { kind: "number", help: "turns of each, alternating", default: 25, min: 1 },
    cpu: { kind: "number", help: "the processor to stay on; -1: any", default: 0, min: -1 },
  },
  async run({ options, smoke, seed, say }) {
    const turnMs = smoke ? 0.1 : options.number("turn-ms");
    const budget = { turnMs, rounds: smoke ? 1 : options.number("rounds") };
    const parts = new Set((options.text("parts") ?? allParts).split(","));
    const candidates = smoke ? [1, 20] : numbers(options.text("candidates") ?? "");
    const model = rankedModel(wideShape, seed);
    // Compiling takes longer than a smoke should.
    const forms = smoke ? torchForms.filter((form) => form !== "compiled") : torchForms;
    const run = { model, candidates, budget, seed, forms, hash: new ResultHash() };
    const python = process.env.PEER_PYTHON ?? "";
    if (python === "") say("no PyTorch beside it: PEER_PYTHON names no interpreter");
    say(`served by ${nativeKernels().packs ? "bf16" : "fp32"} on ${nativeKernels().name}`);
    const figures = await pinned(smoke ? -1 : options.number("cpu"), say, async () => {
      const contest = parts.has("contests") ? await contests(run, python) : null;
      const items = smoke ? 1_000 : 100_000;
      const sizes = { candidates: Math.min(500, Math.max(...candidates)), items, budget, seed };
      return {
        ...(contest === null ? {} : { ...contest, ...(await shares(run, contest)) }),
        ...(parts.has("choices") ? measureChoices(sizes) : {}),
      };
    });
    const check = { ...(smoke ? tiny : full), seed };
    const precision = parts.has("precision") ? measurePrecision(check) : {};
    say(`hash of the fp32 scores ${run.hash.text}`);
    return { ...figures, ...precision };
  },
};
