import type {
  AdagradStep,
  AdamStep,
  DotRows,
  DotRowsBackward,
  ExtractionShape,
  GateMix,
  GateMixBackward,
  GateShape,
  KernelSet,
  LossStep,
  MatrixProduct,
  MmoeScore,
  MmoeShape,
  Normalise,
  ProductLossStep,
  ReluBackward,
} from "./kernel-set.ts";
import { loadNative } from "./load.ts";
import type { PleShape } from "./ple-shape.ts";

type Arg = Float32Array | Int32Array | Uint32Array | number | null;
type Entry = (...values: Arg[]) => void;

interface Addon {
  matrixProduct: Entry;
  reluBackward: Entry;
  gateMix: Entry;
  gateMixBackward: Entry;
  dotRows: Entry;
  dotRowsBackward: Entry;
  normalise: Entry;
  sigmoid: Entry;
  adam: Entry;
  adagrad: Entry;
  squareSum(set: number, values: Float32Array, count: number): number;
  binaryCrossEntropy: Entry;
  productCrossEntropy: Entry;
  smoothL1: Entry;
  topK(scores: Float32Array, count: number, k: number, out: Uint32Array): number;
  extractionMix: Entry;
  extractionMixBackward: Entry;
  mmoeScore: Entry;
  pleScore: Entry;
  mmoePack: Entry;
  mmoeScorePacked: Entry;
  bestInstructionSet(): number;
}

const names = ["base", "avx2", "avx512", "avx512bf16"] as const;
export type InstructionSet = (typeof names)[number];

/** Sizes travel in one block: an argument more costs more than a store. Read before any return. */
const sizes = new Int32Array(11);

class NativeKernels implements KernelSet {
  readonly name: InstructionSet;
  readonly packs: boolean;
  readonly #addon: Addon;
  readonly #set: number;

  constructor(addon: Addon, set: number) {
    this.#addon = addon;
    this.#set = set;
    this.name = names[set] ?? "base";
    this.packs = this.name === "avx512bf16";
  }

  matrixProduct(p: MatrixProduct): void {
    sizes[0] = p.rows;
    sizes[1] = p.columns;
    sizes[2] = p.depth;
    sizes[3] = p.aRow;
    sizes[4] = p.aColumn;
    sizes[5] = p.bRow;
    sizes[6] = p.bColumn;
    sizes[7] = p.cRow;
    sizes[8] = p.reluColumns;
    sizes[9] = p.accumulate ? 1 : 0;
    this.#addon.matrixProduct(this.#set, p.a, p.b, p.c, p.bias, sizes);
  }

  reluBackward(s: ReluBackward): void {
    sizes[0] = s.rows;
    sizes[1] = s.columns;
    sizes[2] = s.outputRow;
    sizes[3] = s.gradientRow;
    sizes[4] = s.relu ? 1 : 0;
    this.#addon.reluBackward(this.#set, s.output, s.gradient, s.biasGradient, sizes);
  }

  gateMix(shape: GateShape, s: GateMix): void {
    setGateSizes(shape);
    this.#addon.gateMix(this.#set, s.logits, s.experts, s.gates, s.mixed, sizes);
  }

  gateMixBackward(shape: GateShape, s: GateMixBackward): void {
    setGateSizes(shape);
    const { gates, experts, mixedGradient, logitsGradient, expertsGradient } = s;
    const set = this.#set;
    this.#addon.gateMixBackward(
      set,
      gates,
      experts,
      mixedGradient,
      logitsGradient,
      expertsGradient,
      sizes,
    );
  }

  dotRows(s: DotRows): void {
    setRowSizes(s.count, s.width, s.row);
    this.#addon.dotRows(this.#set, s.query, s.rows, s.out, sizes);
  }

  dotRowsBackward(s: DotRowsBackward): void {
    setRowSizes(s.count, s.width, s.row);
    const { query, rows, outGradient, queryGradient, rowsGradient } = s;
    const set = this.#set;
    this.#addon.dotRowsBackward(set, query, rows, outGradient, queryGradient, rowsGradient, sizes);
  }

  normalise(s: Normalise): void {
    setRowSizes(s.rows, s.width, s.outRow);
    this.#addon.normalise(this.#set, s.values, s.mean, s.scale, s.out, sizes, s.clip);
  }

  sigmoid(values: Float32Array, count: number, out: Float32Array): void {
    this.#addon.sigmoid(this.#set, values, out, count);
  }

  adam(s: AdamStep): void {
    this.#addon.adam(
      this.#set,
      s.weights,
      s.gradients,
      s.first,
      s.second,
      s.count,
      s.step,
      s.learningRate,
      s.beta1,
      s.beta2,
      s.epsilon,
      s.gradientScale,
    );
  }

  adagrad(s: AdagradStep): void {
    this.#addon.adagrad(
      this.#set,
      s.weights,
      s.gradients,
      s.sums,
      s.count,
      s.learningRate,
      s.epsilon,
      s.gradientScale,
    );
  }

  squareSum(values: Float32Array, count: number): number {
    return this.#addon.squareSum(this.#set, values, count);
  }

  binaryCrossEntropy(s: LossStep): void {
    this.#addon.binaryCrossEntropy(s.values, s.labels, s.weights, s.losses, s.gradients, s.count);
  }

  productCrossEntropy(s: ProductLossStep): void {
    this.#addon.productCrossEntropy(
      s.values,
      s.labels,
      s.weights,
      s.losses,
      s.gradients,
      s.count,
      s.givenValues,
      s.givenGradients,
    );
  }

  smoothL1(s: LossStep, beta: number): void {
    this.#addon.smoothL1(s.values, s.labels, s.weights, s.losses, s.gradients, s.count, beta);
  }

  topK(scores: Float32Array, count: number, k: number, out: Uint32Array): number {
    return this.#addon.topK(scores, count, k, out);
  }

  extractionMix(shape: ExtractionShape, s: GateMix): void {
    setExtractionSizes(shape);
    this.#addon.extractionMix(this.#set, s.logits, s.experts, s.gates, s.mixed, sizes);
  }

  extractionMixBackward(shape: ExtractionShape, s: GateMixBackward): void {
    setExtractionSizes(shape);
    const { gates, experts, mixedGradient, logitsGradient, expertsGradient } = s;
    this.#addon.extractionMixBackward(
      this.#set,
      gates,
      experts,
      mixedGradient,
      logitsGradient,
      expertsGradient,
      sizes,
    );
  }

  mmoeScore(shape: MmoeShape, s: MmoeScore): void {
    this.#score(this.#addon.mmoeScore, shape.packed, s);
  }

  pleScore(shape: PleShape, s: MmoeScore): void {
    this.#score(this.#addon.pleScore, shape.packed, s);
  }

  mmoePack(shape: MmoeShape, slot: Float32Array): void {
    this.#addon.mmoePack(this.#set, shape.packed, slot);
  }

  mmoeScorePacked(shape: MmoeShape, s: MmoeScore): void {
    this.#score(this.#addon.mmoeScorePacked, shape.packed, s);
  }

  #score(entry: Entry, packed: Int32Array, s: MmoeScore): void {
    setRowSizes(s.userRows, s.rows, s.logits ? 1 : 0);
    entry(
      this.#set,
      packed,
      s.weights,
      s.userDense,
      s.userVector,
      s.itemDense,
      s.itemVector,
      s.out,
      s.workspace,
      sizes,
    );
  }
}

function setRowSizes(count: number, width: number, row: number): void {
  sizes[0] = count;
  sizes[1] = width;
  sizes[2] = row;
}

function setGateSizes(s: GateShape): void {
  sizes[0] = s.rows;
  sizes[1] = s.heads;
  sizes[2] = s.experts;
  sizes[3] = s.width;
  sizes[4] = s.logitsRow;
  sizes[5] = s.expertsRow;
  sizes[6] = s.expertStride;
  sizes[7] = s.mixedHead;
  sizes[8] = s.mixedRow;
}

function setExtractionSizes(s: ExtractionShape): void {
  sizes[0] = s.rows;
  sizes[1] = s.heads;
  sizes[2] = s.headExperts;
  sizes[3] = s.sharedExperts;
  sizes[4] = s.sharedGate ? 1 : 0;
  sizes[5] = s.width;
  sizes[6] = s.logitsRow;
  sizes[7] = s.expertsRow;
  sizes[8] = s.expertStride;
  sizes[9] = s.mixedGate;
  sizes[10] = s.mixedRow;
}

const cached = new Map<number, KernelSet>();

/** The instruction sets that this machine has, weakest first. */
export function instructionSets(): readonly InstructionSet[] {
  return names.slice(0, loadNative<Addon>().bestInstructionSet() + 1);
}

/**
 * The kernels of an instruction set; without a name the best of the machine, or the one that
 * REC_KERNELS names. Throws when the machine lacks it.
 */
export function nativeKernels(name?: string): KernelSet {
  const available = instructionSets();
  const wanted = name ?? process.env.REC_KERNELS ?? available.at(-1);
  const set = available.findIndex((one) => one === wanted);
  if (set < 0) throw new Error(`kernels "${wanted}" are not among ${available.join(", ")}`);
  const found = cached.get(set) ?? new NativeKernels(loadNative<Addon>(), set);
  cached.set(set, found);
  return found;
}
