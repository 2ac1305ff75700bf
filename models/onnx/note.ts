import { messageOf, RecError } from "../core/errors.ts";
import { array, Fault, type Infer, integer, object, optional } from "../core/schema.ts";
import { oneOf, string } from "../core/schema-text.ts";
import type { RecommenderDefinition } from "../definition/define.ts";
import { definitionHash } from "../definition/hash.ts";
import { featureCatalog } from "../features/catalog.ts";
import { opset } from "./graph.ts";
import { blockNames } from "./ranker-graph.ts";

const name = string({ minBytes: 1, maxBytes: 200 });
const names = array(name, { min: 1, max: 10_000 });
const anyText = string({ maxBytes: 2_000 });
const width = integer({ min: 1, max: 100_000 });

/** Whole blocks of a ranker's inputs, by the names that an exported file has for them. */
export const blocks = ["user_dense", "user_embedding", "item_dense", "item_embedding"] as const;
export type Block = (typeof blocks)[number];

/** Columns of an input are either these features, or a whole block. */
const input = object({
  name,
  /** `users`: one row, or one a candidate. `candidates`: one row a candidate. */
  rows: optional(oneOf(["users", "candidates"])),
  features: optional(names),
  block: optional(oneOf(blocks)),
  width: optional(width),
});
/** Columns of an output, one a head. */
const output = object({
  name,
  heads: names,
  unit: optional(oneOf(["probability", "seconds"])),
  given: optional(name),
});

const noteSchema = object({
  about: optional(anyText),
  definition: optional(name),
  definitionHash: optional(name),
  model: optional(integer({ min: 0, max: Number.MAX_SAFE_INTEGER })),
  opset: optional(integer({ min: 1, max: 1_000 })),
  inputs: array(input, { max: 10_000 }),
  outputs: array(output, { max: 64 }),
});

/** What the inputs and outputs of an ONNX file are; stands beside it as `FILE.json`. */
export type OnnxNote = Infer<typeof noteSchema>;
export type NoteInput = OnnxNote["inputs"][number];

export function notePath(modelPath: string): string {
  return `${modelPath}.json`;
}

const fix = "see models/onnx/README.md for what a note holds";

/** Reads a note; throws REC_ONNX_NOTE with the place of the fault. */
export function parseNote(path: string, text: string): OnnxNote {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new RecError("REC_ONNX_NOTE", `${path} is no JSON: ${messageOf(cause)}`, { path, fix });
  }
  const note = noteSchema.read(parsed);
  if (!(note instanceof Fault)) return note;
  throw new RecError("REC_ONNX_NOTE", `${path}: ${note.path} ${note.message}`, {
    path: note.path,
    fix,
  });
}

const about =
  "All inputs and outputs are fp32. Dense features are raw: the file normalises and clips them. " +
  "Users has 1 row, or as many as candidates. An embedding is the learned vector of the id, " +
  "zeros for one without. A head with `given` is the rate given that one.";

/** The note of an exported ranker. `model` is the version of its weights. */
export function noteOf(definition: RecommenderDefinition, model: number): OnnxNote {
  const { userNames, itemNames } = featureCatalog(definition);
  const { userEmbedding, itemEmbedding } = definition.ranking;
  const { userDense, userVector, itemDense, itemVector } = blockNames;
  const dense = (block: string, rows: "users" | "candidates", features: readonly string[]) =>
    features.length === 0 ? [] : [{ name: block, rows, features }];
  const vector = (block: Block, rows: "users" | "candidates", width: number) =>
    width === 0 ? [] : [{ name: block, rows, block, width }];
  return {
    ...{ about, definition: definition.name, definitionHash: definitionHash(definition) },
    ...{ model, opset },
    inputs: [
      ...dense(userDense, "users", userNames),
      ...vector(userVector, "users", userEmbedding),
      ...dense(itemDense, "candidates", itemNames),
      ...vector(itemVector, "candidates", itemEmbedding),
    ],
    outputs: definition.heads.map(({ name, kind, given }) => ({
      ...{ name, heads: [name], unit: kind === "seconds" ? "seconds" : "probability" },
      ...(given === undefined ? {} : { given }),
    })),
  };
}
