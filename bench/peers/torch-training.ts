import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert } from "../../models/core/assert.ts";
import { RecError } from "../../models/core/errors.ts";
import type { RankerLayout } from "../../models/ranking/ranker.ts";
import type { EmbeddingOptions } from "../../models/training/embedding-updates.ts";
import { type SampleStream, streamIds, wideShape } from "../training/stream.ts";
import { isNumbers, PythonPeer } from "./python-peer.ts";

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

/** PyTorch as a child process that holds the stream and trains when asked. */
export class TorchTraining {
  readonly version: string;
  readonly #peer: PythonPeer;

  private constructor(peer: PythonPeer, version: string) {
    this.#peer = peer;
    this.version = version;
  }

  static async open(options: TorchTrainingOptions): Promise<TorchTraining> {
    const folder = mkdtempSync(join(tmpdir(), "recmaster-torch-"));
    writeInputs(folder, options);
    const peer = await PythonPeer.open(options.python, script, folder);
    return new TorchTraining(peer, String(peer.first.version));
  }

  async train(batch: number): Promise<TrainingRun> {
    const { seconds, logLosses } = await this.#peer.ask(String(batch));
    if (typeof seconds === "number" && isNumbers(logLosses)) return { seconds, logLosses };
    throw new RecError("REC_BENCH_PEER", "PyTorch's answer has no seconds or losses");
  }

  close(): Promise<void> {
    return this.#peer.close();
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
