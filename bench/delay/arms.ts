import { Random } from "../../models/core/random.ts";
import { createRanker } from "../../models/ranking/ranker.ts";
import type { Sample } from "../../models/training/sample.ts";
import { modelScores } from "../../models/training/scores.ts";
import { RankTrainer } from "../../models/training/trainer.ts";
import { EmbeddingTable } from "../../native/index.ts";
import { delayShape, emitAfterMs, type Impression, tableRows, windowMs } from "./stream.ts";

/**
 * How late labels reach the trainer. `oracle`: with the sample, as if known at once. `wait`: with
 * the sample, which leaves when their window has closed. `never`: what is late is forgotten. The
 * others send a negative first and a correction when the label comes; `Thinned`: with a quarter of
 * the negatives.
 */
export const armNames = [
  "oracle",
  "takeBack",
  "fakeNegative",
  "takeBackThinned",
  "fakeNegativeThinned",
  "wait",
  "never",
] as const;
export type ArmName = (typeof armNames)[number];

const batch = 100;
const thinnedShare = 0.25;

/** What is learned, and when it may be. */
interface Emitted {
  readonly atMs: number;
  readonly sample: Sample;
}

/** The samples of one impression. */
function emittedOf({ sample, cameMs }: Impression, arm: ArmName, random: Random): Emitted[] {
  const { servedMs, labels } = sample;
  const dueMs = servedMs + emitAfterMs;
  if (arm === "oracle") return [{ atMs: dueMs, sample }];
  if (arm === "wait") return [{ atMs: servedMs + windowMs, sample }];
  const prompt = labels.map((label, h) => (cameMs[h]! <= dueMs ? label : 0));
  // As the joiner does: by what is known when the sample leaves, for its corrections too.
  const isThinned = arm.endsWith("Thinned") && prompt.every((label) => label === 0);
  if (isThinned && random.next() >= thinnedShare) return [];
  const weight = isThinned ? 1 / thinnedShare : 1;
  const emitted: Emitted[] = [{ atMs: dueMs, sample: { ...sample, weight, labels: prompt } }];
  if (arm === "never") return emitted;
  for (const [h, atMs] of cameMs.entries()) {
    if (atMs <= dueMs || atMs === Number.POSITIVE_INFINITY) continue;
    const late = labels.map((label, head) => (head === h ? label : Number.NaN));
    emitted.push({ atMs, sample: { ...sample, kind: "correction", weight, labels: late } });
  }
  return emitted;
}

/** Predictions of all impressions as they were served, heads x impressions. */
export function runArm(
  impressions: readonly Impression[],
  arm: ArmName,
  seed: number,
): Float32Array[] {
  const random = new Random(seed + 1);
  const log = impressions
    .flatMap((one) => emittedOf(one, arm, random))
    .sort((a, b) => a.atMs - b.atMs);
  const shape = delayShape(arm.startsWith("fakeNegative") ? "fakeNegative" : "takeBack");
  const ranker = createRanker(shape);
  const initial = new Float32Array(ranker.floats);
  ranker.initialise(new Random(seed), initial);
  const table = (rows: number, dim: number) => EmbeddingTable.create({ path: null, rows, dim });
  const users = table(tableRows.users, shape.userEmbedding);
  const items = table(tableRows.items, shape.itemEmbedding);
  const trainer = new RankTrainer(ranker, { users, items }, initial, { batchMax: batch });
  const out = modelScores(shape.heads.length, batch);
  const predicted = shape.heads.map(() => new Float32Array(impressions.length));
  let next = 0;
  for (let from = 0; from < impressions.length; from += batch) {
    const served = impressions.slice(from, from + batch).map(({ sample }) => sample);
    // Batches are cut by the log: what is not whole waits.
    while (next + batch <= log.length && log[next + batch - 1]!.atMs <= served[0]!.servedMs) {
      trainer.learn(log.slice(next, next + batch).map(({ sample }) => sample));
      next += batch;
    }
    trainer.load(served);
    trainer.score({ weights: trainer.weights, rows: null }, out);
    for (const [h, column] of predicted.entries()) {
      column.set(out.predictions.subarray(h * batch, h * batch + served.length), from);
    }
  }
  for (const one of [users, items]) one.release();
  return predicted;
}
