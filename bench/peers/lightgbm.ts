import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type PeerTask,
  packed,
  peerRows,
  readPredictions,
  runPeerScript,
  writePeerFile,
} from "./peer-files.ts";

export interface LightgbmTask extends PeerTask {
  readonly heads: readonly {
    readonly name: string;
    /** Seconds by the median or the mean of their logarithm. */
    readonly objective: "binary" | "median" | "mean";
  }[];
}

/** Share of the training rows, the latest, on which the peer's settings are picked. */
const lateShare = 0.2;
const script = join(import.meta.dir, "lightgbm_heads.py");

/**
 * Fits LightGBM on the same features (raw, as the ranker gets them before it normalises; no ids)
 * by the interpreter that PEER_PYTHON names. Predictions of the test rows: [seed][head].
 */
export async function lightgbmPredictions(
  python: string,
  task: LightgbmTask,
): Promise<Float32Array[][]> {
  const folder = mkdtempSync(join(tmpdir(), "rec-lightgbm-"));
  try {
    const [features, predictions] = [join(folder, "features"), join(folder, "predictions")];
    writeFeatures(features, task);
    const { say, test, seeds } = task;
    await runPeerScript([python, script, features, predictions], { say, needs: "lightgbm" });
    return readPredictions(predictions, { test, heads: task.heads.length, seeds });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The layout stands in the script. */
function writeFeatures(path: string, task: LightgbmTask): void {
  const { heads, seeds } = task;
  const { rows, trained } = peerRows(task);
  const early = Math.floor((1 - lateShare) * trained);
  const [first] = rows;
  const columns = (first?.userDense.length ?? 0) + (first?.itemDense.length ?? 0);
  const part = (at: number) => (at < early ? 0 : at < trained ? 1 : 2);
  writePeerFile(path, { rows: rows.length, columns, heads, seeds }, [
    packed(rows, columns, (row) => [row.userDense, row.itemDense]),
    packed(rows, heads.length, (row) => [row.labels]),
    Uint8Array.from(rows, (_, at) => part(at)),
  ]);
}
