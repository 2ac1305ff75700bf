import { bytesOf, text, utf8 } from "../../models/core/bytes.ts";
import type { Clock } from "../../models/core/clock.ts";
import { Random } from "../../models/core/random.ts";
import { limits } from "../../models/limits.ts";
import {
  type FactorisationOptions,
  FactorisationTrainer,
  factorisationDefaults,
} from "../../models/recall/factorisation.ts";
import type { IndexGeneration } from "../../models/recall/generation.ts";
import { itemToItemDefaults } from "../../models/recall/item-to-item.ts";
import type { ItemMetadata } from "../../models/recall/metadata-vectors.ts";
import type { GraphIndex } from "../../native/index.ts";
import {
  type CheckpointSection,
  type SlicedSection,
  sectionOf,
} from "../stores/checkpoint-store.ts";
import { decodeGeneration, encodeGeneration } from "./generation-codec.ts";
import { InteractionWindow } from "./interaction-window.ts";
import { type Rebuilt, rebuildIndex } from "./rebuild-index.ts";

/** Where the core learns of items. */
export interface ItemCatalog {
  /** Rows that are assigned: 0 .. rows - 1. */
  rows(): number;
  metadata(rows: number): ItemMetadata;
}

export interface RecallCoreOptions {
  readonly items: ItemCatalog;
  readonly seed: number;
  /**
   * Share of the time that rebuilding takes while it goes on, in (0, 1]: a rest follows each slice,
   * but for the first generation, which is waited for. Rests of `restMsMax` a rebuild at most.
   */
  readonly rebuildShare?: number;
  readonly restMsMax?: number;
  /**
   * Milliseconds of processor that this thread has taken: work is measured by it, so that waiting
   * for a busy machine is not taken for work. Default: the clock.
   */
  readonly processorMs?: (() => number) | null;
  /** From the start of one rebuild to that of the next at least. */
  readonly periodMs?: number;
  /** So long after one is due the log is read to its end first, where there is much to read. */
  readonly catchUpMsMax?: number;
  /** Positive interactions before the first generation. */
  readonly interactionsLeast?: number;
  readonly training?: Partial<FactorisationOptions>;
  /** Times that a new interaction is trained on, over as many generations as it takes. */
  readonly epochs?: number;
  /** Batches of one generation. */
  readonly trainBatchesLeast?: number;
  readonly trainBatchesMax?: number;
}

const defaults = {
  rebuildShare: 0.2,
  restMsMax: 600_000,
  processorMs: null,
  periodMs: 5_000,
  catchUpMsMax: 600_000,
  interactionsLeast: 20,
  training: {},
  epochs: 4,
  trainBatchesLeast: 40,
  trainBatchesMax: 1_000,
};

/** Weight from which an interaction counts as taking to the item. */
const positiveFrom = 0.3;
/** Graphs that stay alive: the current, and the one that late readers may still be taking up. */
const graphsKept = 2;

/** Generations are numbered by seconds since 2025 began, see `numberAfter`. */
const numberedFromMs = 1_735_689_600_000;

const version = 1;

interface Meta {
  readonly version: number;
  readonly offsets: readonly number[];
  readonly rows: number;
  readonly dim: number;
  readonly owedBatches: number;
}

/** Histories in, generations out; time comes with each call. No thread, file or log in here. */
export class RecallCore {
  /** The next offset of each partition of `events`; the caller moves them. */
  readonly offsets: number[];
  readonly #options: Required<RecallCoreOptions>;
  readonly #window = new InteractionWindow(limits.recallInteractionsMax);
  readonly #training: FactorisationOptions;
  #trainer: FactorisationTrainer;
  #graphs: (GraphIndex | null)[] = [];
  #current: IndexGeneration | null = null;
  #work: Generator<void, Rebuilt | null> | null = null;
  #workMs = 0;
  #restedMs = 0;
  /** When the next slice, or the next rebuild, is due. */
  #dueMs = Number.NEGATIVE_INFINITY;
  #startedMs = 0;
  #builtTotal = 0;
  /** Batches that the interactions so far still deserve. */
  #owedBatches = 0;
  #builtRows = 0;
  /** Interactions of rows beyond `limits.recallItemsMax` or `limits.usersMax`. */
  leftOut = 0;
  /** Mean training loss of the last generation. */
  loss = Number.NaN;
  /** Milliseconds that the last rebuild worked, without its pauses. */
  rebuildMs = 0;

  constructor(options: RecallCoreOptions, partitions: number) {
    this.#options = { ...defaults, ...options };
    this.offsets = new Array(partitions).fill(0);
    this.#training = { ...factorisationDefaults, ...options.training };
    this.#trainer = new FactorisationTrainer(this.#training, new Random(options.seed));
  }

  get current(): IndexGeneration | null {
    return this.#current;
  }

  /** Interactions that generations are built from. */
  get interactions(): number {
    return this.#window.size;
  }

  /** A rebuild is under way. */
  get rebuilding(): boolean {
    return this.#work !== null;
  }

  /** Takes one interaction of positive weight in. */
  take(userRow: number, itemRow: number, weight: number): void {
    if (itemRow >= limits.recallItemsMax || userRow >= limits.usersMax) this.leftOut++;
    else if (weight >= positiveFrom) this.#window.add(userRow, itemRow);
  }

  /** Starts a rebuild when one is due, or does a slice of it; false where there was nothing. */
  advance(clock: Clock, caughtUp: boolean): boolean {
    const nowMs = clock.nowMs();
    if (this.#work === null) {
      if (!this.#isDue(nowMs, caughtUp)) return false;
      this.#work = this.#begin(nowMs);
      this.#startedMs = nowMs;
      this.#workMs = this.#restedMs = 0;
    } else if (nowMs < this.#dueMs) return false;
    const workedMs = this.#options.processorMs ?? (() => clock.nowMs());
    const fromMs = workedMs();
    const slice = this.#work.next();
    const sliceMs = workedMs() - fromMs;
    this.#workMs += sliceMs;
    if (slice.done && slice.value) this.#finish(slice.value);
    else this.#rest(clock.nowMs(), sliceMs);
    return true;
  }

  /**
   * Requests lose less to a thread that works a little all the time than to one that works for a
   * second and then rests for four.
   */
  #rest(nowMs: number, sliceMs: number): void {
    const { rebuildShare, restMsMax } = this.#options;
    const wantedMs = this.#current === null ? 0 : sliceMs * (1 / rebuildShare - 1);
    const restMs = Math.min(wantedMs, restMsMax - this.#restedMs);
    this.#restedMs += restMs;
    this.#dueMs = nowMs + restMs;
  }

  /** Milliseconds until the next slice of a rebuild under way, 0 where none is. */
  restMs(nowMs: number): number {
    return this.#work === null ? 0 : Math.max(0, this.#dueMs - nowMs);
  }

  /** Something is new, enough is there, and the time has come; a long replay is waited for. */
  #isDue(nowMs: number, caughtUp: boolean): boolean {
    const { interactionsLeast, items, catchUpMsMax } = this.#options;
    if (this.#dueMs === Number.NEGATIVE_INFINITY) this.#dueMs = nowMs;
    if (nowMs < this.#dueMs || this.#window.size < interactionsLeast) return false;
    if (!caughtUp && nowMs < this.#dueMs + catchUpMsMax) return false;
    if (this.#owedBatches >= 1 || this.#window.total > this.#builtTotal) return true;
    return this.#rowsOf(items) > this.#builtRows;
  }

  #rowsOf(items: ItemCatalog): number {
    return Math.min(items.rows(), limits.recallItemsMax);
  }

  #begin(nowMs: number): Generator<void, Rebuilt | null> {
    const { items, seed } = this.#options;
    const histories = this.#window.histories(limits.recallHistoryMax, this.#rowsOf(items));
    const trainBatches = this.#batches(this.#window.total - this.#builtTotal);
    this.#builtTotal = this.#window.total;
    this.#builtRows = histories.itemRows;
    return rebuildIndex({
      generation: numberAfter(this.#current?.generation ?? 0, nowMs),
      nowMs,
      histories,
      metadata: items.metadata(this.#rowsOf(items)),
      trainer: this.#trainer,
      trainBatches,
      itemToItem: { ...itemToItemDefaults, perItem: neighboursFor(histories.itemRows) },
      popularMax: limits.listItemsMax,
      seed,
    });
  }

  /** A long history is learned over several generations, so that the first comes soon. */
  #batches(fresh: number): number {
    const { epochs, trainBatchesLeast, trainBatchesMax } = this.#options;
    this.#owedBatches += (epochs * fresh) / this.#training.batch;
    const wanted = Math.max(trainBatchesLeast, Math.ceil(this.#owedBatches));
    const batches = Math.min(trainBatchesMax, wanted);
    this.#owedBatches = Math.max(0, this.#owedBatches - batches);
    return batches;
  }

  #finish({ generation, graph, loss }: Rebuilt): void {
    this.#work = null;
    this.loss = loss;
    this.rebuildMs = this.#workMs;
    this.#dueMs = this.#startedMs + this.#options.periodMs;
    this.#adopt(generation, graph);
  }

  #adopt(generation: IndexGeneration, graph: GraphIndex | null): void {
    this.#current = generation;
    this.#graphs.push(graph);
    while (this.#graphs.length > graphsKept) this.#graphs.shift()?.release();
  }

  /** In place: the sections are good until the core goes on. */
  save(): (CheckpointSection | SlicedSection)[] {
    const { users, items } = this.#window.save();
    const { rows, vectors, moments } = this.#trainer.state;
    const { dim } = this.#training;
    const owedBatches = this.#owedBatches;
    const meta: Meta = { version, offsets: this.offsets, rows, dim, owedBatches };
    const sections = [
      { name: "recall.meta", bytes: utf8(JSON.stringify(meta)) },
      { name: "recall.users", bytes: users },
      { name: "recall.items", bytes: items },
      { name: "recall.vectors", bytes: bytesOf(vectors) },
      { name: "recall.moments", bytes: bytesOf(moments) },
    ];
    const graph = this.#graphs[this.#graphs.length - 1] ?? null;
    return this.#current === null
      ? sections
      : [...sections, ...encodeGeneration(this.#current, graph)];
  }

  /** Takes a checkpoint in, whole or not at all; throws where it is not sound. */
  restore(sections: ReadonlyMap<string, Uint8Array>): void {
    const meta: Meta = JSON.parse(text(sectionOf(sections, "recall.meta")));
    if (meta.version !== version || meta.offsets.length !== this.offsets.length) return;
    const column = (name: string) => sectionOf(sections, `recall.${name}`).slice().buffer;
    const users = new Int32Array(column("users"));
    const items = new Int32Array(column("items"));
    const vectors = new Float32Array(column("vectors"));
    const moments = new Float32Array(column("moments"));
    const stored = decodeGeneration(sections);
    this.#window.restore({ users, items });
    this.offsets.splice(0, this.offsets.length, ...meta.offsets);
    if (meta.dim === this.#training.dim && vectors.length === meta.rows * meta.dim) {
      const random = new Random(this.#options.seed + (stored?.generation.generation ?? 0));
      const state = { rows: meta.rows, vectors, moments };
      this.#trainer = new FactorisationTrainer(this.#training, random, state);
    }
    if (stored === null) return;
    this.#owedBatches = meta.owedBatches;
    this.#builtTotal = this.#window.total;
    this.#builtRows = stored.generation.vectors.has.length;
    this.#adopt(stored.generation, stored.graph);
  }

  /** Gives up a rebuild under way and the graphs; readers keep theirs. */
  close(): void {
    this.#work?.return(null);
    this.#work = null;
    for (const graph of this.#graphs) graph?.release();
    this.#graphs = [];
  }
}

/**
 * Grows with time, not only by one: a role that comes back from an old checkpoint after a crash
 * must not give two generations the same number, nor one below what readers have.
 */
function numberAfter(former: number, nowMs: number): number {
  return Math.max(former + 1, Math.floor((nowMs - numberedFromMs) / 1_000));
}

/** Neighbours of an item: fewer where there are many items, so that the table stays bounded. */
function neighboursFor(rows: number): number {
  const fit = Math.floor(limits.recallNeighboursMax / Math.max(1, rows));
  return Math.max(8, Math.min(itemToItemDefaults.perItem, fit));
}
