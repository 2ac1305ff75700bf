import { assert } from "../../models/core/assert.ts";
import { Random } from "../../models/core/random.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import {
  type HeadReport,
  type JudgedHead,
  type ReportOptions,
  reportHeads,
} from "../../models/evaluation/head-report.ts";
import { scoreSamples } from "../../models/evaluation/score-samples.ts";
import { rankerShapeOf } from "../../models/ranking/definition-shape.ts";
import { createRanker, type Ranker } from "../../models/ranking/ranker.ts";
import { learningOf } from "../../models/training/learning.ts";
import { epoch, offlineBatchMax, type Tie } from "../../models/training/offline.ts";
import { adamDefault } from "../../models/training/optimizer.ts";
import type { Sample } from "../../models/training/sample.ts";
import { RankTrainer } from "../../models/training/trainer.ts";
import type { EmbeddingTable } from "../../native/index.ts";
import { PointInTime, type PointInTimeOptions } from "./point-in-time.ts";
import type { History } from "./read-history.ts";

export interface RankingData {
  readonly train: readonly Tie[];
  readonly test: readonly Sample[];
  /** A number for the user of each test row. */
  readonly testUsers: readonly number[];
  /** Holds the embedding tables. */
  readonly replay: PointInTime;
}

/** Point-in-time samples of a history; `replay` is the caller's to close. */
export function rankingData(
  history: History,
  options: Pick<PointInTimeOptions, "definition" | "known">,
): RankingData {
  const events = history.ties.flatMap((tie) => tie.events);
  const documents = [
    ...history.documents,
    ...history.ties.flatMap((tie) => tie.rows.flatMap((row) => row.document ?? [])),
  ];
  const replay = new PointInTime({
    ...options,
    users: new Set(events.map((event) => event.user)).size,
    items: new Set([...events, ...documents].map((one) => one.item)).size,
  });
  for (const document of history.documents) replay.document(document);
  const train: Tie[] = [];
  const test: Sample[] = [];
  const testUsers: number[] = [];
  for (const tie of history.ties) {
    for (const { held, samples, users } of replay.take(tie)) {
      if (!held) train.push(samples);
      else {
        test.push(...samples);
        testUsers.push(...users);
      }
    }
  }
  return { train, test, testUsers, replay };
}

export interface TrainOptions {
  readonly definition: RecommenderDefinition;
  readonly epochs: number;
  /** Samples of a step, but for a tie that does not fit. */
  readonly batch: number;
  readonly learningRate: number;
  /**
   * Weight decay of each step times the root of their number, so that one figure suits short and
   * long trainings (normalised weight decay, Loshchilov and Hutter 2019); 0: none.
   */
  readonly decay: number;
  readonly seed: number;
  /** The model is the mean of the weights after so many last epochs; 1: the last ones. */
  readonly average: number;
  /** Occurrences in an epoch before an id's embedding is learned; default: the definition's. */
  readonly admission: { readonly users: number | undefined; readonly items: number | undefined };
  /** Share of the learning rate at which a server learns on from the snapshot. */
  readonly onlineRate: number;
  /** Told after each epoch. */
  readonly afterEpoch?: (epoch: number, trained: TrainedRanker) => void;
}

export interface TrainedRanker {
  readonly ranker: Ranker;
  readonly trainer: RankTrainer;
}

/**
 * A ranker trained for some epochs: the first in the order of time, then shuffled. The weights of
 * the last epochs are averaged (Izmailov et al. 2018): steadier than where the last batch left off.
 * Each epoch learns the ids anew, and those of the last stay: over several epochs ids come to know
 * their rows by heart (Liu et al. 2023, "Multi-epoch learning for deep CTR models").
 */
export function trainRanking(data: RankingData, options: TrainOptions): TrainedRanker {
  const { definition, epochs, batch, seed } = options;
  const { userEmbeddings: users, itemEmbeddings: items, ids, indexes } = data.replay.state;
  // What an earlier training on the same data has left there.
  for (const table of [users, items, ...Object.values(indexes)]) emptyTable(table);
  const ranker = createRanker(rankerShapeOf(definition));
  const initial = new Float32Array(ranker.floats);
  ranker.initialise(new Random(seed), initial);
  const learning = learningOf(definition);
  const { userEmbedding, itemEmbedding } = learning;
  const { users: ofUsers = userEmbedding.admission, items: ofItems = itemEmbedding.admission } =
    options.admission;
  const rows = data.train.reduce((sum, tie) => sum + tie.length, 0);
  const weightDecay = options.decay / Math.sqrt(epochs * Math.max(1, Math.ceil(rows / batch)));
  const trainer = new RankTrainer(ranker, { users, items, ids }, initial, {
    batchMax: offlineBatchMax(data.train, batch),
    optimizer: { ...adamDefault, learningRate: options.learningRate, weightDecay },
    lossWeights: learning.lossWeights,
    userEmbedding: { ...userEmbedding, admission: ofUsers },
    itemEmbedding: { ...itemEmbedding, admission: ofItems },
  });
  const random = new Random(seed).fork();
  const average = Math.min(options.average, epochs);
  const mean = new Float64Array(ranker.floats);
  for (let done = 1; done <= epochs; done++) {
    trainer.forgetRows();
    epoch(trainer, data.train, { batch, random: done === 1 ? null : random });
    if (done > epochs - average) addShare(mean, trainer.weights, 1 / average);
    options.afterEpoch?.(done, { ranker, trainer });
  }
  trainer.settle(Float32Array.from(mean), options.onlineRate);
  return { ranker, trainer };
}

function emptyTable(table: EmbeddingTable): void {
  const rows = Uint32Array.from({ length: table.usedRows }, (_, row) => row);
  table.initialise(rows, rows.length, new Float32Array(rows.length * table.dim));
}

function addShare(sum: Float64Array, weights: Float32Array, share: number): void {
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + share * weights[i]!;
}

/** Every head's predictions for the held rows, beside what came true. */
export function judgedHeads(data: RankingData, { ranker, trainer }: TrainedRanker): JudgedHead[] {
  const { userVectors: users, itemVectors: items } = data.replay.state;
  const columns = scoreSamples({ ranker, weights: trainer.weights, users, items }, data.test);
  return ranker.headNames.map((name, h) => {
    const predictions = columns[h];
    assert(predictions !== undefined, "a column for each head");
    return {
      ...{ name, predictions, seconds: ranker.layout.seconds[h] === true },
      labels: data.test.map((sample) => sample.labels[h] ?? Number.NaN),
      users: data.testUsers,
    };
  });
}

/** How good every head is on the held rows. */
export function evaluateRanking(
  data: RankingData,
  trained: TrainedRanker,
  options: ReportOptions,
): HeadReport[] {
  return reportHeads(judgedHeads(data, trained), options);
}
