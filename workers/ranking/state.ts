import type { GenerationLease } from "../../models/recall/generation.ts";
import type { PaneValues } from "../../native/index.ts";
import type { ItemColumns } from "../stores/item-attributes.ts";
import type { AggregateReaders, UserPairs } from "../window-partials.ts";

/**
 * What ranking reads and writes of the shared state: the narrow side of the native tables, so
 * that a test can stand a small fake in their place.
 */

export interface RowIds {
  /** Row of an id, -1 where it has none. Never makes one. */
  find(id: string): number;
  id(row: number): string;
}

/** Raw window counters by row: zeros for row -1. */
export interface CounterRows {
  /** Parts that a row is the sum of; offsets are [part][row]. */
  readonly partials: number;
  read(rows: Int32Array, count: number, asOfMs: number, into: PaneValues): void;
}

/** The same of a user with categories, one offset a pair. */
export interface PairCounters {
  read(of: UserPairs, asOfMs: number, into: PaneValues): void;
}

/** The last records of a row, oldest first; gives how many, and the row's offset. */
export interface SequenceReader {
  read(row: number, out: Uint32Array, offsetOut?: Float64Array): number;
}

export interface SequenceRows extends SequenceReader {
  push(row: number, record: Uint32Array, offset: number): void;
}

/** Vectors of ids, by their rows, as of a version: zeros where there is none. */
export interface VectorReader {
  gather(ids: Int32Array, count: number, pinVersion: number, out: Float32Array): void;
}

/** Published model versions; a reader number belongs to one request at a time. */
export interface ModelReader {
  /** Slot of the current version, kept until `unpin`; -1 before the first. */
  pin(reader: number): number;
  unpin(reader: number): void;
  version(slot: number): number;
  weights(slot: number): Float32Array;
}

/** How far topic `items` stands in the attributes: see AppliedDocuments. */
export interface DocumentOffsets {
  applied(): number;
  begun(): number;
}

export interface RankingState {
  readonly users: RowIds;
  readonly items: RowIds;
  readonly categories: RowIds;
  readonly windows: {
    readonly user: CounterRows;
    readonly item: CounterRows;
    readonly category: CounterRows;
    readonly userCategory: PairCounters;
    readonly global: CounterRows;
  };
  /** What counters cannot say; null where no feature of the scope asks for any. */
  readonly aggregates: AggregateReaders;
  /** The user's last interactions, four words each (models/features/sequence-record.ts). */
  readonly recent: SequenceReader;
  /** Item rows that the user was served, one word each. */
  readonly seen: SequenceRows;
  readonly userVectors: VectorReader;
  readonly itemVectors: VectorReader;
  readonly slots: ModelReader;
  readonly appliedDocuments: DocumentOffsets;
  readAttributes(rows: Int32Array, count: number, out: ItemColumns): void;
}

export interface ScoreInputs {
  readonly weights: Float32Array;
  readonly userDense: Float32Array;
  /** count x itemWidth. */
  readonly itemDense: Float32Array;
  readonly userVector: Float32Array;
  /** count x itemEmbedding. */
  readonly itemVectors: Float32Array;
  readonly count: number;
}

/** The serving side of the ranker. */
export interface ScoringRanker {
  /** Of a model that came from elsewhere; without it answers name the pinned slot's version. */
  readonly version?: number;
  /** Writes heads[head * count + candidate], from the weights of a filled slot. */
  score(inputs: ScoreInputs, heads: Float32Array): void;
}

/** Where the current index generation comes from. */
export interface Generations {
  lease(): GenerationLease | null;
}

/** The part of the event log that takes served records. */
export interface ServedLog {
  append(
    topic: "served",
    partition: number,
    records: readonly Uint8Array[],
    options: { readonly durable: boolean },
  ): Promise<number>;
}

export interface Metrics {
  add(name: string, by: number): void;
  observe(name: string, value: number): void;
}

/** Counts nothing, holds nothing. */
export const noMetrics: Metrics & { takeHeld(name: string): number } = {
  add() {},
  observe() {},
  takeHeld: () => -1,
};
