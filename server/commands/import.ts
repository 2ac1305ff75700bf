import { RecError } from "../../models/core/errors.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { loadDefinition } from "../../workers/load-definition.ts";
import { httpSink } from "../import/http-sink.ts";
import { namedSource } from "../import/named-source.ts";
import { runImport } from "../import/run.ts";
import type { ImportSink, ImportSource } from "../import/types.ts";
import { helpText, type OptionSpec, type ParsedOptions, parseOptions } from "./options.ts";

const specs: Readonly<Record<string, OptionSpec>> = {
  format: { kind: "text", help: "movielens, recbole or jsonl; not needed with --map" },
  map: { kind: "text", help: "a mapping file: which column of your tables means what" },
  url: { kind: "text", help: "a running server to write to" },
  "data-dir": { kind: "text", help: "else: a data folder, with no server running (DATA_DIR)" },
  help: { kind: "flag", help: "this text" },
};

const notes = `PATH is a folder or a file; .gz is read as it is. Everything is checked before
anything is written, and a second import of the same files adds nothing.
An example of a mapping: server/import/kuairand.map.json`;

/** Where an import goes, until it is closed. */
export interface OpenSink {
  readonly sink: ImportSink;
  close(): Promise<void>;
}

export interface ImportHooks {
  readonly write?: (text: string) => void;
  readonly definition?: RecommenderDefinition;
  /** Opens the ingest of a data folder. */
  readonly openLocal?: (dataDir: string) => Promise<OpenSink>;
}

/** `import`: history from files into the event log. */
export async function run(args: readonly string[], hooks: ImportHooks = {}): Promise<number> {
  const write = hooks.write ?? ((text: string) => void process.stdout.write(text));
  const options = parseOptions(args, specs);
  if (options.flag("help")) {
    write(helpText("import --format movielens|recbole|jsonl PATH [options]", specs, notes));
    return 0;
  }
  const named = process.env.REC_DEFINITION ?? "";
  const definition = hooks.definition ?? (await loadDefinition(named === "" ? null : named));
  const types = new Set(definition.interactions.map(({ name }) => name));
  const source = sourceOf(options, types);
  write(`${source.files.length} files; ${source.mapping}\n`);
  const { sink, close } = await openSink(options, hooks);
  try {
    const result = await runImport({
      ...{ source, sink, definition, nowMs: Date.now() },
      progress: (text) => write(`${text}\n`),
    });
    const seconds = (ms: number) => (ms / 1_000).toFixed(1);
    const day = (ms: number) => (Number.isNaN(ms) ? "-" : new Date(ms).toISOString().slice(0, 10));
    write(
      `${result.items} items, ${result.users} users, ${result.events} events from ` +
        `${day(result.firstMs)} to ${day(result.lastMs)}: ${result.accepted} new, ` +
        `${result.duplicates} known; checked in ${seconds(result.checkMs)} s, ` +
        `written in ${seconds(result.writeMs)} s\n`,
    );
  } finally {
    await close();
  }
  return 0;
}

function sourceOf(options: ParsedOptions, types: ReadonlySet<string>): ImportSource {
  const [path, ...more] = options.rest;
  if (path === undefined || more.length > 0) {
    throw new RecError("REC_COMMAND_OPTION", "one PATH is needed", { fix: "import --help" });
  }
  return namedSource(path, { format: options.text("format"), map: options.text("map"), types });
}

async function openSink(options: ParsedOptions, hooks: ImportHooks): Promise<OpenSink> {
  const url = options.text("url");
  const dataDir = options.text("data-dir") ?? process.env.DATA_DIR ?? "./data";
  if (url !== undefined) {
    const token = process.env.API_TOKEN;
    const sink = httpSink(token === undefined ? { url } : { url, token });
    return { sink, close: async () => {} };
  }
  if (hooks.openLocal !== undefined) return await hooks.openLocal(dataDir);
  // Only here: the native part is not needed to write to another server.
  const { openLocalImport } = await import("../assembly/local-import.ts");
  return await openLocalImport(dataDir);
}
