import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { RecError } from "../../models/core/errors.ts";
import type { Sample } from "../../models/training/sample.ts";

/** What a peer that is trained as a script is told: samples to learn from and to be judged on. */
export interface PeerTask {
  readonly train: readonly Sample[];
  readonly test: readonly Sample[];
  readonly seeds: number;
  readonly say: (text: string) => void;
}

/** Training rows in the order of time, then the rows to be judged on in theirs. */
export function peerRows({ train, test }: PeerTask): { rows: Sample[]; trained: number } {
  return {
    rows: [...train.toSorted((a, b) => a.servedMs - b.servedMs), ...test],
    trained: train.length,
  };
}

/** rows x width: the columns of each row, one after another. */
export function packed(
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

/** A line of JSON, then the sections as they lie in memory; the layout stands in the script. */
export function writePeerFile(
  path: string,
  head: object,
  sections: readonly NodeJS.ArrayBufferView[],
): void {
  const file = openSync(path, "wx", 0o600);
  try {
    writeSync(file, `${JSON.stringify(head)}\n`);
    for (const section of sections) writeSync(file, section);
  } finally {
    closeSync(file);
  }
}

/** Runs a script to its end and passes on each line that it writes; `needs`: what pip installs. */
export async function runPeerScript(
  command: readonly string[],
  { say, needs }: { readonly say: (text: string) => void; readonly needs: string },
): Promise<void> {
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
  const message = `${needs} failed: ${(await errors).trim().split("\n").at(-1)}`;
  throw new RecError("REC_BENCH_PEER", message, { fix: `pip install ${needs} for PEER_PYTHON` });
}

/** Float32 predictions of the test rows, as a script left them: [seed][head]. */
export function readPredictions(
  path: string,
  { test, heads, seeds }: { test: readonly Sample[]; heads: number; seeds: number },
): Float32Array[][] {
  const bytes = readFileSync(path);
  const values = new Float32Array(
    bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
  );
  const column = (at: number) => values.subarray(at * test.length, (at + 1) * test.length);
  return Array.from({ length: seeds }, (_, seed) =>
    Array.from({ length: heads }, (__, h) => column(seed * heads + h)),
  );
}
