import { Random } from "../models/core/random.ts";
import { createRanker, type Ranker } from "../models/ranking/ranker.ts";
import { decodeSample, encodeSample, type Sample } from "../models/training/sample.ts";
import { RankTrainer, type TrainerOptions, trainerDefaults } from "../models/training/trainer.ts";
import { EmbeddingTable, ModelSlots } from "../native/index.ts";
import { OnlineTrainer } from "../workers/trainer/trainer.ts";
import type { Bench, Figure } from "./harness.ts";
import { pinned } from "./kernels/pin.ts";
import { TorchTraining, type TrainingRun } from "./peers/torch-training.ts";
import { mean, median, percentile } from "./statistics.ts";
import { drawStream, samplesOf, streamIds, wideShape } from "./training/stream.ts";

/**
 * Method: one drawn stream, the same first weights, Adam at 1e-3 on the dense parameters, Adagrad
 * on id embeddings, one pass. Ours and PyTorch take turns, a pass each, on one processor and one
 * thread; a figure is the median of the passes. What is timed is a pass over samples in memory.
 */

const batches = [64, 100, 256, 1_024] as const;
const embedding = { ...trainerDefaults.itemEmbedding, admission: 0 };
const onlineBatch = 100;

function trainerOptions(batch: number, count: number): Partial<TrainerOptions> {
  return {
    batchMax: batch,
    metricsWindow: count,
    lossWeights: wideShape.heads.map(() => 1),
    schedule: { warmupSteps: 0, halfLifeSamples: Infinity, floor: 1 },
    userEmbedding: embedding,
    itemEmbedding: embedding,
  };
}

interface Work {
  readonly ranker: Ranker;
  readonly initial: Float32Array;
  readonly samples: readonly Sample[];
  readonly encoded: readonly Uint8Array[];
}

function withTables<T>(work: (users: EmbeddingTable, items: EmbeddingTable) => T): T {
  const { userEmbedding, itemEmbedding } = wideShape;
  const users = EmbeddingTable.create({ path: null, rows: streamIds.users, dim: userEmbedding });
  const items = EmbeddingTable.create({ path: null, rows: streamIds.items, dim: itemEmbedding });
  try {
    return work(users, items);
  } finally {
    users.release();
    items.release();
  }
}

function ourPass({ ranker, initial, samples }: Work, batch: number): TrainingRun {
  return withTables((users, items) => {
    const options = trainerOptions(batch, samples.length);
    const trainer = new RankTrainer(ranker, { users, items }, initial, options);
    const startMs = performance.now();
    for (let from = 0; from < samples.length; from += batch) {
      trainer.learn(samples.slice(from, from + batch));
    }
    const seconds = (performance.now() - startMs) / 1_000;
    const heads = wideShape.heads.flatMap((head, h) => (head.kind === "binary" ? [h] : []));
    const metrics = trainer.metrics();
    return { seconds, logLosses: heads.map((h) => metrics[h]?.loss ?? Number.NaN) };
  });
}

/** From the bytes of the log to live weights: what the trainer's thread does, batch by batch. */
function onlinePass({ ranker, initial, encoded }: Work): { seconds: number; published: number } {
  const slots = ModelSlots.create({ slots: 4, floats: ranker.slotFloats, readers: 8 });
  try {
    return withTables((users, items) => {
      const options = trainerOptions(onlineBatch, encoded.length);
      const trainer = new RankTrainer(ranker, { users, items }, initial, options);
      const online = new OnlineTrainer({
        ...{ trainer, slots, users, items, publishEvery: onlineBatch },
      });
      online.publishNow();
      let published = 0;
      const startMs = performance.now();
      for (const bytes of encoded) {
        if (online.take(decodeSample(bytes))?.published === true) published++;
      }
      return { seconds: (performance.now() - startMs) / 1_000, published };
    });
  } finally {
    slots.release();
  }
}

function passFigure(seconds: readonly number[], count: number): Figure {
  const rates = seconds.map((value) => count / value);
  const [low, high] = [percentile(rates, 0), percentile(rates, 1)];
  return { value: median(rates), unit: "samples/s", low, high };
}

interface Passes {
  readonly ours: TrainingRun[];
  readonly torch: TrainingRun[];
}

function batchFigures(batch: number, passes: Passes, count: number): Record<string, Figure> {
  const { ours, torch } = passes;
  const secondsOf = (runs: readonly TrainingRun[]) => runs.map(({ seconds }) => seconds);
  const figures = { [`samplesPerSecond${batch}`]: passFigure(secondsOf(ours), count) };
  if (torch.length === 0) return figures;
  const ratios = torch.map(({ seconds }, i) => seconds / ours[i]!.seconds);
  const [low, high] = [percentile(ratios, 0), percentile(ratios, 1)];
  const apart = Math.abs(mean(ours[0]!.logLosses) - mean(torch[0]!.logLosses));
  return {
    ...figures,
    [`torchSamplesPerSecond${batch}`]: passFigure(secondsOf(torch), count),
    [`vsTorch${batch}`]: { value: median(ratios), unit: "x", low, high },
    [`logLoss${batch}`]: { value: mean(ours[0]!.logLosses), unit: "nats" },
    [`logLossApart${batch}`]: { value: apart, unit: "nats" },
  };
}

async function measure(
  work: Work,
  { torch, rounds }: { torch: TorchTraining | null; rounds: number },
): Promise<Record<string, Figure>> {
  const count = work.samples.length;
  const figures: Record<string, Figure> = {};
  for (const batch of batches) {
    const passes: Passes = { ours: [], torch: [] };
    for (let round = 0; round < rounds; round++) {
      passes.ours.push(ourPass(work, batch));
      if (torch !== null) passes.torch.push(await torch.train(batch));
    }
    Object.assign(figures, batchFigures(batch, passes, count));
  }
  const online = Array.from({ length: rounds }, () => onlinePass(work));
  figures.onlineSamplesPerSecond = passFigure(
    online.map(({ seconds }) => seconds),
    count,
  );
  const share = (onlineBatch * median(online.map(({ published }) => published))) / count;
  figures.onlinePublishedShare = { value: share, unit: "of batches" };
  return figures;
}

export const bench: Bench = {
  name: "training",
  about: "Samples learned a second, beside PyTorch on the same stream, and the online path.",
  options: {
    samples: { kind: "number", help: "samples of the stream", default: 51_200, min: 1_024 },
    rounds: { kind: "number", help: "passes of each, in turns", default: 3, min: 1 },
    cpu: { kind: "number", help: "the processor to stay on; -1: any", default: 0, min: -1 },
  },
  async run({ options, smoke, seed, say }) {
    const stream = drawStream(smoke ? 1_024 : options.number("samples"), seed);
    const samples = samplesOf(stream);
    const ranker = createRanker(wideShape);
    const initial = new Float32Array(ranker.floats);
    ranker.initialise(new Random(seed), initial);
    const work = { ranker, initial, samples, encoded: samples.map(encodeSample) };
    const python = process.env.PEER_PYTHON ?? "";
    if (python === "") say("no PyTorch beside it: PEER_PYTHON names no interpreter");
    return await pinned(smoke ? -1 : options.number("cpu"), say, async () => {
      const peer = { python, stream, layout: ranker.layout, weights: initial, embedding };
      const torch = python === "" ? null : await TorchTraining.open(peer);
      if (torch !== null) say(`PyTorch ${torch.version}, one thread`);
      try {
        return await measure(work, { torch, rounds: smoke ? 1 : options.number("rounds") });
      } finally {
        await torch?.close();
      }
    });
  },
};
