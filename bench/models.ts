import { Random } from "../models/core/random.ts";
import { createNetwork } from "../models/ranking/create-network.ts";
import { createRanker, type Ranker, type RankerShape } from "../models/ranking/ranker.ts";
import type { Bench, BenchContext, Figure } from "./harness.ts";
import { alternate, middle, type Timed, timesFaster } from "./kernels/measure.ts";
import { wideShape } from "./training/stream.ts";

const mmoe: RankerShape = wideShape;
const ple = { ...mmoe, model: "ple", experts: 2, headExperts: 1 } as const;

/** `pleLevels2` at the widths of the mixture, `pleLean` with about as many operations. */
const shapes: Readonly<Record<string, RankerShape>> = {
  mmoe,
  sharedBottom: { ...mmoe, model: "shared-bottom", experts: 1 },
  pleLevels1: { ...ple, levels: 1 },
  pleLevels2: { ...ple, levels: 2 },
  pleLean: { ...ple, levels: 2, expertLayers: mmoe.expertLayers.map((width) => width / 2) },
};

/** Multiplications and additions that scoring one more item takes; the user's half is shared. */
function operationsOf(shape: RankerShape): number {
  const { expertLayers, towerLayers } = shape;
  const heads = shape.heads.length;
  const isPle = shape.model === "ple";
  const own = isPle ? (shape.headExperts ?? 1) : 0;
  const experts = heads * own + shape.experts;
  const levels = isPle ? (shape.levels ?? 2) : 1;
  const last = expertLayers.at(-1) ?? 0;
  const chain = (widths: readonly number[]) =>
    widths.slice(1).reduce((sum, width, l) => sum + (widths[l] ?? 0) * width, 0);
  let products = heads * (chain([last, ...towerLayers]) + (towerLayers.at(-1) ?? last));
  for (let level = 0; level < levels; level++) {
    const inputs = level === 0 ? shape.itemWidth + shape.itemEmbedding : last;
    const gates = heads * (own + shape.experts) + (level < levels - 1 ? experts : 0);
    const skips = level === 0 ? heads : 0;
    products += experts * chain([inputs, ...expertLayers]);
    products += inputs * (gates + skips) + gates * last;
  }
  return 2 * products;
}

function normals(random: Random, count: number): Float32Array {
  return Float32Array.from({ length: count }, () => random.normal());
}

function freshWeights(ranker: Ranker, seed: number): Float32Array {
  const weights = new Float32Array(ranker.floats);
  ranker.initialise(new Random(seed), weights);
  return weights;
}

function scoring(shape: RankerShape, count: number, seed: number): () => void {
  const ranker = createRanker(shape);
  const random = new Random(seed);
  const input = {
    weights: freshWeights(ranker, seed),
    userDense: normals(random, shape.userWidth),
    userVector: normals(random, shape.userEmbedding),
    itemDense: normals(random, count * shape.itemWidth),
    itemVectors: normals(random, count * shape.itemEmbedding),
    count,
  };
  const out = new Float32Array(count * shape.heads.length);
  return () => ranker.score(input, out);
}

/** Forward and backward of a batch: what a step costs but for losses and the optimizer. */
function passes(shape: RankerShape, rowsMax: number, seed: number): () => void {
  const ranker = createRanker(shape);
  const { layout, kernels, floats } = ranker;
  const [weights, gradients] = [freshWeights(ranker, seed), new Float32Array(floats)];
  const network = createNetwork({ kernels, weights, gradients, rowsMax }, layout);
  const random = new Random(seed);
  network.userInput.values.set(normals(random, network.userInput.values.length));
  network.itemInput.values.set(normals(random, network.itemInput.values.length));
  network.logitsGradient.set(normals(random, network.logitsGradient.length));
  return () => {
    network.forward(rowsMax);
    network.backward(rowsMax);
  };
}

async function run(context: BenchContext): Promise<Record<string, Figure>> {
  const { smoke, seed, options } = context;
  const budget = smoke ? { turnMs: 2, rounds: 2 } : { turnMs: 30, rounds: 9 };
  const count = options.number("candidates");
  const batch = options.number("batch");
  const each = (make: (shape: RankerShape) => () => void): Timed[] =>
    Object.entries(shapes).map(([name, shape]) => ({ name, run: make(shape) }));
  const scored = alternate(
    each((shape) => scoring(shape, count, seed)),
    budget,
  );
  const learned = alternate(
    each((shape) => passes(shape, batch, seed)),
    budget,
  );
  const figures: Record<string, Figure> = {};
  const perOperation = new Map<string, number[]>();
  for (const [name, shape] of Object.entries(shapes)) {
    const rounds = scored.get(name) ?? [];
    const operations = count * operationsOf(shape);
    const upper = name.replace(/^./, (first) => first.toUpperCase());
    perOperation.set(
      name,
      rounds.map((us) => us / operations),
    );
    figures[`score${upper}Us`] = middle(rounds, "us");
    figures[`score${upper}Gflops`] = middle(
      rounds.map((us) => operations / us / 1_000),
      "GFLOP/s",
    );
    figures[`pass${upper}Us`] = middle(learned.get(name) ?? [], "us");
  }
  const ours = perOperation.get("mmoe") ?? [];
  for (const name of ["pleLevels1", "pleLevels2", "pleLean"]) {
    figures[`${name}TimePerOperation`] = timesFaster(ours, perOperation.get(name) ?? []);
  }
  return figures;
}

export const bench: Bench = {
  name: "models",
  about: `What each kind of ranker costs: scoring, and forward with backward, one thread, ${
    mmoe.heads.length
  } heads.`,
  options: {
    candidates: { kind: "number", help: "items scored", default: 500, min: 1, max: 10_000 },
    batch: { kind: "number", help: "rows of a pass", default: 256, min: 1, max: 10_000 },
  },
  run,
};
