import { existsSync, renameSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { RecError } from "../../models/core/errors.ts";
import { Random } from "../../models/core/random.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { definitionHash } from "../../models/definition/hash.ts";
import { featureCatalog } from "../../models/features/catalog.ts";
import { exportRanker } from "../../models/onnx/export.ts";
import { opset } from "../../models/onnx/graph.ts";
import { notePath } from "../../models/onnx/note.ts";
import { rankerShapeOf } from "../../models/ranking/definition-shape.ts";
import { createRanker, type Ranker } from "../../models/ranking/ranker.ts";
import { SnapshotDirectory } from "../../models/snapshot/manifest.ts";
import { SnapshotReader } from "../../models/snapshot/reader.ts";
import { RankTrainer } from "../../models/training/trainer.ts";
import { EmbeddingTable } from "../../native/index.ts";
import { loadDefinition } from "../../workers/load-definition.ts";
import { FileRanker } from "../../workers/ranking/onnx/file-ranker.ts";
import { realFileSystem } from "../../workers/stores/file-system.ts";
import { helpText, type OptionSpec, type ParsedOptions, parseOptions } from "./options.ts";

const specs: Readonly<Record<string, OptionSpec>> = {
  "data-dir": { kind: "text", help: "a data folder: its newest model" },
  snapshot: { kind: "text", help: "instead: one snapshot, a .snap file" },
  out: { kind: "text", help: "the file to write, such as model.onnx" },
  definition: { kind: "text", help: "a definition module (REC_DEFINITION; else the default one)" },
  names: { kind: "flag", help: "list the features of the definition and stop" },
  help: { kind: "flag", help: "this text" },
};

const notes = `Writes FILE (opset ${opset}) and FILE.json, which says what its inputs and outputs
are: features in the order of the columns, raw, since the file normalises them. The file is then
run beside the native engine on made-up candidates. A server may run on the folder.`;

export interface ExportHooks {
  readonly write?: (text: string) => void;
}

/** `export onnx`: a trained ranker as a file for other runtimes. */
export async function run(args: readonly string[], hooks: ExportHooks = {}): Promise<number> {
  const write = hooks.write ?? ((text: string) => void process.stdout.write(text));
  const options = parseOptions(args, specs);
  if (options.flag("help")) {
    write(helpText("export onnx [options]", specs, notes));
    return 0;
  }
  if (options.rest.join(" ") !== "onnx") refuse("export to what?", "export onnx");
  const named = options.text("definition") ?? process.env.REC_DEFINITION ?? "";
  const definition = await loadDefinition(named === "" ? null : named);
  if (options.flag("names")) {
    const { userNames, itemNames } = featureCatalog(definition);
    write(`${[...userNames, ...itemNames].join("\n")}\n`);
    return 0;
  }
  const out = options.text("out") ?? refuse("where to?", "--out model.onnx");
  if (!out.endsWith(".onnx")) refuse(`--out is ${out}`, "a name that ends in .onnx");
  exportTo(out, definition, { options, write });
  return 0;
}

function refuse(message: string, fix: string): never {
  throw new RecError("REC_COMMAND_OPTION", message, { fix });
}

interface Task {
  readonly options: ParsedOptions;
  readonly write: (text: string) => void;
}

function exportTo(out: string, definition: RecommenderDefinition, { options, write }: Task): void {
  const opened = openSnapshot(options, definitionHash(definition));
  const ranker = createRanker(rankerShapeOf(definition));
  const { version, reader } = opened;
  let weights: Float32Array;
  try {
    weights = weightsOf(ranker, reader.read("trainer"));
  } finally {
    reader.close();
  }
  const { file, note } = exportRanker(definition, ranker.layout, { weights, version });
  writeWhole(notePath(out), `${JSON.stringify(note, null, 2)}\n`);
  writeWhole(out, file);
  const fault = furthest(ranker, weights, new FileRanker(out, definition));
  write(`model version ${version} in ${out}, opset ${opset}, its inputs in ${notePath(out)}\n`);
  write(`furthest from the native engine on made-up candidates: ${fault.toExponential(1)}\n`);
  if (fault <= 1e-5) return;
  throw new RecError("REC_ONNX_EXPORT", `${out} differs from the native engine by ${fault}`);
}

function openSnapshot(options: ParsedOptions, hash: string) {
  const [dataDir, snapshot] = [options.text("data-dir"), options.text("snapshot")];
  if ((dataDir === undefined) === (snapshot === undefined)) {
    refuse("which model?", "--data-dir DIR or --snapshot FILE");
  }
  const files = realFileSystem();
  const fix = "--definition PATH of the definition that it was trained for";
  if (snapshot !== undefined) {
    const reader = new SnapshotReader(files, snapshot);
    const version = Number(/^(\d+)\.snap$/.exec(basename(snapshot))?.[1] ?? 0);
    if (reader.definitionHash === hash) return { version, reader };
    reader.close();
    throw new RecError("REC_SNAPSHOT_DEFINITION", `${snapshot} is of another definition`, { fix });
  }
  const folder = join(dataDir ?? "", "models");
  const passedOver: string[] = [];
  if (!existsSync(folder)) refuse(`there is no folder ${folder}`, "--data-dir of a server");
  const directory = new SnapshotDirectory(files, folder, (text) => passedOver.push(text));
  const opened = directory.openNewest(hash);
  if (opened !== null) return { version: opened.manifest.version, reader: opened.reader };
  const message = [`no model in ${folder}`, ...passedOver].join("; ");
  throw new RecError("REC_MODEL_UNKNOWN", message, { path: folder, fix });
}

/** A trainer restores what a trainer saved; embeddings are not in the file. */
function weightsOf(ranker: Ranker, saved: Uint8Array): Float32Array {
  const { userEmbedding, itemEmbedding } = ranker.shape;
  const table = (dim: number) => EmbeddingTable.create({ path: null, rows: 1, dim });
  const tables = { users: table(userEmbedding), items: table(itemEmbedding) };
  const trainer = new RankTrainer(ranker, tables, new Float32Array(ranker.floats));
  trainer.restore(saved);
  tables.users.release();
  tables.items.release();
  return trainer.weights;
}

/** Under its name it is whole or not there. */
function writeWhole(path: string, content: string | Uint8Array): void {
  writeFileSync(`${path}.tmp`, content);
  renameSync(`${path}.tmp`, path);
}

/** The largest difference of a head, of seconds as a share, on candidates drawn at random. */
function furthest(ranker: Ranker, weights: Float32Array, file: FileRanker): number {
  const { userWidth, itemWidth, userEmbedding, itemEmbedding } = ranker.shape;
  const random = new Random(1);
  const count = 100;
  const normals = (length: number) => Float32Array.from({ length }, () => random.normal());
  const inputs = {
    ...{ weights, count },
    userDense: normals(userWidth),
    userVector: normals(userEmbedding),
    itemDense: normals(count * itemWidth),
    itemVectors: normals(count * itemEmbedding),
  };
  const [ours, theirs] = [0, 1].map(() => new Float32Array(count * ranker.headNames.length));
  if (ours === undefined || theirs === undefined) return Number.NaN;
  ranker.score(inputs, ours);
  file.score(inputs, theirs);
  file.close();
  const difference = (a: number, b: number) => Math.abs(a - b) / Math.max(1, Math.abs(a));
  return ours.reduce((worst, a, i) => Math.max(worst, difference(a, theirs[i])), 0);
}
