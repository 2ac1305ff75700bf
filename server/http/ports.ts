import type {
  PopularRequest,
  RankRequest,
  RecommendRequest,
  SimilarRequest,
} from "../../workers/ranking/messages.ts";

export type {
  PopularRequest,
  RankRequest,
  RecentInteraction,
  RecommendRequest,
  SimilarRequest,
} from "../../workers/ranking/messages.ts";

/**
 * What the door asks of the rest of the process. Handlers call nothing else, so that a test can
 * put fakes behind them. Everything in a request has been checked; everything is plain data that
 * can be cloned to another thread.
 */

/**
 * The ranking threads. Every call resolves with the bytes of the JSON answer, by about
 * `deadlineAtMs` (epoch ms): late parts are left out and named in `degraded`, so a promise that
 * never settles is a fault. Rejects with RecError: REC_ITEM_UNKNOWN (404), REC_HTTP_BUSY (503).
 */
export interface Ranking {
  recommend(request: RecommendRequest, deadlineAtMs: number): Promise<Uint8Array>;
  rank(request: RankRequest, deadlineAtMs: number): Promise<Uint8Array>;
  similar(request: SimilarRequest, deadlineAtMs: number): Promise<Uint8Array>;
  popular(request: PopularRequest, deadlineAtMs: number): Promise<Uint8Array>;
}

/** Why one element of a batch was refused; `path` is inside the element. */
export interface Rejection {
  readonly index: number;
  readonly code: string;
  readonly message: string;
  readonly path?: string;
}

export interface IngestAnswer {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: readonly Rejection[];
}

/** An element of a batch as it was parsed, or why it could not be. */
export type ParsedElement =
  | { readonly value: unknown }
  | { readonly fault: Omit<Rejection, "index"> };

export interface Ingest {
  /**
   * Checks and appends a batch; resolves once what was accepted is durable. `idempotencyKey`
   * makes the ids of events that have neither id nor time, so that a repeat is a duplicate.
   */
  ingest(elements: readonly ParsedElement[], idempotencyKey: string | null): Promise<IngestAnswer>;
}

export type DocumentKindName = "item" | "user";

export interface DocumentPut {
  readonly id: string;
  readonly document: Readonly<Record<string, unknown>>;
}

export interface Documents {
  /** Resolves once durable and, for items, recallable. */
  put(kind: DocumentKindName, puts: readonly DocumentPut[]): Promise<void>;
  /** JSON text of the stored document; null where there is none. */
  get(kind: DocumentKindName, id: string): Promise<string | null>;
  /** False where there was none. */
  remove(kind: DocumentKindName, id: string): Promise<boolean>;
}

/** Model versions; answers are JSON bytes. Unknown version: RecError REC_MODEL_UNKNOWN (404). */
export interface Models {
  list(): Promise<Uint8Array>;
  promote(version: number): Promise<Uint8Array>;
  rollback(): Promise<Uint8Array>;
}

export interface Readiness {
  readonly ready: boolean;
  /** What is still missing, in words. */
  readonly waitingFor: readonly string[];
}

/** Counters and histograms of the door; `SharedMetrics` fits. */
export interface MetricSink {
  add(name: string, by: number): void;
  observe(name: string, value: number): void;
}

export interface DoorPorts {
  readonly ranking: Ranking;
  readonly ingest: Ingest;
  readonly documents: Documents;
  readonly models: Models;
  readonly metrics: MetricSink;
  readiness(): Readiness;
  /** Prometheus text. */
  exposition(): string;
  /** Figures for the status page, plain JSON. */
  status(): Readonly<Record<string, unknown>>;
}
