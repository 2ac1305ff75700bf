import type { Clock } from "../../models/core/clock.ts";
import type { Random } from "../../models/core/random.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { FeatureEncoder } from "../../models/features/encoder.ts";
import { limits } from "../../models/limits.ts";
import { defaultSlateRules, type SlateRules } from "../../models/ranking/slate-rules.ts";
import { InteractionWeights } from "../../models/recall/interaction-weights.ts";
import type { SharedState } from "../shared-state.ts";
import type { DocumentStore } from "../stores/document-store.ts";
import { DetailsCache } from "./details-cache.ts";
import { RankingEngine } from "./engine.ts";
import { nativeRanker } from "./open-ranker.ts";
import type { Timer } from "./pipeline/deadline.ts";
import { CategoryTrendingSource } from "./sources/category-trending.ts";
import { FreshSource } from "./sources/fresh.ts";
import { ItemToItemSource } from "./sources/item-to-item.ts";
import type { RecallSource } from "./sources/query.ts";
import { TrendingSource } from "./sources/trending.ts";
import { VectorSource } from "./sources/vector.ts";
import type { Generations, Metrics, ScoringRanker, ServedLog } from "./state.ts";

export interface EngineOptions {
  readonly definition: RecommenderDefinition;
  readonly state: SharedState;
  /** Current index generation; `GenerationHolder` fits. */
  readonly generations: Generations;
  readonly log: ServedLog;
  /** Its number among those that write `served`. Default 0. */
  readonly servedWriter?: number;
  readonly documents: Pick<DocumentStore, "getMany">;
  /** Fetch documents while the model runs. Default: yes. */
  readonly detailsPrefetch?: boolean;
  readonly clock: Clock;
  readonly random: Random;
  /** Reader numbers of this thread. Default: number 0 alone. */
  readonly readers?: readonly number[];
  readonly rules?: SlateRules;
  /** Default: the definition's, on the native kernels. */
  readonly ranker?: ScoringRanker;
  /** Default: the process's. */
  readonly metrics?: Metrics;
  /** Null in virtual time: nothing is ever late, and answers wait for their served record. */
  readonly timer?: Timer | null;
}

function recallRoutes({ definition, state }: EngineOptions): RecallSource[] {
  const weights = new InteractionWeights(definition.interactions);
  return [
    new ItemToItemSource(weights),
    new VectorSource(weights),
    new TrendingSource(state.trending),
    new CategoryTrendingSource(state.trending),
    new FreshSource(state.fresh),
  ];
}

/**
 * The request pipeline over real parts, on the calling thread. Used by every ranking thread and,
 * with a clock of its own and `timer: null`, by the virtual-time simulation.
 */
export function createRankingEngine(options: EngineOptions): RankingEngine {
  const { definition, state, clock, random, log, generations, timer } = options;
  const metrics = options.metrics ?? state.metrics;
  return new RankingEngine({
    ...{ definition, state, clock, random, log, generations, metrics },
    encoder: new FeatureEncoder(definition),
    ranker: options.ranker ?? nativeRanker(definition),
    routes: recallRoutes(options),
    servedWriter: options.servedWriter ?? 0,
    waitsForServed: timer === null,
    prefetches: options.detailsPrefetch ?? true,
    details: new DetailsCache({
      store: options.documents,
      entriesMax: limits.documentCacheEntries,
      metrics,
    }),
    rules: options.rules ?? defaultSlateRules,
    readers: options.readers ?? [0],
    ...(timer === undefined ? {} : { timer }),
  });
}
