import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert } from "../../models/core/assert.ts";
import { RecError } from "../../models/core/errors.ts";
import type { RankerLayout } from "../../models/ranking/ranker.ts";
import type { EmbeddingOptions } from "../../models/training/embedding-updates.ts";
import { type SampleStream, streamIds, wideShape } from "../training/stream.ts";

/** One pass over the stream. */
export interface TrainingRun {
  readonly seconds: number;
  /** Mean progressive log loss of each binary head, the product's for a head with `given`. */
  readonly logLosses: readonly number[];
}

export interface TorchTrainingOptions {
  readonly python: string;
  readonly stream: SampleStream;
  readonly layout: RankerLayout;
  readonly weights: Float32Array;
  readonly embedding: EmbeddingOptions;
}

const script = join(import.meta.dir, "torch_training.py");

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((one) => typeof one === "number");
}

/** PyTorch as a child process that holds the stream and trains when asked. */
export class TorchTraining {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #folder: string;
  #received = "";
  version = "";

  private constructor(python: string, folder: string) {
    this.#folder = folder;
    this.#child = Bun.spawn([python, script, folder], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
      env: { ...process.env, OMP_NUM_THREADS: "1", MKL_NUM_THREADS: "1" },
    });
    this.#chunks = this.#child.stdout.values();
  }

  static async open(options: TorchTrainingOptions): Promise<TorchTraining> {
    const folder = mkdtempSync(join(tmpdir(), "recmaster-torch-"));
    writeInputs(folder, options);
    const peer = new TorchTraining(options.python, folder);
    try {
      const first: { version?: unknown } = JSON.parse(await peer.#line());
      peer.version = String(first.version);
      return peer;
    } catch (error) {
      await peer.close();
      throw error;
    }
  }

  async train(batch: number): Promise<TrainingRun> {
    this.#child.stdin.write(`${batch}\n`);
    await this.#child.stdin.flush();
    const { seconds, logLosses }: Record<string, unknown> = JSON.parse(await this.#line());
    if (typeof seconds === "number" && isNumbers(logLosses)) return { seconds, logLosses };
    throw new RecError("REC_BENCH_PEER", "PyTorch's answer has no seconds or losses");
  }

  async #line(): Promise<string> {
    while (!this.#received.includes("\n")) {
      const { value, done } = await this.#chunks.next();
      if (done === true) {
        const fix = "PEER_PYTHON must name a Python that has torch and numpy";
        throw new RecError("REC_BENCH_PEER", "PyTorch ended without an answer", { fix });
      }
      this.#received += new TextDecoder().decode(value);
    }
    const end = this.#received.indexOf("\n");
    const line = this.#received.slice(0, end);
    this.#received = this.#received.slice(end + 1);
    return line;
  }

  async close(): Promise<void> {
    await this.#child.stdin.end();
    await this.#child.exited;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function writeInputs(folder: string, options: TorchTrainingOptions): void {
  const { stream, layout, weights, embedding } = options;
  assert(layout.model === "mmoe", "the peer trains a mixture");
  const columns = { ...stream, weights };
  for (const name of ["userRows", "itemRows", "userDense", "itemDense", "labels"] as const) {
    writeFileSync(join(folder, name), columns[name]);
  }
  writeFileSync(join(folder, "weights"), weights);
  const heads = layout.headNames;
  const shape = {
    count: stream.count,
    ...streamIds,
    dense: wideShape.userWidth,
    vector: wideShape.userEmbedding,
    heads: heads.length,
    experts: layout.experts,
    first: layout.expertWidths[0],
    last: layout.expertWidths.at(-1),
    tower: layout.towerWidths[0],
    columns: layout.columns,
    layerOne: layout.layerOne,
    layerOneBias: layout.layerOneBias,
    expert: layout.expertOffsets[1],
    towers: layout.towerOffsets[0],
    output: layout.outputOffset,
    ctr: heads.indexOf("ctr"),
    cvr: heads.indexOf("cvr"),
    watch: heads.indexOf("watch"),
    plain: ["ctr", "like", "finish"].map((name) => heads.indexOf(name)),
    rowRate: embedding.learningRate,
    rowEpsilon: embedding.epsilon,
  };
  writeFileSync(join(folder, "shape.json"), JSON.stringify(shape));
}
