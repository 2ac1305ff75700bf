import { ProtobufWriter } from "./protobuf.ts";

/** Attributes of a node: whole numbers, or (as `float`) one fp32. */
type Attributes = Readonly<Record<string, number | { readonly float: number }>>;

interface Node {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
}

/** A size, or the name of a free one. */
type Dimension = number | string;

interface Port {
  readonly name: string;
  readonly dimensions: readonly Dimension[];
}

const floatType = 1;
const int64Type = 7;

/** Builds a model of the ONNX format (IR version 8, operators of set 17), fp32 only. */
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

  output(name: string, dimensions: readonly Dimension[]): void {
    this.#outputs.push({ name, dimensions });
  }

  /** A node with one output, whose name is given back. */
  node(type: string, inputs: readonly string[], attributes: Attributes = {}): string {
    const name = this.#name(type);
    this.#nodes.push({ type, inputs, outputs: [name], attributes });
    return name;
  }

  /** Names an existing value. */
  alias(value: string, name: string): void {
    this.#nodes.push({ type: "Identity", inputs: [value], outputs: [name], attributes: {} });
  }

  constant(dimensions: readonly number[], values: Float32Array): string {
    return this.#tensor(floatType, dimensions, values);
  }

  integers(values: readonly number[]): string {
    return this.#tensor(int64Type, [values.length], BigInt64Array.from(values.map(BigInt)));
  }

  #name(hint: string): string {
    return `${hint}${this.#names++}`;
  }

  #tensor(type: number, dimensions: readonly number[], values: ArrayBufferView): string {
    const name = this.#name("constant");
    const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.#constants.message(5, (tensor) => {
      for (const size of dimensions) tensor.integer(1, size);
      tensor.integer(2, type).text(8, name).bytes(9, raw);
    });
    return name;
  }

  /** The bytes of the model. */
  finish(): Uint8Array {
    const graph = new ProtobufWriter();
    for (const node of this.#nodes) graph.message(1, (out) => writeNode(out, node));
    graph.text(2, "graph");
    // Initializers are field 5 of the graph, written as they came.
    const body = concatenated(graph.finish(), this.#constants.finish());
    const ports = new ProtobufWriter();
    for (const port of this.#inputs) ports.message(11, (out) => writePort(out, port));
    for (const port of this.#outputs) ports.message(12, (out) => writePort(out, port));
    return new ProtobufWriter()
      .integer(1, 8)
      .message(8, (opset) => opset.text(1, "").integer(2, 17))
      .bytes(7, concatenated(body, ports.finish()))
      .finish();
  }
}

function concatenated(first: Uint8Array, second: Uint8Array): Uint8Array {
  const out = new Uint8Array(first.length + second.length);
  out.set(first);
  out.set(second, first.length);
  return out;
}

function writeNode(out: ProtobufWriter, node: Node): void {
  for (const input of node.inputs) out.text(1, input);
  for (const output of node.outputs) out.text(2, output);
  out.text(3, node.outputs.join()).text(4, node.type);
  for (const [name, value] of Object.entries(node.attributes)) {
    out.message(5, (attribute) => {
      attribute.text(1, name);
      if (typeof value === "number") attribute.integer(3, value).integer(20, 2);
      else attribute.float(2, value.float).integer(20, 1);
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
