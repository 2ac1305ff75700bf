import { RecError } from "../core/errors.ts";
import type {
  HeadDefinition,
  RankingDefinition,
  RecommenderDefinition,
} from "../definition/define.ts";
import { featureCatalog } from "../features/catalog.ts";
import { limits } from "../limits.ts";
import { coldStartOf } from "./cold-start.ts";
import type { RankerShape } from "./layout.ts";

/** The shape of a definition's ranker: widths from its feature catalogue, and where it starts. */
export function rankerShapeOf(definition: RecommenderDefinition): RankerShape {
  const { userWidth, itemWidth } = featureCatalog(definition);
  const start = coldStartOf(definition);
  const { lossWeights: _, userIds: __, itemIds: ___, ...ranking } = definition.ranking;
  return { userWidth, itemWidth, start, heads: definition.heads, ...ranking };
}

/** How the rows of vectors of ids are found. */
export interface IdTable {
  /** `own`: by the id itself; `recycled`: by an index; `hashed`: by hash. */
  readonly kind: "own" | "recycled" | "hashed";
  /** Null: as many as ids. */
  readonly rows: number | null;
}

/**
 * What a definition says of ids. Throws REC_CONFIG_DEFINITION for another kind, and for rows that
 * are no whole number from 2 to `limits.idRowsMax`.
 */
export function idTableOf(
  { ranking }: Pick<RecommenderDefinition, "ranking">,
  name: "userIds" | "itemIds",
): IdTable {
  const ids = ranking[name];
  const path = `ranking.${name}`;
  const refuse = (place: string, value: unknown, fix: string): never => {
    const message = `${place} is ${JSON.stringify(value)}`;
    throw new RecError("REC_CONFIG_DEFINITION", message, { path: place, fix });
  };
  // A module without types may say anything.
  if (ids !== undefined && ids?.kind !== "exact" && ids?.kind !== "hashed") {
    return refuse(path, ids, '{ kind: "exact" } or { kind: "hashed" }');
  }
  const { kind = "exact", rows } = ids ?? {};
  if (kind === "exact" && rows === undefined) return { kind: "own", rows: null };
  const max = limits.idRowsMax;
  if (rows === undefined || !(Number.isInteger(rows) && rows >= 2 && rows <= max)) {
    return refuse(`${path}.rows`, rows, `a whole number from 2 to ${max}`);
  }
  return { kind: kind === "exact" ? "recycled" : "hashed", rows };
}

/**
 * How a definition weighs its heads' losses, as a trainer takes it: learned, or a number for each
 * head in their order. Throws REC_RANKER_SHAPE for a name that is no head, a head without a weight,
 * and a weight that is negative or not finite.
 */
export function lossWeightsOf(
  heads: readonly HeadDefinition[],
  lossWeights: RankingDefinition["lossWeights"],
): "uncertainty" | number[] {
  if (lossWeights === undefined || lossWeights === "uncertainty") return "uncertainty";
  const refuse = (message: string): never => {
    throw new RecError("REC_RANKER_SHAPE", message, { path: "ranking.lossWeights" });
  };
  const unknown = Object.keys(lossWeights).find((name) => !heads.some((h) => h.name === name));
  if (unknown !== undefined) refuse(`"${unknown}" is not a head`);
  return heads.map(({ name }) => {
    const weight = lossWeights[name] ?? refuse(`head "${name}" has no weight`);
    return weight >= 0 && Number.isFinite(weight) ? weight : refuse(`"${name}": ${weight}`);
  });
}
