import { RecError } from "../../models/core/errors.ts";
import { jsonlSource } from "./jsonl.ts";
import { mappedSource } from "./mapping.ts";
import { readMapping } from "./mapping-schema.ts";
import { movielensSource } from "./movielens.ts";
import { recboleSource } from "./recbole.ts";
import type { ImportSource } from "./types.ts";

export interface SourceOptions {
  readonly format: string | undefined;
  /** Path of a mapping file; goes before `format`. */
  readonly map: string | undefined;
  /** Interactions of the definition. */
  readonly types: ReadonlySet<string>;
  /** Mapped tables: each row's document as the row says it. */
  readonly rowDocuments?: boolean;
}

/** Files of a format that the command line names; throws REC_COMMAND_OPTION. */
export function namedSource(path: string, options: SourceOptions): ImportSource {
  const { format, map, types, rowDocuments = false } = options;
  if (map !== undefined) return mappedSource(path, readMapping(map), { types, rowDocuments });
  if (format === "movielens") return movielensSource(path);
  if (format === "recbole") return recboleSource(path);
  if (format === "jsonl") return jsonlSource(path);
  const message = `--format is ${format ?? "missing"}`;
  throw new RecError("REC_COMMAND_OPTION", message, { fix: "movielens, recbole, jsonl, or --map" });
}
