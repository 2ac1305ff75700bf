import { noRow } from "../../core/bytes.ts";
import { Random } from "../../core/random.ts";
import { HeadLosses, uncertaintyCoefficients } from "../../layers/head-losses.ts";
import { createRanker, type Ranker, type RankerShape } from "../../ranking/ranker.ts";
import { BatchModel } from "../batch-model.ts";
import type { Sample } from "../sample.ts";
import { modelScores } from "../scores.ts";
import { RankTrainer, type TrainerOptions, trainerDefaults } from "../trainer.ts";
import { drawFeed } from "./feed-world.ts";
import { MemoryVectors } from "./memory-vectors.ts";
import { namedTensors, setTensor, tensorValues } from "./named-tensors.ts";

/**
 * What two implementations of a ranker are compared on: the same first parameters, samples and
 * optimizer. Arrays of floats are base64 of float32, so that a task is one JSON text.
 */
export interface ParityTask {
  readonly shape: RankerShape;
  readonly lossWeights: "uncertainty" | readonly number[];
  readonly adam: { learningRate: number; beta1: number; beta2: number; epsilon: number };
  /** Steps over which the learning rate rises linearly. */
  readonly warmupSteps: number;
  readonly clipNorm: number;
  readonly embedding: { learningRate: number; epsilon: number };
  readonly batch: number;
  readonly steps: number;
  /** By their names in namedTensors. */
  readonly tensors: Readonly<Record<string, string>>;
  /** The first embeddings of rows 0, 1, ... */
  readonly users: string;
  readonly items: string;
  readonly samples: {
    readonly count: number;
    /** -1: no row. */
    readonly userRows: readonly number[];
    readonly itemRows: readonly number[];
    readonly positions: readonly number[];
    readonly weights: string;
    readonly labels: string;
    readonly userDense: string;
    readonly itemDense: string;
  };
}

export interface ParityAnswer {
  /** heads x batch of the first batch, with position biases. */
  readonly logits: string;
  /** Of the first batch's loss, by tensor. */
  readonly gradients: Readonly<Record<string, string>>;
  /** batch x embedding. */
  readonly userVectors: string;
  readonly itemVectors: string;
  /** Before each step: the batch's losses, summed over heads and rows by weight, over its rows. */
  readonly losses: readonly number[];
  /** Parameters after the last step. */
  readonly after: Readonly<Record<string, string>>;
}

export function packFloats(values: Float32Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64");
}

export function unpackFloats(text: string): Float32Array {
  return new Float32Array(new Uint8Array(Buffer.from(text, "base64")).buffer);
}

function packTensors(ranker: Ranker, flat: Float32Array): Record<string, string> {
  const packed = (tensor: ReturnType<typeof namedTensors>[number]) =>
    [tensor.name, packFloats(tensorValues(flat, tensor))] as const;
  return Object.fromEntries(namedTensors(ranker.layout).map(packed));
}

/** Rows of the made-up feed's users and items. */
const tableRows = 32;

/** A task on the made-up feed: every parameter moved off its first value, some labels unknown. */
export function drawTask(options: {
  readonly shape: RankerShape;
  readonly lossWeights: ParityTask["lossWeights"];
  readonly batch: number;
  readonly steps: number;
  readonly seed: number;
}): ParityTask {
  const { shape, batch, steps, seed } = options;
  const random = new Random(seed);
  const ranker = createRanker(shape);
  const flat = new Float32Array(ranker.floats);
  ranker.initialise(random, flat);
  for (const tensor of namedTensors(ranker.layout)) {
    setTensor(
      flat,
      tensor,
      tensorValues(flat, tensor).map((x) => x + 0.03 * random.normal()),
    );
  }
  const normals = (count: number) => Float32Array.from({ length: count }, () => random.normal());
  const heads = shape.heads.map(({ name }) => feedHeadIndex(name));
  const rows = drawFeed(batch * steps, seed).samples.map((sample, i) => ({
    ...sample,
    weight: 0.5 + (i % 4) / 2,
    labels: Float32Array.from(heads, (h) => (i % 17 === h ? Number.NaN : sample.labels[h]!)),
  }));
  return {
    ...{ shape, lossWeights: options.lossWeights, batch, steps },
    adam: { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    warmupSteps: 20,
    clipNorm: 5,
    embedding: { learningRate: 0.05, epsilon: 0.05 },
    tensors: packTensors(ranker, flat),
    users: packFloats(normals(tableRows * shape.userEmbedding)),
    items: packFloats(normals(tableRows * shape.itemEmbedding)),
    samples: packSamples(rows),
  };
}

function feedHeadIndex(name: string): number {
  return ["ctr", "like", "cvr", "watch"].indexOf(name);
}

function packSamples(samples: readonly Sample[]): ParityTask["samples"] {
  const floats = (of: (sample: Sample) => Float32Array) =>
    packFloats(Float32Array.from(samples.flatMap((sample) => [...of(sample)])));
  const rows = (of: (sample: Sample) => number) =>
    samples.map((sample) => (of(sample) === noRow ? -1 : of(sample)));
  return {
    count: samples.length,
    userRows: rows((sample) => sample.userRow),
    itemRows: rows((sample) => sample.itemRow),
    positions: samples.map((sample) => sample.position),
    weights: floats((sample) => Float32Array.of(sample.weight)),
    labels: floats((sample) => sample.labels),
    userDense: floats((sample) => sample.userDense),
    itemDense: floats((sample) => sample.itemDense),
  };
}

function samplesOf(task: ParityTask): Sample[] {
  const { samples, shape } = task;
  const [base] = drawFeed(1, 1).samples;
  const part = (text: string, width: number) => {
    const all = unpackFloats(text);
    return (i: number) => all.subarray(i * width, (i + 1) * width);
  };
  const weight = part(samples.weights, 1);
  const labels = part(samples.labels, shape.heads.length);
  const userDense = part(samples.userDense, shape.userWidth);
  const itemDense = part(samples.itemDense, shape.itemWidth);
  const row = (value: number) => (value < 0 ? noRow : value);
  return Array.from({ length: samples.count }, (_, i) => ({
    ...base!,
    userRow: row(samples.userRows[i]!),
    itemRow: row(samples.itemRows[i]!),
    position: samples.positions[i]!,
    weight: weight(i)[0]!,
    labels: labels(i),
    userDense: userDense(i),
    itemDense: itemDense(i),
  }));
}

function tableOf(text: string, width: number): MemoryVectors {
  const table = new MemoryVectors(width);
  const all = unpackFloats(text);
  for (let row = 0; row < tableRows && width > 0; row++) {
    table.values.set(row, all.slice(row * width, (row + 1) * width));
  }
  return table;
}

function setUp(task: ParityTask) {
  const { shape } = task;
  const ranker = createRanker(shape);
  const weights = new Float32Array(ranker.floats);
  ranker.initialise(new Random(1), weights);
  for (const tensor of namedTensors(ranker.layout)) {
    setTensor(weights, tensor, unpackFloats(task.tensors[tensor.name]!));
  }
  const users = tableOf(task.users, shape.userEmbedding);
  const items = tableOf(task.items, shape.itemEmbedding);
  return { ranker, weights, tables: { users, items }, samples: samplesOf(task) };
}

/** What this project's rankers and trainer make of a task. */
export function ourAnswer(task: ParityTask): ParityAnswer {
  const first = firstBatch(task);
  const { ranker, weights, tables, samples } = setUp(task);
  const { embedding, clipNorm, batch } = task;
  const rows = { ...trainerDefaults.userEmbedding, ...embedding, admission: 0 };
  const options: Partial<TrainerOptions> = {
    optimizer: { kind: "adam", ...task.adam },
    lossWeights: task.lossWeights,
    ...{ userEmbedding: rows, itemEmbedding: rows, clipNorm, batchMax: batch },
    schedule: { warmupSteps: task.warmupSteps, halfLifeSamples: Infinity, floor: 1 },
  };
  const trainer = new RankTrainer(ranker, tables, weights, options);
  const out = modelScores(ranker.layout.heads, batch);
  const losses = Array.from({ length: task.steps }, (_, k) => {
    const part = samples.slice(k * batch, (k + 1) * batch);
    const { rows: count } = trainer.load(part);
    trainer.score({ weights: trainer.weights, rows: null }, out);
    trainer.learnLoaded();
    return out.losses.subarray(0, count).reduce((sum, loss) => sum + loss, 0) / count;
  });
  return { ...first, losses, after: packTensors(ranker, trainer.weights) };
}

/** Logits and gradients of the first batch. */
function firstBatch(task: ParityTask) {
  const { ranker, weights, tables, samples } = setUp(task);
  const { layout, kernels } = ranker;
  const gradients = new Float32Array(ranker.floats);
  const rowsMax = task.batch;
  const model = new BatchModel({ ranker, tables, weights, gradients, rowsMax });
  const { batch, network } = model;
  model.load(samples.slice(0, rowsMax));
  model.forward();
  const { logits, logitsGradient } = network;
  const coefficients = new Float64Array(layout.heads).fill(1);
  const variances = weights.subarray(layout.logVariances, layout.logVariances + layout.heads);
  const learned = task.lossWeights === "uncertainty";
  if (learned) uncertaintyCoefficients(variances, coefficients);
  else coefficients.set(task.lossWeights);
  const losses = new Float32Array(layout.heads * rowsMax);
  const columns = { logits, labels: batch.labels, losses, gradients: logitsGradient };
  const rowWeights = batch.weights.map((weight) => weight / batch.rows);
  new HeadLosses(kernels, layout, rowsMax).compute(
    { ...columns, weights: rowWeights, stride: rowsMax },
    batch.rows,
    coefficients,
  );
  model.backward();
  for (let h = 0; learned && h < layout.heads; h++) {
    const loss = losses.subarray(h * rowsMax, (h + 1) * rowsMax).reduce((a, b) => a + b, 0);
    gradients[layout.logVariances + h] = 0.5 - coefficients[h]! * loss;
  }
  return {
    logits: packFloats(logits),
    gradients: packTensors(ranker, gradients),
    userVectors: packFloats(network.userVectorGradient.values),
    itemVectors: packFloats(network.itemVectorGradient.values),
  };
}

/** The largest differences of two answers; gradients and parameters over their largest value. */
export interface ParityFault {
  readonly logits: number;
  readonly gradients: number;
  /** Relative, over all steps. */
  readonly losses: number;
  readonly after: number;
}

function furthest(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

function furthestOfAll(
  ours: Readonly<Record<string, string>>,
  theirs: Readonly<Record<string, string>>,
): number {
  const names = new Set([...Object.keys(ours), ...Object.keys(theirs)]);
  // The gate of a single expert has nothing to choose: its gradient is zero but for rounding, which
  // Adam blows up to whole steps.
  const isIdle = (name: string) =>
    name.includes(".gate.") && unpackFloats(ours[name.replace("weight", "bias")] ?? "").length < 2;
  const faults = [...names].map((name) => {
    if (isIdle(name)) return 0;
    const [a, b] = [unpackFloats(ours[name] ?? ""), unpackFloats(theirs[name] ?? "")];
    return furthest(a, b) / Math.max(1e-2, furthest(b, new Float32Array(b.length)));
  });
  return Math.max(0, ...faults);
}

export function compareAnswers(ours: ParityAnswer, theirs: ParityAnswer): ParityFault {
  const vectors = (of: ParityAnswer) => ({ user: of.userVectors, item: of.itemVectors });
  const losses = ours.losses.map((loss, k) => {
    const other = theirs.losses[k] ?? Number.NaN;
    return Math.abs(loss - other) / other;
  });
  return {
    logits: furthest(unpackFloats(ours.logits), unpackFloats(theirs.logits)),
    gradients: Math.max(
      furthestOfAll(ours.gradients, theirs.gradients),
      furthestOfAll(vectors(ours), vectors(theirs)),
    ),
    losses: Math.max(...losses),
    after: furthestOfAll(ours.after, theirs.after),
  };
}
