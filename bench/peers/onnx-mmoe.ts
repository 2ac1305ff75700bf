import { InferenceSession, Tensor } from "onnxruntime-node";
import { inputClip, logSecondsMax, type MmoeShape, padded } from "../../native/kernel-set.ts";
import { OnnxGraph } from "./onnx-graph.ts";

/**
 * The peer's model: `joined` feeds each candidate with a copy of the user's inputs beside its own,
 * as models are usually exported; `split` has our own division of layer one, so that what is left
 * is the arithmetic.
 */
export type OnnxForm = "joined" | "split";

/** Raw inputs of some rows; `userDense` and `userVector` are one row. */
export interface MmoeInputs {
  readonly userDense: Float32Array;
  readonly userVector: Float32Array;
  readonly itemDense: Float32Array;
  readonly itemVector: Float32Array;
  readonly rows: number;
}

/** One input of the model: a run of columns, normalised or not, and its place in layer one. */
interface Part {
  readonly name: "userDense" | "userVector" | "itemDense" | "itemVector";
  readonly width: number;
  readonly from: number;
  /** Places of mean and scale; null for an embedding. */
  readonly moments: { readonly mean: number; readonly scale: number } | null;
}

function partsOf(s: MmoeShape): Part[] {
  const parts = [
    { name: "userDense", width: s.userDense, moments: { mean: s.userMean, scale: s.userScale } },
    { name: "userVector", width: s.userVector, moments: null },
    { name: "itemDense", width: s.itemDense, moments: { mean: s.itemMean, scale: s.itemScale } },
    { name: "itemVector", width: s.itemVector, moments: null },
  ] as const;
  let from = 0;
  return parts.flatMap((part) => {
    const placed = { ...part, from };
    from += part.width;
    return part.width > 0 ? [placed] : [];
  });
}

class MmoeGraph {
  readonly graph = new OnnxGraph();
  readonly #shape: MmoeShape;
  readonly #weights: Float32Array;

  constructor(shape: MmoeShape, weights: Float32Array) {
    this.#shape = shape;
    this.#weights = weights;
  }

  /** Columns [from, from + width) of `rows` rows that are `row` floats apart. */
  #matrix(at: number, size: { rows: readonly number[]; row: number; width: number }): string {
    const { rows, row, width } = size;
    const out = new Float32Array(rows.length * width);
    for (const [i, r] of rows.entries()) {
      out.set(this.#weights.subarray(at + r * row, at + r * row + width), i * width);
    }
    return this.graph.constant([rows.length, width], out);
  }

  #vector(at: number, width: number): string {
    return this.graph.constant([width], this.#weights.slice(at, at + width));
  }

  /** Normalises and joins parts; gives the value and the rows of layer one that it meets. */
  join(parts: readonly Part[], rows: number | string): { value: string; rows: number[] } {
    const bounds = [-inputClip, inputClip];
    const values = parts.map((part) => {
      const value = this.graph.input(part.name, [rows, part.width]);
      if (part.moments === null) return value;
      const centred = this.graph.node("Sub", [value, this.#vector(part.moments.mean, part.width)]);
      const scaled = this.graph.node("Mul", [
        centred,
        this.#vector(part.moments.scale, part.width),
      ]);
      const limits = bounds.map((bound) => this.graph.constant([], Float32Array.of(bound)));
      return this.graph.node("Clip", [scaled, ...limits]);
    });
    const joined = values.length === 1 ? values : [this.graph.node("Concat", values, { axis: 1 })];
    const rowsOf = (part: Part) => Array.from({ length: part.width }, (_, i) => part.from + i);
    return { value: joined[0] ?? "", rows: parts.flatMap(rowsOf) };
  }

  /** Columns of layer one for one side or both: what the user's side gives starts the items'. */
  #layerOne(sides: readonly { value: string; rows: number[] }[], from: number, width: number) {
    const s = this.#shape;
    const columns = s.experts * padded(s.expertWidths[0] ?? 0) + padded(s.heads * (s.experts + 1));
    let start = this.#vector(s.layerOneBias + from, width);
    for (const { value, rows } of sides) {
      const matrix = this.#matrix(s.layerOne + from, { rows, row: columns, width });
      start = this.graph.node("Gemm", [value, matrix, start]);
    }
    return start;
  }

  #dense(x: string, at: number, inputs: number, outputs: number): string {
    const row = padded(outputs);
    const rows = Array.from({ length: inputs }, (_, i) => i);
    const matrix = this.#matrix(at, { rows, row, width: outputs });
    const bias = this.#vector(at + inputs * row, outputs);
    return this.graph.node("Relu", [this.graph.node("Gemm", [x, matrix, bias])]);
  }

  #expert(sides: readonly { value: string; rows: number[] }[], e: number): string {
    const { expertWidths, expertOffsets } = this.#shape;
    const first = expertWidths[0] ?? 0;
    let x = this.graph.node("Relu", [this.#layerOne(sides, e * padded(first), first)]);
    for (let l = 1; l < expertWidths.length; l++) {
      const [inputs = 0, outputs = 0] = [expertWidths[l - 1], expertWidths[l]];
      const at = (expertOffsets[l] ?? 0) + e * (inputs + 1) * padded(outputs);
      x = this.#dense(x, at, inputs, outputs);
    }
    return x;
  }

  /** Sum over experts of gate x value for head h. */
  #mix(gates: string, experts: readonly string[], h: number): string {
    const { graph } = this;
    const axis = graph.integers([1]);
    const [from, to] = [h * experts.length, (h + 1) * experts.length];
    const logits = graph.node("Slice", [gates, graph.integers([from]), graph.integers([to]), axis]);
    const shares = graph.node("Softmax", [logits], { axis: 1 });
    const terms = experts.map((value, e) => {
      const bounds = [graph.integers([e]), graph.integers([e + 1])];
      return graph.node("Mul", [value, graph.node("Slice", [shares, ...bounds, axis])]);
    });
    return terms.reduce((sum, term) => graph.node("Add", [sum, term]));
  }

  #head(x: string, skip: string, h: number): string {
    const { graph } = this;
    const { towerWidths, towerOffsets, expertWidths, outputOffset, secondsHeads } = this.#shape;
    let value = x;
    let width = expertWidths.at(-1) ?? 0;
    for (const [l, outputs] of towerWidths.entries()) {
      const at = (towerOffsets[l] ?? 0) + h * (width + 1) * padded(outputs);
      value = this.#dense(value, at, width, outputs);
      width = outputs;
    }
    const at = outputOffset + h * (padded(width) + 16);
    const column = graph.constant([width, 1], this.#weights.slice(at, at + width));
    const bias = this.#vector(at + padded(width), 1);
    const bounds = [graph.integers([h]), graph.integers([h + 1]), graph.integers([1])];
    const logit = graph.node("Add", [
      graph.node("Gemm", [value, column, bias]),
      graph.node("Slice", [skip, ...bounds]),
    ]);
    if (((secondsHeads >> h) & 1) === 0) return graph.node("Sigmoid", [logit]);
    const limits = [0, logSecondsMax].map((x) => graph.constant([], Float32Array.of(x)));
    const seconds = graph.node("Exp", [graph.node("Clip", [logit, ...limits])]);
    return graph.node("Sub", [seconds, graph.constant([], Float32Array.of(1))]);
  }

  build(form: OnnxForm): Uint8Array {
    const s = this.#shape;
    const parts = partsOf(s);
    const ofUser = (part: Part) => part.name.startsWith("user");
    const sides =
      form === "joined"
        ? [this.join(parts, "rows")]
        : [
            this.join(parts.filter(ofUser), 1),
            this.join(
              parts.filter((part) => !ofUser(part)),
              "rows",
            ),
          ];
    const hidden = s.experts * padded(s.expertWidths[0] ?? 0);
    const experts = Array.from({ length: s.experts }, (_, e) => this.#expert(sides, e));
    const gates = this.#layerOne(sides, hidden, s.heads * s.experts);
    const skip = this.#layerOne(sides, hidden + s.heads * s.experts, s.heads);
    const heads = Array.from({ length: s.heads }, (_, h) =>
      this.#head(this.#mix(gates, experts, h), skip, h),
    );
    this.graph.alias(this.graph.node("Concat", heads, { axis: 1 }), "heads");
    this.graph.output("heads", ["rows", s.heads]);
    return this.graph.finish();
  }
}

/** The bytes of an ONNX model with the weights of a mixture of experts. */
export function onnxMmoe(shape: MmoeShape, weights: Float32Array, form: OnnxForm): Uint8Array {
  return new MmoeGraph(shape, weights).build(form);
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

  private constructor(session: InferenceSession, feeds: Readonly<Record<string, Tensor>>) {
    this.#session = session;
    this.#feeds = feeds;
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
    const { rows, ...parts } = inputs;
    const feeds: Record<string, Tensor> = {};
    for (const [name, values] of Object.entries(parts)) {
      if (!session.inputNames.includes(name)) continue;
      const user = name.startsWith("user");
      const data = user && form === "joined" ? tiled(values, rows) : values;
      const count = user && form === "split" ? 1 : rows;
      feeds[name] = new Tensor("float32", data, [count, data.length / count]);
    }
    return new OnnxMmoe(session, feeds);
  }

  /** rows x heads. */
  async score(): Promise<Float32Array> {
    const { heads } = await this.#session.run(this.#feeds);
    if (heads?.data instanceof Float32Array) return heads.data;
    throw new Error("the peer's model gave no fp32 heads");
  }

  async close(): Promise<void> {
    await this.#session.release();
  }
}
