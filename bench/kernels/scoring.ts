import { assert } from "../../models/core/assert.ts";
import { Random } from "../../models/core/random.ts";
import defaultDefinition from "../../models/definition/default.ts";
import { rankerShapeOf } from "../../models/ranking/definition-shape.ts";
import { createRanker, type Ranker, type RankerShape } from "../../models/ranking/ranker.ts";
import { instructionSets, type KernelSet, nativeKernels } from "../../native/index.ts";
import { referenceKernels } from "../../native/reference/kernels.ts";
import { type MmoeInputs, type OnnxForm, OnnxMmoe, onnxMmoe } from "../peers/onnx-mmoe.ts";
import { type Figure, median } from "../statistics.ts";
import { normals } from "./cases.ts";
import {
  alternate,
  type Budget,
  callsPerSample,
  middle,
  type ResultHash,
  timesFaster,
  turn,
} from "./measure.ts";

/** 256 inputs, half of them the user's, all of them as they are: no normaliser on either side. */
const wideShape: RankerShape = {
  userWidth: 0,
  userEmbedding: 128,
  itemWidth: 0,
  itemEmbedding: 128,
  heads: [
    { name: "ctr", interaction: "click", kind: "binary" },
    { name: "like", interaction: "like", kind: "binary" },
    { name: "finish", interaction: "finish", kind: "binary" },
    { name: "cvr", interaction: "convert", kind: "binary", given: "ctr" },
    { name: "share", interaction: "share", kind: "binary" },
  ],
  experts: 4,
  expertLayers: [128, 64],
  towerLayers: [32],
  positions: 20,
};

export interface ScoringOptions {
  readonly candidates: readonly number[];
  readonly budget: Budget;
  readonly seed: number;
  readonly hash: ResultHash;
}

/** Weights of a fresh ranker, moved so that no bias is zero and no scale is one. */
function weightsOf(ranker: Ranker, seed: number): Float32Array {
  const random = new Random(seed);
  const weights = new Float32Array(ranker.floats);
  ranker.initialise(random, weights);
  for (let i = 0; i < weights.length; i++) weights[i] = (weights[i] ?? 0) + 0.02 * random.normal();
  return weights;
}

function inputsOf({ shape }: Ranker, rows: number, seed: number): MmoeInputs {
  const random = new Random(seed);
  return {
    userDense: normals(shape.userWidth, random, 2),
    userVector: normals(shape.userEmbedding, random),
    itemDense: normals(rows * shape.itemWidth, random, 2),
    itemVector: normals(rows * shape.itemEmbedding, random),
    rows,
  };
}

function scorer(ranker: Ranker, weights: Float32Array, inputs: MmoeInputs) {
  const { rows, itemVector, ...rest } = inputs;
  const input = { ...rest, itemVectors: itemVector, weights, count: rows };
  const out = new Float32Array(rows * ranker.shape.heads.length);
  return { out, run: () => ranker.score(input, out) };
}

/** The largest difference of a probability, or of seconds as a share of 1 + seconds. */
export function furthest(ours: Float32Array, theirs: Float32Array): number {
  let worst = ours.length === theirs.length ? 0 : Number.NaN;
  for (let i = 0; i < ours.length; i++) {
    const [a, b] = [ours[i] ?? Number.NaN, theirs[i] ?? Number.NaN];
    worst = Math.max(worst, Math.abs(a - b) / Math.max(1, Math.abs(b)));
  }
  return worst;
}

async function peerTurn(peer: OnnxMmoe, turnMs: number): Promise<number> {
  const samples: number[] = [];
  const untilMs = performance.now() + turnMs;
  do {
    const startMs = performance.now();
    await peer.score();
    samples.push((performance.now() - startMs) * 1_000);
  } while (performance.now() < untilMs);
  return median(samples);
}

interface Contest {
  readonly name: string;
  readonly ranker: Ranker;
  readonly weights: Float32Array;
}

async function openPeers(contest: Contest, inputs: MmoeInputs, ours: Float32Array) {
  const peers = new Map<OnnxForm, OnnxMmoe>();
  for (const form of ["joined", "split"] as const) {
    const { layout } = contest.ranker;
    assert(layout.model === "mmoe", "the peer is a mixture");
    const model = onnxMmoe(layout, contest.weights, form);
    const peer = await OnnxMmoe.open(model, form, inputs);
    const fault = furthest(ours, await peer.score());
    if (!(fault <= 1e-4)) throw new Error(`${contest.name}: the peer differs by ${fault}`);
    peers.set(form, peer);
  }
  return peers;
}

/** Ours and both forms of the peer on the same weights and inputs, in turn. */
async function measurePeers(contest: Contest, rows: number, options: ScoringOptions) {
  const { budget, seed, hash } = options;
  const inputs = inputsOf(contest.ranker, rows, seed + rows);
  const { run, out } = scorer(contest.ranker, contest.weights, inputs);
  run();
  hash.add(out);
  const peers = await openPeers(contest, inputs, out);
  const calls = callsPerSample(run, 0.25);
  const ours: number[] = [];
  const theirs: Record<OnnxForm, number[]> = { joined: [], split: [] };
  for (const peer of peers.values()) await peerTurn(peer, budget.turnMs);
  for (let round = 0; round < budget.rounds; round++) {
    ours.push(median(turn(run, calls, budget.turnMs)));
    for (const [form, peer] of peers) theirs[form].push(await peerTurn(peer, budget.turnMs));
  }
  for (const peer of peers.values()) await peer.close();
  const { name } = contest;
  return {
    [`${name}Us${rows}`]: middle(ours, "us"),
    [`${name}OnnxUs${rows}`]: middle(theirs.joined, "us"),
    [`${name}OnnxSplitUs${rows}`]: middle(theirs.split, "us"),
    [`${name}VsOnnx${rows}`]: timesFaster(ours, theirs.joined),
    [`${name}VsOnnxSplit${rows}`]: timesFaster(ours, theirs.split),
  };
}

/** The fused call on each instruction set and the twin; the twin has fewer rows: it is slow. */
function measureSets(shape: RankerShape, options: ScoringOptions): Record<string, Figure> {
  const rows = Math.min(100, ...options.candidates.filter((count) => count > 1));
  const sets: KernelSet[] = [
    referenceKernels,
    ...instructionSets().map((name) => nativeKernels(name)),
  ];
  const timed = sets.map((set) => {
    const ranker = createRanker(shape, set);
    const weights = weightsOf(ranker, options.seed);
    return { name: set.name, ...scorer(ranker, weights, inputsOf(ranker, rows, options.seed)) };
  });
  const found = alternate(timed, { ...options.budget, rounds: Math.min(3, options.budget.rounds) });
  const twin = found.get("twin") ?? [];
  const figures: Record<string, Figure> = {};
  for (const [name, rounds] of found) {
    const suffix = `${name.slice(0, 1).toUpperCase()}${name.slice(1)}`;
    figures[`mmoeScore${suffix}Us`] = middle(rounds, "us");
    if (name !== "twin") figures[`mmoeScore${suffix}VsTwin`] = timesFaster(rounds, twin);
  }
  return figures;
}

/**
 * Scoring of one user's candidates beside ONNX Runtime with one thread, the default definition's
 * model (`default...`) and a wide one (no prefix but the family's).
 */
export async function measureScoring(options: ScoringOptions): Promise<Record<string, Figure>> {
  const figures = [measureSets(wideShape, options)];
  const contests = [
    { name: "wide", shape: wideShape },
    { name: "default", shape: rankerShapeOf(defaultDefinition) },
  ];
  for (const { name, shape } of contests) {
    const ranker = createRanker(shape);
    const contest = { name, ranker, weights: weightsOf(ranker, options.seed) };
    for (const rows of options.candidates) {
      figures.push(await measurePeers(contest, rows, options));
    }
  }
  return Object.assign({}, ...figures);
}
