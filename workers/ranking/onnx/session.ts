import { env, Tensor } from "onnxruntime-node";
import { type Binding, binding, initOrt } from "onnxruntime-node/dist/binding.js";
import { messageOf, RecError } from "../../../models/core/errors.ts";
import type { OnnxPort } from "../../../models/onnx/binding.ts";

export { Tensor } from "onnxruntime-node";

/** Names of the element types that matter here, by their numbers in the format. */
const types: Readonly<Record<number, string>> = {
  ...{ 1: "float32", 2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64", 8: "string" },
  ...{ 9: "bool", 10: "float16", 11: "float64", 16: "bfloat16" },
};

/** One thread: requests share the cores, not one request all of them. */
const options = {
  executionProviders: ["cpu"],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: "sequential",
  graphOptimizationLevel: "all",
} as const;

function portOf(port: Binding.ValueMetadata): OnnxPort {
  const { name, isTensor } = port;
  if (!isTensor) return { name, type: "none", dimensions: [] };
  const dimensions = port.shape.map((size, i) => {
    return size >= 0 ? size : (port.symbolicDimensions[i] ?? "");
  });
  return { name, type: types[port.type] ?? `type ${port.type}`, dimensions };
}

/**
 * A session of ONNX Runtime that runs on the calling thread. `InferenceSession.run` of the package
 * does as well, but only in a later turn of the event loop, so that a request would have to wait
 * for the others of its thread; this calls what is below it (see README.md, decisions).
 */
export class OnnxSession {
  readonly inputs: readonly OnnxPort[];
  readonly outputs: readonly OnnxPort[];
  readonly #session: Binding.InferenceSession;

  /** Opens a file, or its bytes; throws REC_ONNX_FILE. `name` stands in errors. */
  constructor(model: string | Uint8Array, name: string) {
    env.logLevel = "error";
    initOrt();
    this.#session = new binding.InferenceSession();
    try {
      if (typeof model === "string") this.#session.loadModel(model, options);
      else {
        const bytes = model.slice();
        this.#session.loadModel(bytes.buffer, 0, bytes.length, options);
      }
    } catch (error) {
      throw new RecError("REC_ONNX_FILE", `${name} is no model that can be run`, {
        ...{ path: name, cause: messageOf(error) },
        fix: "export it again; `onnx.checker.check_model` says more",
      });
    }
    this.inputs = this.#session.inputMetadata.map(portOf);
    this.outputs = this.#session.outputMetadata.map(portOf);
  }

  /** Runs at once. An output given as a tensor is written into, null makes a new one. */
  run(
    feeds: Readonly<Record<string, Tensor>>,
    outputs: Readonly<Record<string, Tensor | null>>,
  ): Readonly<Record<string, unknown>> {
    return this.#session.run(feeds, outputs, {});
  }

  close(): void {
    this.#session.dispose();
  }
}

/** rows x columns over memory that stays where it is. */
export function tensor(values: Float32Array, dimensions: readonly number[]): Tensor {
  return new Tensor("float32", values, dimensions);
}

/** The numbers of an output; null where it is no fp32 tensor. */
export function valuesOf(output: unknown): Float32Array | null {
  if (!(output instanceof Tensor)) return null;
  return output.data instanceof Float32Array ? output.data : null;
}
