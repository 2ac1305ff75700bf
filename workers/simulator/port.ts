/**
 * The shapes of the v1 contract as a client sees them, and the door through which the simulator
 * reaches whatever answers: a server over HTTP, an engine in this process, or a simple policy.
 */

export interface RecommendRequest {
  readonly user: string;
  readonly n: number;
}

export interface RecommendAnswer {
  readonly requestId: string;
  readonly items: readonly { readonly id: string }[];
  /** Names of stages that were left out; empty when the answer is whole. */
  readonly degraded?: readonly string[];
}

export interface ClientEvent {
  readonly id: string;
  readonly type: string;
  readonly user: string;
  readonly item: string;
  /** Epoch milliseconds, whole. */
  readonly time: number;
  readonly requestId?: string;
  /** Watch seconds for `watch`, an amount for `convert`. */
  readonly value?: number;
}

export interface ItemDocument {
  readonly id: string;
  readonly title?: string;
  readonly categories?: readonly string[];
  readonly tags?: readonly string[];
  readonly author?: string;
  /** RFC 3339. */
  readonly publishedAt?: string;
  readonly durationSeconds?: number;
  readonly hidden?: boolean;
}

/** A virtual-time engine may answer at once; a server over HTTP answers later. */
export type MaybePromise<T> = T | Promise<T>;

export interface RecommenderUnderTest {
  recommend(request: RecommendRequest): MaybePromise<RecommendAnswer>;
  events(batch: readonly ClientEvent[]): MaybePromise<void>;
  items(batch: readonly ItemDocument[]): MaybePromise<void>;
}
