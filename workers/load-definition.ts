import { resolve } from "node:path";
import { RecError } from "../models/core/errors.ts";
import feed from "../models/definition/default.ts";
import type { RecommenderDefinition } from "../models/definition/define.ts";

/** The default definition, or the default export of a user's module. */
export async function loadDefinition(path: string | null): Promise<RecommenderDefinition> {
  if (path === null) return feed;
  const module: unknown = await import(resolve(path)).catch((cause: unknown) => {
    throw new RecError("REC_CONFIG_DEFINITION", `cannot load ${path}`, { path, cause });
  });
  const found = typeof module === "object" && module !== null && "default" in module;
  if (!found || !isDefinition(module.default)) {
    throw new RecError("REC_CONFIG_DEFINITION", `${path} has no default export of a definition`, {
      path,
      fix: "export default defineRecommender({...})",
    });
  }
  return module.default;
}

const parts: readonly (keyof RecommenderDefinition)[] = [
  "name",
  "interactions",
  "heads",
  "windows",
  "features",
  "routes",
  "valueWeights",
  "ranking",
];

function isDefinition(value: unknown): value is RecommenderDefinition {
  return typeof value === "object" && value !== null && parts.every((part) => part in value);
}
