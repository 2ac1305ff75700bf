import { instructionSets, type KernelSet, nativeKernels } from "../../native/index.ts";
import { referenceKernels } from "../../native/reference/kernels.ts";
import { type FmaPeak, fmaPeak } from "../peers/fma-peak.ts";
import { type Figure, median } from "../statistics.ts";
import { type CaseSizes, type KernelCase, kernelCases } from "./cases.ts";
import { alternate, type Budget, middle, type ResultHash, timesFaster } from "./measure.ts";

const suffixes: Readonly<Record<KernelSet["name"], string>> = {
  twin: "Twin",
  base: "Base",
  avx2: "Avx2",
  avx512: "Avx512",
  avx512bf16: "Avx512Bf16",
};

interface Arm {
  readonly suffix: string;
  readonly set: KernelSet;
}

function armsOf(one: KernelCase, sets: readonly KernelSet[]): Arm[] {
  const native = sets.map((set) => ({ suffix: suffixes[set.name], set }));
  const best = native.at(-1);
  if (!one.oneBuild || best === undefined) return native;
  return [{ suffix: "Native", set: best.set }];
}

/** Times a kernel on every instruction set and its twin, in turn. */
function measureCase(
  one: KernelCase,
  sets: readonly KernelSet[],
  budget: Budget,
  hash: ResultHash,
): Record<string, Figure> {
  const arms = [{ suffix: "Twin", set: referenceKernels }, ...armsOf(one, sets)];
  const timed = arms.map(({ suffix, set }) => {
    const { run, outputs } = one.prepare(set);
    // The first call works on fresh buffers: its results are the same however long it is timed.
    run();
    for (const output of outputs) hash.add(output);
    return { name: suffix, run };
  });
  const found = alternate(timed, budget);
  const twin = found.get("Twin") ?? [];
  const figures: Record<string, Figure> = {};
  for (const [suffix, rounds] of found) {
    figures[`${one.name}${suffix}Us`] = middle(rounds, "us");
    if (suffix === "Twin") continue;
    figures[`${one.name}${suffix}VsTwin`] = timesFaster(rounds, twin);
    if (one.operations === undefined) continue;
    const value = one.operations / (median(rounds) * 1_000);
    figures[`${one.name}${suffix}Gflops`] = { value, unit: "GFLOP/s" };
  }
  return figures;
}

/** The matrix product of layer one beside the bare multiply-adds of the same core, in turn. */
function measurePeak(
  peak: FmaPeak,
  product: KernelCase,
  sets: readonly KernelSet[],
  budget: Budget,
): Record<string, Figure> {
  const figures: Record<string, Figure> = {};
  for (const [index, set] of sets.entries()) {
    const { run } = product.prepare(set);
    const pair = [
      { name: "ours", run },
      { name: "peak", run: () => peak.run(index) },
    ];
    const found = alternate(pair, { ...budget, rounds: Math.max(3, budget.rounds) });
    // The fastest round of each: a peak is what the core can do while nobody disturbs it.
    const fastest = (name: string) => Math.min(...(found.get(name) ?? []));
    const gflops = (peak.operations(index) / fastest("peak")) * 1e-3;
    const work = (product.operations ?? 0) / peak.operations(index);
    figures[`peak${suffixes[set.name]}Gflops`] = { value: gflops, unit: "GFLOP/s" };
    figures[`productLayerOne${suffixes[set.name]}PeakShare`] = {
      value: (fastest("peak") / fastest("ours")) * work,
      unit: "share",
    };
  }
  return figures;
}

export interface ArithmeticOptions {
  readonly sizes: CaseSizes;
  readonly budget: Budget;
  readonly seed: number;
  readonly hash: ResultHash;
}

/** All kernel families on all instruction sets of this machine, and the share of its peak. */
export async function measureArithmetic(
  options: ArithmeticOptions,
): Promise<Record<string, Figure>> {
  const { sizes, budget, seed, hash } = options;
  // BF16 adds the packed score alone, which `bench ranking` measures.
  const fp32 = instructionSets().filter((name) => name !== "avx512bf16");
  const sets = fp32.map((name) => nativeKernels(name));
  const cases = kernelCases(sizes, seed);
  const figures = cases.map((one) => measureCase(one, sets, budget, hash));
  const [product] = cases;
  if (product !== undefined) figures.push(measurePeak(await fmaPeak(), product, sets, budget));
  return Object.assign({}, ...figures);
}
