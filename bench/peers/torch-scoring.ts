import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RecError } from "../../models/core/errors.ts";
import type { MmoeLayout } from "../../models/ranking/layout.ts";
import type { MmoeInputs } from "./onnx-mmoe.ts";
import { isNumbers, PythonPeer } from "./python-peer.ts";

/** How the model is written: a module a layer, batched products, those compiled. */
export const torchForms = ["eager", "batched", "compiled"] as const;
export type TorchForm = (typeof torchForms)[number];

export interface TorchScoringOptions {
  readonly python: string;
  readonly layout: MmoeLayout;
  readonly weights: Float32Array;
  /** One entry for each number of rows that will be asked for; vectors only, nothing dense. */
  readonly inputs: readonly MmoeInputs[];
}

/** PyTorch as a child process on one thread, with the same weights and inputs. */
export class TorchScoring {
  readonly #peer: PythonPeer;

  private constructor(peer: PythonPeer) {
    this.#peer = peer;
  }

  static async open(options: TorchScoringOptions): Promise<TorchScoring> {
    const folder = mkdtempSync(join(tmpdir(), "recmaster-torch-"));
    writeInputs(folder, options);
    const script = join(import.meta.dir, "torch_scoring.py");
    return new TorchScoring(await PythonPeer.open(options.python, script, folder));
  }

  /** heads x rows. */
  async score(form: TorchForm, rows: number): Promise<Float32Array> {
    return Float32Array.from(await this.#numbers("heads", { form, rows }));
  }

  /** Microseconds of each call in a turn of `ms`. */
  turn(form: TorchForm, rows: number, ms: number): Promise<number[]> {
    return this.#numbers("us", { form, rows, ms });
  }

  async #numbers(name: string, request: object): Promise<number[]> {
    const answer = await this.#peer.ask(JSON.stringify(request));
    const values = answer[name];
    if (isNumbers(values)) return values;
    throw new RecError("REC_BENCH_PEER", `PyTorch's answer has no ${name}`);
  }

  async close(): Promise<void> {
    await this.#peer.close();
  }
}

function writeInputs(folder: string, options: TorchScoringOptions): void {
  const { layout, weights, inputs } = options;
  const { heads, experts, columns, layerOne, layerOneBias, expertWidths, towerWidths } = layout;
  const shape = {
    ...{ heads, experts, columns, layerOne, layerOneBias },
    user: layout.userVector,
    item: layout.itemVector,
    first: expertWidths[0],
    last: expertWidths[1],
    tower: towerWidths[0],
    expert: layout.expertOffsets[1],
    towers: layout.towerOffsets[0],
    output: layout.outputOffset,
  };
  writeFileSync(join(folder, "shape.json"), JSON.stringify(shape));
  writeFileSync(join(folder, "weights"), weights);
  for (const { rows, userVector, itemVector } of inputs) {
    writeFileSync(join(folder, `user${rows}`), userVector);
    writeFileSync(join(folder, `item${rows}`), itemVector);
  }
}
