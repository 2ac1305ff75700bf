import { ProtobufWriter } from "./protobuf.ts";

/** Attributes of a node: whole numbers, lists of them, or (as `float`) one fp32. */
type Attributes = Readonly<Record<string, number | { readonly float: number } | readonly number[]>>;

interface Node {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes: Attributes;
}

/** A size, or the name of a free one. */
export type Dimension = number | string;

interface Port {
  readonly name: string;
  readonly dimensions: readonly Dimension[];
}

/** The operator set that graphs are written for, and the version of the file format. */
export const opset = 17;
const irVersion = 8;
const floatType = 1;
const int64Type = 7;

/** Builds a file of the ONNX format (onnx.proto), values in fp32 only. */
export class OnnxGraph {
  readonly #nodes: Node[] = [];
  readonly #inputs: Port[] = [];
  readonly #outputs: Port[] = [];
  readonly #constants = new ProtobufWriter();
  #names = 0;

  input(name: string, dimensions: readonly Dimension[]): string {
    this.#inputs.push({ name, dimensions });
    return name;
  }

  /** Makes an existing value an output under `name`. */
  output(value: string, name: string, dimensions: readonly Dimension[]): void {
    this.#nodes.push({ type: "Identity", inputs: [value], output: name, attributes: {} });
    this.#outputs.push({ name, dimensions });
  }

  /** A node with one output, whose name is given back. */
  node(type: string, inputs: readonly string[], attributes: Attributes = {}): string {
    const output = this.#name(type);
    this.#nodes.push({ type, inputs, output, attributes });
    return output;
  }

  /** Columns [from, to) of an axis. */
  slice(value: string, range: { from: number; to: number; axis: number }): string {
    const { from, to, axis } = range;
    const bounds = [[from], [to], [axis]].map((one) => this.integers(one));
    return this.node("Slice", [value, ...bounds]);
  }

  /** 0 keeps a dimension, -1 takes what is left. */
  reshape(value: string, dimensions: readonly number[]): string {
    return this.node("Reshape", [value, this.integers(dimensions)]);
  }

  constant(dimensions: readonly number[], values: Float32Array, name?: string): string {
    return this.#tensor(floatType, dimensions, { values, name });
  }

  scalar(value: number): string {
    return this.constant([], Float32Array.of(value));
  }

  integers(values: readonly number[]): string {
    const words = BigInt64Array.from(values.map(BigInt));
    return this.#tensor(int64Type, [values.length], { values: words });
  }

  #name(hint: string): string {
    return `${hint}_${this.#names++}`;
  }

  #tensor(
    type: number,
    dimensions: readonly number[],
    { values, name }: { values: ArrayBufferView; name?: string | undefined },
  ): string {
    const given = name ?? this.#name("constant");
    const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.#constants.message(5, (tensor) => {
      for (const size of dimensions) tensor.integer(1, size);
      tensor.integer(2, type).text(8, given).bytes(9, raw);
    });
    return given;
  }

  /** The bytes of the file; `metadata` is carried along as its properties. */
  finish(metadata: Readonly<Record<string, string>> = {}): Uint8Array {
    const graph = new ProtobufWriter();
    for (const node of this.#nodes) graph.message(1, (out) => writeNode(out, node));
    graph.text(2, "ranker").append(this.#constants);
    for (const port of this.#inputs) graph.message(11, (out) => writePort(out, port));
    for (const port of this.#outputs) graph.message(12, (out) => writePort(out, port));
    const file = new ProtobufWriter()
      .integer(1, irVersion)
      .text(2, "RecMaster")
      .bytes(7, graph.finish())
      .message(8, (set) => set.text(1, "").integer(2, opset));
    for (const [key, value] of Object.entries(metadata)) {
      file.message(14, (property) => property.text(1, key).text(2, value));
    }
    return file.finish();
  }
}

function writeNode(out: ProtobufWriter, node: Node): void {
  for (const input of node.inputs) out.text(1, input);
  out.text(2, node.output).text(3, node.output).text(4, node.type);
  for (const [name, value] of Object.entries(node.attributes)) {
    out.message(5, (attribute) => {
      attribute.text(1, name);
      if (typeof value === "number") attribute.integer(3, value).integer(20, 2);
      else if ("float" in value) attribute.float(2, value.float).integer(20, 1);
      else {
        for (const one of value) attribute.integer(8, one);
        attribute.integer(20, 7);
      }
    });
  }
}

function writePort(out: ProtobufWriter, { name, dimensions }: Port): void {
  out.text(1, name).message(2, (type) =>
    type.message(1, (tensor) =>
      tensor.integer(1, floatType).message(2, (shape) => {
        for (const size of dimensions) {
          shape.message(1, (one) =>
            typeof size === "number" ? one.integer(1, size) : one.text(2, size),
          );
        }
      }),
    ),
  );
}
