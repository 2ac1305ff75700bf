import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RecError } from "../../models/core/errors.ts";
import type { Sample } from "../../models/training/sample.ts";

/** What the peer is told: the samples that our ranker learns from and is judged on. */
export interface PeerTask {
  readonly train: readonly Sample[];
  readonly test: readonly Sample[];
  readonly heads: readonly {
    readonly name: string;
    /** Seconds by the median or the mean of their logarithm. */
    readonly objective: "binary" | "median" | "mean";
  }[];
  readonly seeds: number;
  readonly say: (text: string) => void;
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
  task: PeerTask,
): Promise<Float32Array[][]> {
  const folder = mkdtempSync(join(tmpdir(), "rec-lightgbm-"));
  try {
    const [features, predictions] = [join(folder, "features"), join(folder, "predictions")];
    writeFeatures(features, task);
    await runScript([python, script, features, predictions], task.say);
    return readPredictions(predictions, task);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The layout stands in the script. */
function writeFeatures(path: string, { train, test, heads, seeds }: PeerTask): void {
  const byTime = train.toSorted((a, b) => a.servedMs - b.servedMs);
  const rows = [...byTime, ...test];
  const early = Math.floor((1 - lateShare) * byTime.length);
  const [first] = rows;
  const columns = (first?.userDense.length ?? 0) + (first?.itemDense.length ?? 0);
  const file = openSync(path, "wx", 0o600);
  try {
    writeSync(file, `${JSON.stringify({ rows: rows.length, columns, heads, seeds })}\n`);
    writeSync(
      file,
      packed(rows, columns, (row) => [row.userDense, row.itemDense]),
    );
    writeSync(
      file,
      packed(rows, heads.length, (row) => [row.labels]),
    );
    const part = (at: number) => (at < early ? 0 : at < byTime.length ? 1 : 2);
    writeSync(
      file,
      Uint8Array.from(rows, (_, at) => part(at)),
    );
  } finally {
    closeSync(file);
  }
}

function packed(
  rows: readonly Sample[],
  width: number,
  of: (row: Sample) => readonly Float32Array[],
): Float32Array {
  const out = new Float32Array(rows.length * width);
  let at = 0;
  for (const row of rows) {
    for (const part of of(row)) {
      out.set(part, at);
      at += part.length;
    }
  }
  return out;
}

async function runScript(command: readonly string[], say: (text: string) => void): Promise<void> {
  const child = Bun.spawn([...command], { stdout: "pipe", stderr: "pipe" });
  const errors = new Response(child.stderr).text();
  const decoder = new TextDecoder();
  let line = "";
  for await (const chunk of child.stdout) {
    const lines = `${line}${decoder.decode(chunk, { stream: true })}`.split("\n");
    line = lines.pop() ?? "";
    for (const text of lines) say(text);
  }
  if ((await child.exited) === 0) return;
  const message = `LightGBM failed: ${(await errors).trim().split("\n").at(-1)}`;
  throw new RecError("REC_BENCH_PEER", message, { fix: "pip install lightgbm for PEER_PYTHON" });
}

function readPredictions(path: string, { test, heads, seeds }: PeerTask): Float32Array[][] {
  const bytes = readFileSync(path);
  const values = new Float32Array(
    bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
  );
  const column = (at: number) => values.subarray(at * test.length, (at + 1) * test.length);
  return Array.from({ length: seeds }, (_, seed) =>
    heads.map((__, h) => column(seed * heads.length + h)),
  );
}
