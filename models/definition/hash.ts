import { hash128, id128ToHex } from "../core/bytes.ts";
import type { RecommenderDefinition } from "./define.ts";

/** 32 hex digits of what a definition says, but how it learns: stands in every snapshot. */
export function definitionHash({ learning: _, ...rest }: RecommenderDefinition): string {
  return id128ToHex(hash128(JSON.stringify(sorted(rest))));
}

/** Keys in order: two spellings of the same definition have one hash. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}
