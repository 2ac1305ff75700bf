import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noRow } from "../../models/core/bytes.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { coldStartOf } from "../../models/ranking/cold-start.ts";
import type { Sample } from "../../models/training/sample.ts";
import type { TrainOptions } from "../../server/history/ranking-run.ts";
import { recentRows } from "../sequence/recent-rows.ts";
import {
  type PeerTask,
  packed,
  peerRows,
  readPredictions,
  runPeerScript,
  writePeerFile,
} from "./peer-files.ts";

/** Ways to tell a ranker what its user met last; what each is stands in the script. */
export const sequenceArms = [
  "none",
  "mean",
  "attention",
  "attentionCategory",
  "attentionContent",
] as const;
export type SequenceArm = (typeof sequenceArms)[number];

export interface SequenceTask extends PeerTask {
  readonly definition: RecommenderDefinition;
  readonly training: Pick<TrainOptions, "epochs" | "batch" | "decay" | "average" | "seed"> & {
    readonly rate: number;
    /** Occurrences before the ranker learns an id of its own. */
    readonly userIds: number;
    readonly itemIds: number;
  };
  readonly sequence: {
    /** Rows that are looked back on. */
    readonly length: number;
    /** Width of the vector of an item's id, and of a category's. */
    readonly dim: number;
    /** Occurrences in training before an item of the sequence has a vector of its own. */
    readonly sequenceIds: number;
    /** Shares of a softmax over the sequence, or the activation unit's numbers as they are. */
    readonly weights: "softmax" | "sum";
  };
}

const script = join(import.meta.dir, "torch_sequence.py");

/** Trains each arm by the interpreter that PEER_PYTHON names: [seed][head] predictions of each. */
export async function sequencePredictions(
  python: string,
  arms: readonly SequenceArm[],
  task: SequenceTask,
): Promise<Map<SequenceArm, Float32Array[][]>> {
  const folder = mkdtempSync(join(tmpdir(), "rec-sequence-"));
  const { say, test, seeds, definition } = task;
  try {
    const features = join(folder, "features");
    writeFeatures(features, task);
    const answers = new Map<SequenceArm, Float32Array[][]>();
    for (const arm of arms) {
      const predictions = join(folder, arm);
      await runPeerScript([python, script, features, predictions, arm], { say, needs: "torch" });
      answers.set(
        arm,
        readPredictions(predictions, { test, heads: definition.heads.length, seeds }),
      );
    }
    return answers;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The layout stands in the script. */
function writeFeatures(path: string, task: SequenceTask): void {
  const { rows, trained } = peerRows(task);
  const { definition, training, sequence, seeds } = task;
  const [first] = rows;
  const userColumns = first?.userDense.length ?? 0;
  const columns = userColumns + (first?.itemDense.length ?? 0);
  const { experts, expertLayers, towerLayers, itemEmbedding: idColumns } = definition.ranking;
  const { heads, firstSkips } = startOf(definition);
  const head = {
    ...{ rows: rows.length, trained, columns, userColumns, heads, seeds, idColumns },
    ...{ experts, expertLayers, towerLayers, firstSkips, ...training, ...sequence },
  };
  const ids = (of: (row: Sample) => number) =>
    Int32Array.from(rows, (row) => (of(row) === noRow ? -1 : of(row)));
  writePeerFile(path, head, [
    Float64Array.from(rows, (row) => row.servedMs),
    packed(rows, columns, (row) => [row.userDense, row.itemDense]),
    packed(rows, heads.length, (row) => [row.labels]),
    ids((row) => row.userRow),
    ids((row) => row.itemRow),
    ids((row) => row.categoryRow),
    recentRows(rows, sequence.length),
  ]);
}

/** Heads with the logit that each begins at, and the skips that are not 0 (`coldStartOf`). */
function startOf(definition: RecommenderDefinition) {
  const { rates, skips, itemMeans } = coldStartOf(definition);
  const heads = definition.heads.map(({ name, kind }, h) => {
    const rate = rates[h] ?? 0.1;
    const seconds = kind === "seconds";
    return { name, seconds, firstLogit: seconds ? 0 : Math.log(rate / (1 - rate)) };
  });
  const firstSkips = skips.map((skip) => ({ ...skip, middle: itemMeans[skip.itemInput] ?? 0 }));
  return { heads, firstSkips };
}
