import { id128ToHex } from "../../models/core/bytes.ts";
import type { FeatureCatalog } from "../../models/features/catalog.ts";
import type { FeedContext } from "./feed-context.ts";
import type { Answer, AnswerItem, FeatureReport, StageReport } from "./messages.ts";
import type { RowIds } from "./state.ts";

/** Seven decimals are more than a float32 knows, and short in JSON. */
function shortened(value: number): number {
  return Number.isFinite(value) ? Math.round(value * 1e7) / 1e7 : 0;
}

/** What the answer is made with, besides the context. */
export interface AnswerNames {
  readonly items: RowIds;
  readonly heads: readonly string[];
  /** Names of the sources of this kind of request, by bit. */
  readonly sources: readonly string[];
  readonly catalog: FeatureCatalog;
}

function routesOf(mask: number, sources: readonly string[]): string[] {
  return sources.filter((_, bit) => (mask & (1 << bit)) !== 0);
}

function headsOf(
  { candidates, ranked }: FeedContext,
  index: number,
  names: readonly string[],
): Record<string, number> | null {
  if (!ranked.scored) return null;
  const heads: Record<string, number> = {};
  for (let h = 0; h < names.length; h++) {
    heads[names[h] ?? ""] = shortened(ranked.heads[h * candidates.count + index]);
  }
  return heads;
}

function itemOf(context: FeedContext, position: number, names: AnswerNames): AnswerItem {
  const { candidates, ranked, request, documents } = context;
  const index = candidates.selected[position];
  const row = candidates.rows[index];
  const propensity = candidates.propensities[position];
  const item = {
    id: names.items.id(row),
    score: shortened(ranked.values[index]),
    position,
    routes: routesOf(candidates.sources[index], names.sources),
    heads: headsOf(context, index, names.heads),
    propensity: Number.isNaN(propensity) ? null : propensity,
  };
  return {
    ...item,
    ...(request.details ? { details: documents.get(row) ?? null } : {}),
    ...(showsFeatures(context) ? { features: itemFeatures(context, index, names.catalog) } : {}),
  };
}

function showsFeatures({ trace, ranked }: FeedContext): boolean {
  return trace !== null && ranked.encoded;
}

function named(names: readonly string[], values: Float32Array, from: number) {
  return Object.fromEntries(names.map((name, i) => [name, shortened(values[from + i])]));
}

function itemFeatures({ ranked }: FeedContext, index: number, catalog: FeatureCatalog) {
  return named(catalog.itemNames, ranked.itemDense, index * catalog.itemWidth);
}

function featuresOf({ ranked, user, nowMs }: FeedContext, catalog: FeatureCatalog): FeatureReport {
  const userOffset = user.offset;
  return { asOfMs: nowMs, userOffset, user: named(catalog.userNames, ranked.userDense, 0) };
}

function reportOf(context: FeedContext): StageReport[] {
  return (context.trace?.stages ?? []).map((stage) => ({ ...stage }));
}

/** The answer of a request that went through its stages. */
export function answerOf(context: FeedContext, names: AnswerNames): Answer {
  const { candidates, request, lease, ranked } = context;
  const length = candidates.selectedCount;
  const answer = {
    requestId: id128ToHex(request.requestId),
    items: Array.from({ length }, (_, position) => itemOf(context, position, names)),
    model: ranked.scored ? ranked.version : null,
    index: lease?.generation.generation ?? null,
    degraded: [...context.degraded],
  };
  if (context.trace === null) return answer;
  const explained = { ...answer, explain: reportOf(context) };
  if (!showsFeatures(context)) return explained;
  return { ...explained, features: featuresOf(context, names.catalog) };
}
