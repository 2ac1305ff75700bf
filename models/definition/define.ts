/** The types of a recommender's definition: one typed module describes a whole product. */

/** A kind of interaction that clients send. Its index in `interactions` is its code in the log. */
export interface InteractionDefinition {
  readonly name: string;
  /** What `value` means; `none` refuses one. Watch seconds are >= 0; amounts are finite. */
  readonly value: "none" | "seconds" | "amount";
  /** How long after the slate was served this interaction still belongs to it. */
  readonly attributionMs: number;
}

/** One predicted outcome. */
export interface HeadDefinition {
  readonly name: string;
  /** The interaction that makes the label. */
  readonly interaction: string;
  /** `binary`: did it happen. `seconds`: how long, 0 when not. */
  readonly kind: "binary" | "seconds";
  /**
   * Seconds heads: `mean` (the default) answers seconds that are right on average, `middle` their
   * median, nearly, which lies below and has the least absolute error of the logarithm.
   */
  readonly answer?: "mean" | "middle";
  /** ESMM: this head is a rate given `given`; its loss is on the product of both. */
  readonly given?: string;
  /**
   * Binary heads: how a positive is learned that comes after its sample was learned as a negative.
   * `takeBack` (the default) takes the negative's gradient back; `fakeNegative` weighs samples by
   * the model's own prediction (Ktena et al. 2019).
   */
  readonly delayed?: "takeBack" | "fakeNegative";
  /** Where the item's duration is unknown, so is the outcome. */
  readonly needsDuration?: boolean;
}

/** A sliding window made of panes: `panes` x `paneMs`, plus the open pane. */
export interface WindowDefinition {
  readonly name: string;
  readonly paneMs: number;
  readonly panes: number;
}

/** Whose row counts: of the user, the item, its categories, user x category, or one for all. */
export const scopeNames = ["user", "item", "category", "userCategory", "global"] as const;
export type ScopeName = (typeof scopeNames)[number];

/**
 * `logCount`: log(1 + how often). `rateLogit`: a smoothed rate per impression. `meanValue`: seconds
 * per impression. `maxValue`: the most seconds of one interaction. `logDistinct`: how many
 * different users, items or categories (`of`). `logDecayed`: how often, each halved every
 * `halfLifeMs`.
 */
export type FeatureKind =
  | "logCount"
  | "rateLogit"
  | "meanValue"
  | "maxValue"
  | "logDistinct"
  | "logDecayed";

/** What `logDistinct` counts; not what every row of the scope is of anyway. */
export type DistinctOf = "user" | "item" | "category";

/** A prior rate and its weight in impressions (Laplace smoothing). */
export interface RatePrior {
  readonly rate: number;
  readonly weight: number;
  /**
   * Items and user x category: smooth towards the same rate of the category (of an item's
   * categories their mean) over its whole life, itself smoothed towards `rate` (empirical Bayes).
   */
  readonly towards?: "category";
}

/** One dense input made from the window counters of a scope. */
export interface WindowFeature {
  readonly name: string;
  readonly scope: ScopeName;
  /** A name in `windows`, or `total` for the whole life. */
  readonly window: string;
  readonly kind: FeatureKind;
  /** The interaction that is counted or summed. */
  readonly interaction: string;
  /** `rateLogit`: what the rate is smoothed towards. */
  readonly prior?: RatePrior;
  /** `logDistinct`: of what. */
  readonly of?: DistinctOf;
  /** `logDecayed`, whose window is `total`. */
  readonly halfLifeMs?: number;
}

export interface RouteDefinition {
  readonly name: RouteName;
  /** At most so many candidates. */
  readonly quota: number;
}

export type RouteName = "itemToItem" | "vector" | "trending" | "categoryTrending" | "fresh";

/** How the heads share what they learn from: see models/README.md, "Rankers". */
export type ModelType = "mmoe" | "ple" | "shared-bottom";

/**
 * Which rows hold the vectors of ids. `exact`: each id has its own, for ever, or with `rows` one of
 * so many from its admission until it expires. `hashed`: each of any number of ids has the mean of
 * two of `rows` rows, found by hash, which it shares with others.
 */
export type IdsDefinition =
  | { readonly kind: "exact"; readonly rows?: number }
  | { readonly kind: "hashed"; readonly rows: number };

export interface RankingDefinition {
  /** Default: mmoe. */
  readonly model?: ModelType;
  /** Widths of the vectors of ids; 0: none. */
  readonly userEmbedding: number;
  readonly itemEmbedding: number;
  /** Default: exact. */
  readonly userIds?: IdsDefinition;
  readonly itemIds?: IdsDefinition;
  /** Experts that all heads see; a shared bottom has one. */
  readonly experts: number;
  /** PLE alone: experts of each head's own (default 1), and extraction levels (default 2). */
  readonly headExperts?: number;
  readonly levels?: number;
  /** A linear path from the inputs to each head (default true). */
  readonly skip?: boolean;
  /**
   * `uncertainty` (the default): learned log variances, clamped (Kendall et al. 2018); or a fixed
   * weight for each head by name, 0 leaves a head out of training.
   */
  readonly lossWeights?: "uncertainty" | Readonly<Record<string, number>>;
  readonly expertLayers: readonly number[];
  readonly towerLayers: readonly number[];
  /** Positions whose bias is learned in training and left out in serving. */
  readonly positions: number;
}

/** How the vectors of ids are learned. */
export interface IdLearningDefinition {
  /**
   * Occurrences before an id is learned (default: 2 of a user, 10 of an item); 255: never. Of
   * hashed ids it is their rows that are counted, and the default is 0.
   */
  readonly admission?: number;
  /** Adagrad's learning rate of the vectors (default .05). */
  readonly rate?: number;
  /** Days after which an id (a row of hashed ids) that did not occur is forgotten (default 30). */
  readonly expiryDays?: number;
  /**
   * What is kept of an id's Adagrad accumulator at each of its steps, 0 to 1 (default 1, all):
   * below 1 an old id can still turn.
   */
  readonly decay?: number;
}

/** How fast a server learns, and which ids. It changes what weights become, not what they mean. */
export interface LearningDefinition {
  /** Adam's learning rate for all but the vectors of ids (default .001). */
  readonly rate?: number;
  /** Samples in which the rate halves, down to `floor` of it. Default: it stays as it is. */
  readonly halfLifeSamples?: number;
  /** Share of the rate that halving does not go below (default .1): tastes go on changing. */
  readonly floor?: number;
  /** A snapshot keeps the admission count that it was trained with. */
  readonly userIds?: IdLearningDefinition;
  readonly itemIds?: IdLearningDefinition;
}

export interface RecommenderDefinition {
  readonly name: string;
  readonly interactions: readonly InteractionDefinition[];
  readonly heads: readonly HeadDefinition[];
  readonly windows: readonly WindowDefinition[];
  readonly features: readonly WindowFeature[];
  readonly routes: readonly RouteDefinition[];
  /** Value model: score = sum of weight x head (seconds heads through log1p). */
  readonly valueWeights: Readonly<Record<string, number>>;
  readonly ranking: RankingDefinition;
  /** Not part of the hash: a snapshot may be learned on in another way. */
  readonly learning?: LearningDefinition;
  /** Which record makes a negative: the slate as served, or the client's impression. */
  readonly negatives: "served" | "impression";
  /**
   * Share of the items that nobody touched in time that make samples, in (0, 1]; each then weighs
   * 1 / share. Default: 1, all of them.
   */
  readonly negativesShare?: number;
  /** Candidates that are ranked at most. */
  readonly rankedMax: number;
  readonly slateDefault: number;
}

/** Names the shape of a definition; use it to keep literal types. */
export function defineRecommender<const D extends RecommenderDefinition>(definition: D): D {
  return definition;
}

export function featuresOf(
  definition: RecommenderDefinition,
  scope: ScopeName,
): readonly WindowFeature[] {
  return definition.features.filter((feature) => feature.scope === scope);
}
