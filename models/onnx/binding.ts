import { RecError } from "../core/errors.ts";
import type { RecommenderDefinition } from "../definition/define.ts";
import { featureCatalog } from "../features/catalog.ts";
import type { Dimension } from "./graph.ts";
import { type Block, blocks, type NoteInput, notePath, type OnnxNote } from "./note.ts";
import { users } from "./ranker-graph.ts";

/** An input or output as the runtime describes it. */
export interface OnnxPort {
  readonly name: string;
  /** In the words of ONNX Runtime: `float32`, `int64`, ...; `none` where it is no tensor. */
  readonly type: string;
  readonly dimensions: readonly Dimension[];
}

export interface BoundColumn {
  readonly block: Block;
  readonly column: number;
}

/** How an input of the file is filled. */
export interface BoundInput {
  readonly name: string;
  /** True: one row, the user's. False: a row for each candidate. */
  readonly once: boolean;
  /** 1: the rows alone; 2: rows x columns. */
  readonly rank: 1 | 2;
  readonly columns: readonly BoundColumn[];
  /** The block that it is, column by column; null where columns are picked. */
  readonly whole: Block | null;
}

/** An output of rows x heads (or rows, for one head); entries are indexes of heads. */
export interface BoundOutput {
  readonly name: string;
  readonly heads: readonly number[];
}

export interface OnnxBinding {
  readonly inputs: readonly BoundInput[];
  readonly outputs: readonly BoundOutput[];
}

export interface BindingOptions {
  readonly definition: RecommenderDefinition;
  readonly note: OnnxNote | null;
  /** Of the file, for errors. */
  readonly path: string;
}

export type BlockWidths = Readonly<Record<Block, number>>;

export function blockWidths(definition: RecommenderDefinition): BlockWidths {
  const { userWidth, itemWidth } = featureCatalog(definition);
  const { userEmbedding, itemEmbedding } = definition.ranking;
  return {
    user_dense: userWidth,
    user_embedding: userEmbedding,
    item_dense: itemWidth,
    item_embedding: itemEmbedding,
  };
}

/**
 * Binds the inputs of an ONNX file to features by name and its outputs to heads. Throws
 * REC_ONNX_BINDING that names every input and output that does not fit, and what mends it.
 */
export function bindOnnx(
  ports: { readonly inputs: readonly OnnxPort[]; readonly outputs: readonly OnnxPort[] },
  options: BindingOptions,
): OnnxBinding {
  const binder = new Binder(options);
  const inputs = ports.inputs.flatMap((port) => binder.input(port) ?? []);
  if (ports.inputs.length === 0) binder.faults.push("it has no inputs");
  const outputs = binder.outputs(ports.outputs);
  binder.unknownInNote(ports);
  if (binder.faults.length === 0) return { inputs, outputs };
  const { path, definition } = options;
  const faults = binder.faults.map((fault) => `\n  - ${fault}`).join("");
  throw new RecError(
    "REC_ONNX_BINDING",
    `${path} does not fit the definition "${definition.name}":${faults}`,
    { path, fix: `export the model again, or say in ${notePath(path)} what its inputs are` },
  );
}

function shown({ name, type, dimensions }: OnnxPort): string {
  return `"${name}" (${type} [${dimensions.map((size) => size || "?").join(", ")}])`;
}

function isBlock(name: string): name is Block {
  return blocks.some((block) => block === name);
}

class Binder {
  readonly faults: string[] = [];
  readonly #options: BindingOptions;
  readonly #widths: BlockWidths;
  readonly #features: ReadonlyMap<string, BoundColumn>;

  constructor(options: BindingOptions) {
    const { userNames, itemNames } = featureCatalog(options.definition);
    const columns = (block: Block, names: readonly string[]) =>
      names.map((name, column) => [name, { block, column }] as const);
    this.#options = options;
    this.#widths = blockWidths(options.definition);
    this.#features = new Map([
      ...columns("user_dense", userNames),
      ...columns("item_dense", itemNames),
    ]);
  }

  input(port: OnnxPort): BoundInput | null {
    if (port.type !== "float32") {
      return this.#refuse(`input ${shown(port)} must be float32: features are (.float())`);
    }
    const columns = this.#columns(port);
    if (columns === null) return null;
    const [rows] = port.dimensions;
    const ofUser = columns.every(({ block }) => block.startsWith("user"));
    const once = ofUser && (rows === 1 || rows === users);
    const rank = this.#rank(port, columns.length);
    if (rank === null) return null;
    if (typeof rows === "number" && !once) {
      const what = `input ${shown(port)} is fixed at ${rows} rows, candidates are of any number`;
      return this.#refuse(`${what}: export it with a free first dimension (dynamic_axes)`);
    }
    return { name: port.name, once, rank, columns, whole: this.#whole(columns) };
  }

  #refuse(fault: string): null {
    this.faults.push(fault);
    return null;
  }

  #columns(port: OnnxPort): readonly BoundColumn[] | null {
    const noted = this.#options.note?.inputs.find(({ name }) => name === port.name);
    if (noted !== undefined) return this.#noted(port, noted);
    if (isBlock(port.name)) return this.#block(port, port.name);
    const feature = this.#features.get(port.name);
    if (feature !== undefined) return [feature];
    return this.#refuse(
      `input ${shown(port)} is neither a block (${blocks.join(", ")}) nor a feature ` +
        "(export onnx --names lists them)",
    );
  }

  #noted(port: OnnxPort, noted: NoteInput): readonly BoundColumn[] | null {
    const { features, block } = noted;
    if ((features === undefined) === (block === undefined)) {
      return this.#refuse(`input "${port.name}" of the note needs either features or a block`);
    }
    if (block !== undefined) return this.#block(port, block);
    const unknown = (features ?? []).filter((name) => !this.#features.has(name));
    if (unknown.length > 0) {
      const list = unknown.slice(0, 5).join(", ");
      return this.#refuse(`input ${shown(port)}: the note names unknown features: ${list}`);
    }
    return (features ?? []).flatMap((name) => this.#features.get(name) ?? []);
  }

  #block(port: OnnxPort, block: Block): readonly BoundColumn[] | null {
    const width = this.#widths[block];
    if (width > 0) return Array.from({ length: width }, (_, column) => ({ block, column }));
    return this.#refuse(`input ${shown(port)}: the definition has no ${block}`);
  }

  #rank(port: OnnxPort, width: number): 1 | 2 | null {
    const { dimensions } = port;
    if (dimensions.length === 1 && width === 1) return 1;
    const [, columns] = dimensions;
    if (dimensions.length === 2 && (columns === width || typeof columns === "string")) return 2;
    return this.#refuse(`input ${shown(port)} must be [rows, ${width}]`);
  }

  #whole(columns: readonly BoundColumn[]): Block | null {
    const block = columns[0]?.block ?? null;
    const fits = block !== null && columns.length === this.#widths[block];
    return fits && columns.every((one, i) => one.block === block && one.column === i)
      ? block
      : null;
  }

  outputs(ports: readonly OnnxPort[]): BoundOutput[] {
    const { definition, note } = this.#options;
    const heads = definition.heads.map(({ name }) => name);
    const bound = ports.flatMap((port) => {
      const noted = note?.outputs.find(({ name }) => name === port.name);
      const names = noted?.heads ?? [port.name];
      const known = names.every((name) => heads.includes(name));
      if (!known && noted === undefined) return [];
      return this.#output(port, names, heads) ?? [];
    });
    const there = bound.flatMap((output) => output.heads);
    const missing = heads.filter((_, h) => !there.includes(h));
    if (missing.length > 0) {
      const names = ports.map(({ name }) => `"${name}"`).join(", ");
      this.faults.push(
        `no output for ${missing.map((name) => `head "${name}"`).join(", ")}; ` +
          `its outputs are ${names}: name them by their heads, or list the heads in the note`,
      );
    }
    if (new Set(there).size < there.length) this.faults.push("a head has two outputs");
    return bound;
  }

  #output(port: OnnxPort, names: readonly string[], heads: readonly string[]): BoundOutput | null {
    const unknown = names.filter((name) => !heads.includes(name));
    if (unknown.length > 0) {
      return this.#refuse(`output ${shown(port)}: the note names unknown heads: ${unknown.join()}`);
    }
    if (port.type !== "float32") return this.#refuse(`output ${shown(port)} must be float32`);
    const { dimensions } = port;
    const [, width = 1] = dimensions;
    const fits = typeof width === "string" || width === names.length;
    if (dimensions.length > 2 || !fits) {
      return this.#refuse(`output ${shown(port)} must be [candidates, ${names.length}]`);
    }
    return { name: port.name, heads: names.map((name) => heads.indexOf(name)) };
  }

  /** What the note describes and the file lacks. */
  unknownInNote(ports: { inputs: readonly OnnxPort[]; outputs: readonly OnnxPort[] }): void {
    const { note } = this.#options;
    for (const kind of ["inputs", "outputs"] as const) {
      for (const { name } of note?.[kind] ?? []) {
        if (ports[kind].some((port) => port.name === name)) continue;
        this.faults.push(`the note describes "${name}", which is not among its ${kind}`);
      }
    }
  }
}
