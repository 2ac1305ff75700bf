import type { Id128 } from "../../models/core/bytes.ts";
import type { IndexGeneration } from "../../models/recall/generation.ts";

/** Everything that crosses between the front end and a ranking thread, declared in one place. */

/** An interaction that the request brought along; `type` is an index into the interactions. */
export interface RecentInteraction {
  readonly item: string;
  readonly type: number;
  /** Event time; the time of arrival where the client sent none. Epoch milliseconds. */
  readonly timeMs: number;
}

export interface RecommendRequest {
  readonly requestId: Id128;
  /** Null for an anonymous session. May be unknown: asking allocates nothing. */
  readonly user: string | null;
  /** Oldest first by `timeMs`, ties as sent; at most `limits.recentItemsMax`. */
  readonly recent: readonly RecentInteraction[];
  /** 1 .. `limits.slateItemsMax`. */
  readonly n: number;
  readonly context: Readonly<Record<string, string | number | boolean>>;
  /** Items that must not be in the slate, at most `limits.excludeItemsMax`. */
  readonly exclude: readonly string[];
  /** Only items of one of these categories; empty means any. */
  readonly categories: readonly string[];
  /** Value weights by head that replace the definition's; null where none were sent. */
  readonly weights: Readonly<Record<string, number>> | null;
  readonly details: boolean;
  readonly explain: boolean;
}

export interface RankRequest {
  readonly requestId: Id128;
  readonly user: string | null;
  /** In the order sent, no item twice, at most `limits.rankItemsMax`. */
  readonly items: readonly string[];
  readonly weights: Readonly<Record<string, number>> | null;
  readonly details: boolean;
  readonly explain: boolean;
}

export interface SimilarRequest {
  readonly requestId: Id128;
  readonly item: string;
  readonly n: number;
  readonly details: boolean;
}

export interface PopularRequest {
  readonly requestId: Id128;
  readonly n: number;
  /** Null: over all categories. */
  readonly category: string | null;
  readonly details: boolean;
}

/** A request with what it asks for. */
export type RankingCall =
  | { readonly kind: "recommend"; readonly request: RecommendRequest }
  | { readonly kind: "rank"; readonly request: RankRequest }
  | { readonly kind: "similar"; readonly request: SimilarRequest }
  | { readonly kind: "popular"; readonly request: PopularRequest };

export interface AnswerItem {
  readonly id: string;
  /** The value model's score; comparable within one answer. */
  readonly score: number;
  /** From 0. */
  readonly position: number;
  /** Names of the recall routes that found it. */
  readonly routes: readonly string[];
  /** Predicted outcomes by head; null where no model scored it. */
  readonly heads: Readonly<Record<string, number>> | null;
  /** Exact in a randomised place, null elsewhere. */
  readonly propensity: number | null;
  /** The stored document, only when asked for; null where there is none. */
  readonly details?: Readonly<Record<string, unknown>> | null;
  /** The item's inputs of the model by name, only for `explain`. */
  readonly features?: Readonly<Record<string, number>>;
}

/** What one stage did with the candidates, for `explain`. */
export interface StageReport {
  readonly stage: string;
  readonly kept: number;
  readonly microseconds: number;
  /** Candidates by source, or removals by `filter:reason`. */
  readonly counts: Readonly<Record<string, number>>;
}

/** What the model was told, by feature name, for `explain`. */
export interface FeatureReport {
  /** Epoch ms that windows were read as of. */
  readonly asOfMs: number;
  /** Records that the user's counters had taken in, by their number; -1 where none. */
  readonly userOffset: number;
  readonly user: Readonly<Record<string, number>>;
}

/** A slate. `similar` and `popular` answer the same shape with heads and propensity null. */
export interface Answer {
  /** 32 hex digits. */
  readonly requestId: string;
  readonly items: readonly AnswerItem[];
  /** Version of the model that scored; null where none did. */
  readonly model: number | null;
  /** Index generation; null where there was none. */
  readonly index: number | null;
  /** Parts that were left out; empty when the answer is whole. */
  readonly degraded: readonly string[];
  readonly explain?: readonly StageReport[];
  readonly features?: FeatureReport;
}

/**
 * One request on its way to a thread, as bytes: f64 enqueuedAtMs, f64 deadlineAtMs (epoch ms with
 * fraction), JSON text of the call. Goes through the ring; by message where it is too large.
 */
export interface CallMessage {
  readonly type: "call";
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

/** How a request ended: JSON bytes, or why not. Numbers are the record kinds of the answer ring. */
export const answerKinds = { bytes: 1, refused: 2, failed: 3, expired: 4 } as const;
export type AnswerKind = (typeof answerKinds)[keyof typeof answerKinds];

/** An answer that did not fit into the ring. */
export interface AnswerMessage {
  readonly type: "answer";
  readonly sequence: number;
  readonly kind: AnswerKind;
  readonly bytes: Uint8Array;
}

/** The thread has warmed up and takes requests. */
export interface ReadyMessage {
  readonly type: "ready";
}

/** A newer index generation for the thread. */
export interface GenerationMessage {
  readonly type: "generation";
  readonly generation: IndexGeneration;
}

/** Documents of these item rows changed: cached ones are out of date. */
export interface DocumentsMessage {
  readonly type: "documents";
  readonly rows: readonly number[];
}

/** Finish what was taken, flush, and leave. */
export interface StopMessage {
  readonly type: "stop";
}

/** Shared memory between the front end and one thread; all are SharedArrayBuffers. */
export interface ThreadChannels {
  /** Requests, written by the front end. */
  readonly requests: SharedArrayBuffer;
  /** Answers, written by the thread. */
  readonly answers: SharedArrayBuffer;
  /** Beats of the thread: heartbeat.ts. */
  readonly heartbeat: SharedArrayBuffer;
  /** Word 0: wakes the front end; shared by all threads. */
  readonly wakeFrontEnd: SharedArrayBuffer;
}

/** The first message to a thread. `work` is what the entry file needs, plain data. */
export interface BootMessage<Work> {
  readonly type: "boot";
  readonly channels: ThreadChannels;
  /** Index of the worker, and its number among those that write `served`. */
  readonly worker: number;
  /** First of the reader numbers that the thread may pin model versions with. */
  readonly readerBase: number;
  readonly readers: number;
  readonly work: Work;
}

export type MessageToThread<Work> =
  | BootMessage<Work>
  | CallMessage
  | GenerationMessage
  | DocumentsMessage
  | StopMessage;
export type MessageFromThread = ReadyMessage | AnswerMessage;
