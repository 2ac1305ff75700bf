import { RecError } from "../../models/core/errors.ts";
import { type Budget, middle, type ResultHash, timesFaster, turn } from "../kernels/measure.ts";
import { OnnxMmoe, onnxMmoe } from "../peers/onnx-mmoe.ts";
import type { TorchForm, TorchScoring } from "../peers/torch-scoring.ts";
import { type Figure, median, percentile } from "../statistics.ts";
import { inputsOf, type RankedModel, scorer } from "./model.ts";

/** One way to score the same rows. */
interface Arm {
  readonly name: string;
  /** Microseconds of each call in a turn. */
  turn(ms: number): Promise<number[]>;
  close(): Promise<void>;
}

/** How far a probability may lie from fp32's (seconds: a share of them). */
export const fp32Tolerance = 1e-4;
export const servedTolerance = 2e-2;

/** The largest difference, as a share where the number is over 1. */
export function furthest(ours: Float32Array, theirs: Float32Array): number {
  let worst = ours.length === theirs.length ? 0 : Number.NaN;
  for (let i = 0; i < ours.length; i++) {
    const [a, b] = [ours[i] ?? Number.NaN, theirs[i] ?? Number.NaN];
    worst = Math.max(worst, Math.abs(a - b) / Math.max(1, Math.abs(b)));
  }
  return worst;
}

function compare(name: string, found: Float32Array, wanted: Float32Array, tolerance: number): void {
  const fault = furthest(found, wanted);
  if (fault <= tolerance) return;
  throw new RecError("REC_BENCH_PEER", `${name} differs from our fp32 scores by ${fault}`);
}

async function awaited(call: () => Promise<unknown>, ms: number): Promise<number[]> {
  const samples: number[] = [];
  const untilMs = performance.now() + ms;
  do {
    const startMs = performance.now();
    await call();
    samples.push((performance.now() - startMs) * 1_000);
  } while (performance.now() < untilMs);
  return samples;
}

const nothing = () => Promise.resolve();

export interface ContestOptions {
  readonly model: RankedModel;
  readonly rows: number;
  /** Before every figure's name; may be empty. */
  readonly prefix: string;
  readonly torch: TorchScoring | null;
  readonly forms: readonly TorchForm[];
  readonly budget: Budget;
  readonly seed: number;
  readonly hash: ResultHash;
}

/** All arms, their answers compared with our fp32 ones. */
async function openArms(options: ContestOptions): Promise<Arm[]> {
  const { model, rows, seed, torch, hash } = options;
  const inputs = inputsOf(model.ranker, rows, seed + rows);
  const [served, fp32] = [scorer(model, inputs, "served"), scorer(model, inputs, "fp32")];
  served.run();
  fp32.run();
  hash.add(fp32.out);
  compare("what is served", served.out, fp32.out, servedTolerance);
  const arms: Arm[] = [
    { name: "ours", turn: async (ms) => turn(served.run, 1, ms), close: nothing },
    { name: "oursFp32", turn: async (ms) => turn(fp32.run, 1, ms), close: nothing },
  ];
  for (const form of ["joined", "split"] as const) {
    const peer = await OnnxMmoe.open(onnxMmoe(model.layout, model.weights, form), form, inputs);
    compare(`ONNX Runtime, ${form},`, await peer.score(), fp32.out, fp32Tolerance);
    const name = form === "joined" ? "onnx" : "onnxSplit";
    arms.push({ name, turn: (ms) => awaited(() => peer.score(), ms), close: () => peer.close() });
  }
  if (torch !== null) {
    for (const form of options.forms) arms.push(await torchArm(torch, form, fp32.out, rows));
  }
  return arms;
}

async function torchArm(
  torch: TorchScoring,
  form: TorchForm,
  wanted: Float32Array,
  rows: number,
): Promise<Arm> {
  compare(`PyTorch, ${form},`, await torch.score(form, rows), wanted, fp32Tolerance);
  const name = `torch${form.slice(0, 1).toUpperCase()}${form.slice(1)}`;
  return { name, turn: (ms) => torch.turn(form, rows, ms), close: nothing };
}

/**
 * Scores the same rows in every way, in turns: a round gives each arm its milliseconds, so that a
 * slow moment of the machine meets all. A first round warms up and counts nothing.
 */
export async function measureContest(options: ContestOptions): Promise<Record<string, Figure>> {
  const { budget, rows, prefix } = options;
  const arms = await openArms(options);
  const all = new Map<string, number[]>(arms.map(({ name }) => [name, []]));
  const medians = new Map<string, number[]>(arms.map(({ name }) => [name, []]));
  for (let round = -1; round < budget.rounds; round++) {
    for (const arm of arms) {
      const { name } = arm;
      const samples = await arm.turn(budget.turnMs);
      if (round < 0) continue;
      for (const sample of samples) all.get(name)?.push(sample);
      medians.get(name)?.push(median(samples));
    }
  }
  for (const arm of arms) await arm.close();
  const figures: Record<string, Figure> = {};
  const ours = medians.get("ours") ?? [];
  for (const [name, samples] of all) {
    const found = medians.get(name) ?? [];
    const titled = `${name.slice(0, 1).toUpperCase()}${name.slice(1)}`;
    const key = prefix === "" ? name : `${prefix}${titled}`;
    figures[`${key}UsP50At${rows}`] = { ...middle(found, "us"), value: median(samples) };
    figures[`${key}UsP99At${rows}`] = { value: percentile(samples, 0.99), unit: "us" };
    if (name === "ours") continue;
    const versus = prefix === "" ? `vs${titled}` : `${prefix}Vs${titled}`;
    figures[`${versus}${rows}`] = timesFaster(ours, found);
    const quiet = Math.min(...found) / Math.min(...ours);
    figures[`${versus}Quiet${rows}`] = { value: quiet, unit: "x" };
  }
  return figures;
}
