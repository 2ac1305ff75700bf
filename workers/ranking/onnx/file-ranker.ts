import { existsSync, readFileSync } from "node:fs";
import { messageOf, RecError } from "../../../models/core/errors.ts";
import type { RecommenderDefinition } from "../../../models/definition/define.ts";
import { featureCatalog } from "../../../models/features/catalog.ts";
import {
  type BlockWidths,
  type BoundInput,
  bindOnnx,
  blockWidths,
  type OnnxBinding,
} from "../../../models/onnx/binding.ts";
import { type Block, notePath, type OnnxNote, parseNote } from "../../../models/onnx/note.ts";
import type { ScoreInputs, ScoringRanker } from "../state.ts";
import { OnnxSession, type Tensor, tensor, valuesOf } from "./session.ts";

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new RecError("REC_ONNX_FILE", `${path} cannot be read: ${messageOf(error)}`, {
      path,
      fix: "set RANK_ONNX to an ONNX file",
    });
  }
}

/** Files that a model consists of: itself, its tensors where they stand apart, its note. */
function filesOf(path: string): string[] {
  return [path, `${path}.data`, notePath(path)].filter((one, i) => i === 0 || existsSync(one));
}

/**
 * The version of an outside model: 31 bits of its content, above 2^31, where no trained version
 * comes. Another file, or another note beside it, is another version.
 */
export function fileVersion(path: string): number {
  let hash = 0n;
  for (const file of filesOf(path)) hash = Bun.hash.wyhash(readBytes(file), hash);
  return Number(hash & 0x7fff_ffffn) + 2 ** 31;
}

function noteBeside(path: string): OnnxNote | null {
  const beside = notePath(path);
  return existsSync(beside) ? parseNote(beside, readFileSync(beside, "utf8")) : null;
}

/** The arrays of a request by block. */
function blockOf(inputs: ScoreInputs, block: Block): Float32Array {
  switch (block) {
    case "user_dense":
      return inputs.userDense;
    case "user_embedding":
      return inputs.userVector;
    case "item_dense":
      return inputs.itemDense;
    case "item_embedding":
      return inputs.itemVectors;
  }
}

/** A ranker from an ONNX file of whatever origin, its inputs bound to features by name. */
export class FileRanker implements ScoringRanker {
  readonly version: number;
  readonly binding: OnnxBinding;
  /** The version that its embeddings are of, where it takes some and its note says. */
  readonly embeddingsOf: number | null;
  /** How long it took for as many candidates as are ranked, milliseconds. */
  readonly scoreMs: number;
  readonly #path: string;
  readonly #session: OnnxSession;
  readonly #definition: RecommenderDefinition;
  readonly #widths: BlockWidths;
  /** What inputs are put together in, by input; grows to the most candidates. */
  readonly #buffers = new Map<string, Float32Array>();

  /**
   * Opens, binds and tries it on made-up candidates, so that a model that does not fit is refused
   * before a request meets it. Throws REC_ONNX_FILE, _NOTE, _BINDING or _ANSWER.
   */
  constructor(path: string, definition: RecommenderDefinition) {
    this.version = fileVersion(path);
    this.#path = path;
    this.#definition = definition;
    this.#widths = blockWidths(definition);
    const note = noteBeside(path);
    this.#session = new OnnxSession(path, path);
    try {
      this.binding = bindOnnx(this.#session, { definition, note, path });
      const columns = this.binding.inputs.flatMap((input) => input.columns);
      const takesAny = columns.some(({ block }) => block.endsWith("embedding"));
      this.embeddingsOf = takesAny ? (note?.model ?? null) : null;
      for (const count of [1, 3, definition.rankedMax]) this.#try(count);
      const startMs = performance.now();
      this.#try(definition.rankedMax);
      this.scoreMs = performance.now() - startMs;
    } catch (error) {
      this.#session.close();
      throw error;
    }
  }

  score(inputs: ScoreInputs, heads: Float32Array): void {
    const { count } = inputs;
    const feeds: Record<string, Tensor> = {};
    for (const input of this.binding.inputs) feeds[input.name] = this.#feed(input, inputs);
    const wanted = Object.fromEntries(this.binding.outputs.map(({ name }) => [name, null]));
    const outputs = this.#session.run(feeds, wanted);
    for (const { name, heads: columns } of this.binding.outputs) {
      const values = valuesOf(outputs[name]);
      if (values?.length !== count * columns.length) {
        const got = values === null ? "no fp32 numbers" : `${values.length} numbers`;
        const wants = `${count} x ${columns.length}`;
        throw this.#refusal(`output "${name}" gave ${got} for ${count} candidates, not ${wants}`);
      }
      scatter(values, columns, count, heads);
    }
  }

  #feed(input: BoundInput, inputs: ScoreInputs): Tensor {
    const width = input.columns.length;
    const rows = input.once ? 1 : inputs.count;
    const dimensions = input.rank === 1 ? [rows] : [rows, width];
    const asItIs = input.whole !== null && (input.once || input.whole.startsWith("item"));
    if (asItIs && input.whole !== null) {
      return tensor(blockOf(inputs, input.whole).subarray(0, rows * width), dimensions);
    }
    const buffer = this.#buffer(input.name, rows * width);
    for (const [j, { block, column }] of input.columns.entries()) {
      const stride = block.startsWith("user") ? 0 : this.#widths[block];
      const from = { values: blockOf(inputs, block), at: column, stride };
      copyColumn(from, rows, { values: buffer, at: j, stride: width });
    }
    return tensor(buffer.subarray(0, rows * width), dimensions);
  }

  #buffer(name: string, floats: number): Float32Array {
    const known = this.#buffers.get(name);
    if (known !== undefined && known.length >= floats) return known;
    const made = new Float32Array(floats);
    this.#buffers.set(name, made);
    return made;
  }

  /** Scores candidates of whom nothing is known, and looks at what comes back. */
  #try(count: number): void {
    const { user, item } = featureCatalog(this.#definition);
    const { heads } = this.#definition;
    const out = new Float32Array(heads.length * count);
    const itemDense = Array.from({ length: count }, () => item.map(({ missing }) => missing));
    const inputs = {
      ...{ weights: new Float32Array(0), count },
      userDense: Float32Array.from(user, ({ missing }) => missing),
      itemDense: Float32Array.from(itemDense.flat()),
      userVector: new Float32Array(this.#widths.user_embedding),
      itemVectors: new Float32Array(count * this.#widths.item_embedding),
    };
    try {
      this.score(inputs, out);
    } catch (error) {
      if (error instanceof RecError) throw error;
      throw this.#refusal(`it failed on ${count} candidates: ${messageOf(error)}`);
    }
    for (const [h, { name, kind }] of heads.entries()) {
      const values = out.subarray(h * count, (h + 1) * count);
      const most = kind === "binary" ? 1 : Number.POSITIVE_INFINITY;
      const wrong = values.find((value) => !(value >= 0 && value <= most));
      if (wrong === undefined) continue;
      const wants = kind === "binary" ? "a probability (add a sigmoid)" : "seconds, 0 or more";
      throw this.#refusal(`head "${name}" gave ${wrong}; it must be ${wants}`);
    }
  }

  #refusal(what: string): RecError {
    const path = this.#path;
    return new RecError("REC_ONNX_ANSWER", `${path}: ${what}`, {
      path,
      fix: "each output must have one row a candidate",
    });
  }

  close(): void {
    this.#session.close();
  }
}

interface Column {
  readonly values: Float32Array;
  readonly at: number;
  readonly stride: number;
}

function copyColumn(from: Column, rows: number, to: Column): void {
  let source = from.at;
  let target = to.at;
  for (let row = 0; row < rows; row++, source += from.stride, target += to.stride) {
    to.values[target] = from.values[source];
  }
}

/** rows x columns into the column of each head. */
function scatter(
  values: Float32Array,
  columns: readonly number[],
  count: number,
  heads: Float32Array,
): void {
  for (const [j, head] of columns.entries()) {
    const from = { values, at: j, stride: columns.length };
    copyColumn(from, count, { values: heads, at: head * count, stride: 1 });
  }
}
