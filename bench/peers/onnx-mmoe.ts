import { InferenceSession, Tensor } from "onnxruntime-node";
import { graphOf } from "../../models/onnx/export.ts";
import { blockNames, type LayerOneForm } from "../../models/onnx/ranker-graph.ts";
import type { RankerLayout } from "../../models/ranking/layout.ts";

/**
 * The peer's model: `joined` feeds each candidate with a copy of the user's inputs beside its own,
 * as models are usually exported; `split` has our own division of layer one, so that what is left
 * is the arithmetic.
 */
export type OnnxForm = LayerOneForm;

/** Raw inputs of some rows; `userDense` and `userVector` are one row. */
export interface MmoeInputs {
  readonly userDense: Float32Array;
  readonly userVector: Float32Array;
  readonly itemDense: Float32Array;
  readonly itemVector: Float32Array;
  readonly rows: number;
}

/** The bytes of an ONNX model with the weights of a ranker. */
export function onnxMmoe(layout: RankerLayout, weights: Float32Array, form: OnnxForm): Uint8Array {
  return graphOf(layout, weights, form).finish();
}

function tiled(row: Float32Array, rows: number): Float32Array {
  const out = new Float32Array(row.length * rows);
  for (let r = 0; r < rows; r++) out.set(row, r * row.length);
  return out;
}

/** ONNX Runtime with one thread, ready to score the same inputs again and again. */
export class OnnxMmoe {
  readonly #session: InferenceSession;
  readonly #feeds: Readonly<Record<string, Tensor>>;
  readonly #fetches: Readonly<Record<string, Tensor>>;
  readonly #heads: Float32Array;

  private constructor(
    session: InferenceSession,
    feeds: Readonly<Record<string, Tensor>>,
    rows: number,
  ) {
    const { outputNames } = session;
    this.#session = session;
    this.#feeds = feeds;
    this.#heads = new Float32Array(rows * outputNames.length);
    const columns = outputNames.map((name, h) => {
      const column = this.#heads.subarray(h * rows, (h + 1) * rows);
      return [name, new Tensor("float32", column, [rows])];
    });
    this.#fetches = Object.fromEntries(columns);
  }

  /** The user's copies are made here, before anything is timed. */
  static async open(model: Uint8Array, form: OnnxForm, inputs: MmoeInputs): Promise<OnnxMmoe> {
    const session = await InferenceSession.create(model, {
      executionProviders: ["cpu"],
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      executionMode: "sequential",
      graphOptimizationLevel: "all",
    });
    const { rows } = inputs;
    const feeds: Record<string, Tensor> = {};
    for (const part of ["userDense", "userVector", "itemDense", "itemVector"] as const) {
      const name = blockNames[part];
      const values = inputs[part];
      if (!session.inputNames.includes(name)) continue;
      const user = part.startsWith("user");
      const data = user && form === "joined" ? tiled(values, rows) : values;
      const count = user && form === "split" ? 1 : rows;
      feeds[name] = new Tensor("float32", data, [count, data.length / count]);
    }
    return new OnnxMmoe(session, feeds, rows);
  }

  /** heads x rows: the same memory at every call. */
  async score(): Promise<Float32Array> {
    await this.#session.run(this.#feeds, this.#fetches);
    return this.#heads;
  }

  async close(): Promise<void> {
    await this.#session.release();
  }
}
